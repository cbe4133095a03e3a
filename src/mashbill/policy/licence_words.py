"""What a licence's text is: an identifier of SPDX, an expression, a name, or none at all.

SPDX's identifiers and its way of putting several together (``MIT AND CC-BY-4.0``,
``Apache-2.0 WITH LLVM-exception``; https://spdx.github.io/spdx-spec/v3.0.1/annexes/
spdx-license-expressions/) are read in one place, so that policy, exports and importers take the
same text for the same licence. Which identifiers there are, the index of license-expression says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from license_expression import LicenseSymbol, Licensing, get_license_index

from mashbill.core.naming import reference_name
from mashbill.core.nothing import is_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_LONGEST = 1000  # characters of an expression: what is longer is somebody's text, and a name here
_NESTED = 32  # brackets in it
_NOT_LISTED = frozenset(["Assembly-exception", "BSD-2", "GPL", "Verbatim-man-pages"])
"""keys of the index that SPDX's list never had"""
_OWN = re.compile(r"(?i:(documentref-)([\w.-]+):)?(?i:licenseref-)([\w.-]+)", re.ASCII)
_ADDED = re.compile(r"(?i:(documentref-)([\w.-]+):)?(?i:additionref-)([\w.-]+)", re.ASCII)
_NO_LICENCE = frozenset(
    ["licence not specified", "license not specified", "license unknown", "licence unknown",
     "no licence", "no licence specified", "no license", "no license specified", "not licensed",
     "unknown licence", "unknown license"]
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One licence of an expression."""

    text: str
    """as SPDX writes it, with ``+`` and its exception: GPL-2.0-only WITH Classpath-exception-2.0"""
    licence: str
    """the licence alone, which decides: GPL-2.0-only"""


@dataclass(frozen=True)
class LicenceText:
    """A licence's text, as it was understood."""

    kind: Literal["identifier", "expression", "name", "none"]
    """an identifier of SPDX's list; an expression all of whose parts are known, or are references;
    a name that is neither, LicenseRef-... too; or a text that says that there is none"""
    text: str
    """as SPDX spells it; a name as it was written; empty if there is none"""
    steps: tuple[Part | Literal["AND", "OR"], ...] = ()
    """parts, and what joins the last two that are not joined yet, behind them"""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The licences that it is made of, as they are written."""
        return tuple(step for step in self.steps if isinstance(step, Part))

    def fold(
        self, of: Callable[[Part], T], both: Callable[[T, T], T], either: Callable[[T, T], T]
    ) -> T | None:
        """Return what the whole comes to; None if there is no licence.

        Args:
            of: what one licence comes to.
            both: what two come to that hold together (AND).
            either: what two come to of which one may be chosen (OR).
        """
        found: list[T] = []
        for step in self.steps:
            if isinstance(step, Part):
                found.append(of(step))
            else:
                last = found.pop()
                found.append((both if step == "AND" else either)(found.pop(), last))
        return found[0] if found else None


_NONE = LicenceText("none", "")


@cache
def identifiers() -> dict[str, str]:
    """Return every identifier of a licence in SPDX's list, former ones too: lower-case -> usual."""
    return _keys(exceptions=False)


@cache
def _exceptions() -> dict[str, str]:
    return _keys(exceptions=True)


def _keys(*, exceptions: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in get_license_index():
        for key in (item.get("spdx_license_key"), *item.get("other_spdx_license_keys", ())):
            # Licences that are not in SPDX's list have names of ScanCode's there.
            if not key or key.startswith("LicenseRef-") or key in _NOT_LISTED or " " in key:
                continue
            # "GPL-2.0+" was an identifier of the list; "AGPL-3.0+" is AGPL-3.0 with an operator.
            if key.endswith("+") and not re.fullmatch(r"L?GPL-[123]\.[01]\+", key):
                continue
            # GPL-2.0-with-classpath-exception is a licence, the former name of one with another.
            former = key.startswith("GPL-") or key == "eCos-2.0"
            if (bool(item.get("is_exception")) and not former) is exceptions:
                found.setdefault(key.lower(), key)
    return found


def spdx_identifier(text: str) -> str | None:
    """Return the SPDX identifier that a licence is written with, in its usual case, or None."""
    return identifiers().get(text.lower())


def reference(name: str) -> str:
    """Return LicenseRef-NAME for a licence by its own name."""
    bare = re.sub(r"(?i)^licenseref-", "", name.strip())
    return "LicenseRef-" + (reference_name(bare) or "unnamed")


def is_no_licence(text: str | None) -> bool:
    """Return whether a text names no licence that somebody could take a thing under.

    That is nothing, what says so (``unknown``), and ``other``: the hub's word for one that stands
    elsewhere, which says that there is one and not which.
    """
    read = read_licence(text or "")
    return read.kind == "none" or read.text.removeprefix("LicenseRef-").lower() == "other"


@lru_cache(4096)
def read_licence(text: str) -> LicenceText:
    """Return what a licence's text is; case does not matter for what SPDX lists."""
    plain = " ".join(text.split())
    if is_nothing(plain) or plain.casefold() in _NO_LICENCE:
        return _NONE
    identifier = spdx_identifier(plain)
    if identifier is not None:
        return LicenceText("identifier", identifier, (Part(identifier, identifier),))
    if own := _referred(plain):
        kind: Literal["expression", "name"] = "expression" if ":" in own else "name"
        return LicenceText(kind, own, (Part(own, own),))
    # A name is kept as it was written: two that differ in their spaces stay two.
    own = text.strip()
    return _expression(plain) or LicenceText("name", own, (Part(own, own),))


def _expression(text: str) -> LicenceText | None:
    """Return the expression that a text is, or None if it is none."""
    if len(text) > _LONGEST or text.count("(") > _NESTED:
        return None
    try:
        tree = _licensing().parse(text)
    except Exception:  # noqa: BLE001 - whatever the library makes of a stranger's text, it is none
        return None
    steps: list[Any] = []
    known, unknown = 0, 0
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            steps.append(node)
        elif operator := {"AND": "AND", "OR": "OR"}.get(type(node).__name__):
            waiting += [operator] * (len(node.args) - 1) + list(reversed(node.args))
        else:
            part = _part(node)
            known, unknown = known + (part is not None), unknown + (part is None)
            steps.append(part or Part(str(node), str(node)))
    if not known:
        return None
    if unknown:
        # What is meant is not known for sure, so that an "or" gives no choice.
        steps = ["AND" if step == "OR" else step for step in steps]
        return LicenceText("name", text, tuple(steps))
    written = _written(steps)
    kind: Literal["identifier", "expression"] = (
        "identifier" if written.lower() in identifiers() else "expression"
    )
    return LicenceText(kind, written, tuple(steps))


@cache
def _licensing() -> Any:
    """Return the library's reader: identifiers as they are written, former ones too."""
    symbols = [LicenseSymbol(key) for key in identifiers().values()]
    symbols += [LicenseSymbol(key, is_exception=True) for key in _exceptions().values()]
    return Licensing(symbols)


def _part(node: Any) -> Part | None:
    """Return a licence of an expression, or None if it is not known."""
    exception = getattr(node, "exception_symbol", None)
    licence = _alone(str(getattr(node, "license_symbol", node).key))
    if licence is None or exception is None:
        return licence
    added = _exceptions().get(exception.key.lower()) or _referred(exception.key, _ADDED)
    return Part(f"{licence.text} WITH {added}", licence.licence) if added else None


def _alone(key: str) -> Part | None:
    own = spdx_identifier(key) or _referred(key)
    if own is None and key.endswith("+"):
        own = spdx_identifier(key[:-1])
        return Part(f"{own}+", own) if own else None
    return Part(own, own) if own else None


def _referred(text: str, pattern: re.Pattern[str] = _OWN) -> str | None:
    """Return a reference with its marks in their usual case, or None if it is none."""
    match = pattern.fullmatch(text)
    if match is None:
        return None
    document = f"DocumentRef-{match[2]}:" if match[1] else ""
    return f"{document}{'LicenseRef' if pattern is _OWN else 'AdditionRef'}-{match[3]}"


def _written(steps: list[Any]) -> str:
    """Write an expression, with brackets only where OR stands within AND."""
    found: list[tuple[str, bool]] = []
    for step in steps:
        if isinstance(step, Part):
            found.append((step.text, False))
            continue
        pair = [found.pop(), found.pop()][::-1]
        texts = [f"({text})" if is_or and step == "AND" else text for text, is_or in pair]
        found.append((f" {step} ".join(texts), step == "OR"))
    return found[0][0]
