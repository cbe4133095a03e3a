"""Pages of package indexes: what files they name, by PEP 503 (HTML) and PEP 691 (JSON)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.files.web import Web

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_PAGE = 64 << 20  # bytes of a page; the largest of the public index is a few
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Link:
    """One file that an index names."""

    name: str
    """of the file"""
    address: str
    sha256: str
    """as the index has it; empty if it does not say"""


def links_of(web: Web, address: str) -> Iterator[Link]:
    """Yield the files that a page names.

    A file that was yanked is named too: its version is pinned, and so are its bytes.

    Raises:
        InputError: naming the page, if it cannot be had or read.
    """
    page = web.page(address, _ACCEPT, _PAGE)
    if "json" in page.kind:
        yield from _of_json(page.address, page.data)
        return
    reader = _Anchors()
    reader.feed(page.data.decode("utf-8", "replace"))
    base = urljoin(page.address, reader.base) if reader.base else page.address
    for target in reader.targets:
        if (link := _link(base, target)) is not None:
            yield link


def _link(base: str, target: str, name: str = "", sha256: str = "") -> Link | None:
    """Return a link; None if it is no address, or one of this disk on a page from elsewhere."""
    try:
        address, fragment = urldefrag(urljoin(base, target.strip()))
        there = urlsplit(address)
        _ = there.port
    except ValueError:
        return None
    here = urlsplit(base).scheme == "file"
    if there.scheme not in (("file", "http", "https") if here else ("http", "https")):
        return None
    if not sha256 and fragment.startswith("sha256="):
        sha256 = fragment.removeprefix("sha256=").lower()
    sha256 = sha256 if _SHA256.fullmatch(sha256) else ""
    return Link(name or PurePosixPath(unquote(there.path)).name, address, sha256)


def _of_json(address: str, data: bytes) -> Iterator[Link]:
    try:
        page = json.loads(data)
        files = list(page["files"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"{address} is no page of a package index: {error!r:.120}; check pip's index-url"
        raise InputError(msg) from error
    for file in files:
        if isinstance(file, dict):
            name, url, hashes = (file.get(key) for key in ("filename", "url", "hashes"))
            if isinstance(name, str) and isinstance(url, str):
                sha256 = hashes.get("sha256", "") if isinstance(hashes, dict) else ""
                said = sha256.lower() if isinstance(sha256, str) else ""
                if (link := _link(address, url, name, said)) is not None:
                    yield link


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted: Any = dict(attrs).get("href")
        if tag == "a" and wanted:
            self.targets.append(wanted)
        elif tag == "base" and wanted and not self.base:
            self.base = wanted
