"""Where a claim was read, as a value: what kind of place, which revision, and where in it.

A source that somebody else can open again is written in one of four forms; several are divided by
``;`` and a blank::

    OWNER/REPO@COMMIT:PATH#L70-L86      a file of a repository, with its line or lines
    arXiv:2412.08905 section 3.1        a paper, with section, table, figure or appendix
    hf:OWNER/NAME@REVISION:README.md    a card of the hub, with its revision
    https://...                         a page, which may have changed since

Anything else is words: it says where something was read, and nobody can go there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["repository", "paper", "card", "page", "words"]
KINDS: tuple[Kind, ...] = ("repository", "paper", "card", "page", "words")

_OWNED = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
_FILE = re.compile(
    rf"(?P<card>hf:(?:datasets/)?)?(?P<where>{_OWNED})@(?P<revision>[\w./%-]+?)"
    r"(?::(?P<path>[^#]*?))?(?:#(?P<lines>L\d+(?:-L\d+)?)|\s+(?P<place>section\s.+))?",
    re.ASCII,
)
_PAPER = re.compile(
    r"arXiv:(?P<where>\d{4}\.\d{4,5})(?P<revision>v\d+)?"
    r"(?:\s+(?P<place>(?:section|table|figure|appendix|abstract|title).*))?",
    re.ASCII | re.IGNORECASE,
)
_PAGE = re.compile(r"https?://[^\s;]+(?:\s+(?P<place>section\s.+))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{7,40}", re.ASCII)


@dataclass(frozen=True)
class SourceReference:
    """One place at which something was read."""

    text: str
    """as it is written"""
    kind: Kind
    where: str = ""
    """repository, number of the paper, name of the card, or address"""
    revision: str = ""
    """commit, version of the paper or revision of the card"""
    path: str = ""
    place: str = ""
    """lines, or a section and its like"""

    @property
    def can_be_opened(self) -> bool:
        """Whether somebody else can go there and find what was read, or what became of it."""
        return self.kind != "words"

    @property
    def is_exact(self) -> bool:
        """Whether it says where in the document to look."""
        return bool(self.place)

    @property
    def document(self) -> str:
        """The document, whatever its revision and the place in it."""
        return f"{self.where}:{self.path}" if self.path else self.where or self.text


def parse_sources(text: str) -> tuple[SourceReference, ...]:
    """Read the column ``source``: one reference, or several divided by ``;`` and a blank."""
    return tuple(_parse(part.strip()) for part in re.split(r";\s+", text) if part.strip())


def can_be_opened(text: str) -> bool:
    """Return whether one of a row's sources can be opened by somebody else."""
    return any(source.can_be_opened for source in parse_sources(text))


def _parse(text: str) -> SourceReference:
    if match := _PAPER.fullmatch(text):
        return SourceReference(
            text, "paper", match["where"], match["revision"] or "", place=match["place"] or ""
        )
    if match := _PAGE.fullmatch(text):
        address = text.split(maxsplit=1)[0]
        return SourceReference(text, "page", address, place=match["place"] or "")
    match = _FILE.fullmatch(text)
    # A branch is no revision: what it names is another text tomorrow.
    if match is None or not (match["card"] or _COMMIT.fullmatch(match["revision"])):
        return SourceReference(text, "words")
    return SourceReference(
        text,
        "card" if match["card"] else "repository",
        match["where"],
        match["revision"],
        (match["path"] or "").strip(),
        match["lines"] or match["place"] or "",
    )
