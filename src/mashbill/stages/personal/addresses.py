"""Addresses on the net: of e-mail, checked by email-validator, and of the Internet Protocol.

An address of e-mail is one that the syntax of e-mail allows, at a domain that could be in the
public name system; no name server is asked. ``git@host:path`` and names of files such as
``icon@2x.png`` are none. An IP address is one that routers would pass on: not private, not of
documentation (192.0.2.0/24, 2001:db8::/32), not one's own; and no number of a version or a section.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from mashbill.core.extras import needs
from mashbill.core.letters import UNSPACED
from mashbill.stages.personal.found import Found

_LETTER = rf"[^\W{UNSPACED}]"
_DOMAIN = rf"(?:{_LETTER}(?:[^\W{UNSPACED}]|-){{0,62}}\.){{1,8}}{_LETTER}{{2,24}}"
_EMAIL = re.compile(rf"(?:[^\W{UNSPACED}]|[.+%'-]){{1,64}}@{_DOMAIN}")
_ANY_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}\w{2,24}(?![\w-])")
"""of letters of scripts without spaces, which only signs and spaces divide from the text"""
_FILES = frozenset({
    "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "jsx", "tsx", "json", "html",
    "htm", "xml", "yml", "yaml", "toml", "txt", "pdf", "doc", "docx", "csv", "mp3", "mp4", "lock",
    "conf", "cfg", "ini", "exe", "dll",
})  # fmt: skip
"""ends of files' names that are no domains"""
_NARROW = {
    code: code - 0xFEE0
    for code in (0xFF0D, 0xFF0E, *range(0xFF10, 0xFF1A), 0xFF20, *range(0xFF21, 0xFF3B), 0xFF3F,
                 *range(0xFF41, 0xFF5B))
}  # fmt: skip
"""full-width letters, digits and signs of an address -> the same of ASCII, one for one"""
_MOST = 254  # characters of an address (RFC 5321 with erratum 1690)

_IPV4 = re.compile(r"(?<![A-Za-z0-9_.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![A-Za-z0-9_]|\.[0-9])")
_IPV6 = re.compile(r"(?<![A-Za-z0-9_:.])[0-9A-Fa-f:]{6,39}(?![A-Za-z0-9_:])")
_VERSION = re.compile(
    r"(?:\b(?:v|ver|vers|version|versión|versão|versione|versi|wersja|release|rel|build|firmware|"
    r"section|sect|sec|chapter|clause|article|table|figure|rule|item|appendix|kapitel|abschnitt|"
    r"chapitre|capítulo|верси[яию]|раздел|sürüm|phiên bản)\.?|版本|バージョン|버전|إصدار|第|§|"
    r"[A-Za-z0-9_]-|[=<>~!]=|[<>~^])[\s:#(]{0,3}$",
    re.IGNORECASE,
)
_BEFORE = 24  # characters in front of a number that say what it is
_HEADING = re.compile(r"[ \t]+[^\W\d_]")
_GLOBAL = ipaddress.ip_network("2000::/3")  # what IANA gives out of IPv6


def emails(text: str) -> Iterator[Found]:
    """Yield addresses of e-mail."""
    if "@" not in text and "＠" not in text:  # noqa: RUF001
        return
    with needs("kind = 'pii'", "pii"):
        from email_validator import EmailNotValidError, validate_email
    taken, wide = 0, text
    if not text.isascii():
        text = text.translate(_NARROW)
    for pattern in (_EMAIL, _ANY_EMAIL):
        for match in pattern.finditer(text):
            value = match[0].lstrip(".'%+-")
            start = match.end() - len(value)
            if match.end() <= taken or value.startswith("@") or len(value) > _MOST:
                continue
            if value.rpartition(".")[2].lower() in _FILES:
                continue
            if text[match.end() : match.end() + 1] == ":" and value.startswith("git@"):
                continue
            try:
                checked = validate_email(value, check_deliverability=False)
            except EmailNotValidError:
                continue
            written = wide[start : match.end()]
            yield Found("email", start, match.end(), written, checked.normalized.casefold())
            taken = match.end()
        taken = 0


def ips(text: str) -> Iterator[Found]:
    """Yield addresses of the Internet Protocol."""
    for match in _IPV4.finditer(text):
        address = _address(match[0])
        if address is None or not address.is_global or address.is_multicast:
            continue
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        if _VERSION.search(before) or _is_heading(text, match, before):
            continue
        yield Found("ip", match.start(), match.end(), match[0], str(address))
    for match in _IPV6.finditer(text):
        value = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
        address = _address(value) if value.count(":") > 1 else None
        if address is not None and address in _GLOBAL and address.is_global:
            yield Found("ip", match.start(), match.start() + len(value), value, str(address))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_heading(text: str, match: re.Match[str], before: str) -> bool:
    """Return whether small numbers begin a line, and a word follows, as those of sections do."""
    begins = not before.strip(" \t#*") or before.rstrip(" \t#*").endswith("\n")
    small = all(int(part) < 30 for part in match[0].split("."))
    return begins and small and _HEADING.match(text, match.end()) is not None
