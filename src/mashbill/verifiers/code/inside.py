"""The text of what runs inside of a sandbox: two files of this package, joined to one program."""

from __future__ import annotations

from importlib import resources

_JOINED = "from mashbill.verifiers.code.answering import "


def text_of_guest() -> str:
    """Return a program of Python that needs the standard library alone."""
    files = resources.files(__package__)
    both = (files.joinpath(name).read_text(encoding="utf-8") for name in _FILES)
    lines = [line for text in both for line in text.splitlines() if not line.startswith(_JOINED)]
    return "\n".join((*lines, ""))


_FILES = ("answering.py", "guest.py")
