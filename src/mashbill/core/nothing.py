"""Texts that people and programs write where nothing is meant: None, null, N/A, unknown.

Python's ``str(None)`` and pandas' ``nan`` end up in cards and rows as texts, and then look like
names. Which texts these are is said here once.
"""

from __future__ import annotations

_NOTHING = frozenset(
    ["", "-", "--", "---", "...", "?", "??", "???", "(none)", "(null)", "<na>", "<none>",
     "<unknown>", "[]", "{}", "information needed", "missing", "more info needed",
     "more information needed", "n.a", "n.a.", "n/a", "n\\a", "na", "nan", "nil", "no",
     "noassertion", "none", "none given", "none specified", "none stated", "not applicable",
     "not available", "not given", "not known", "not provided", "not specified", "not stated",
     "null", "placeholder", "tba", "tbd", "to be added", "to be announced", "to be determined",
     "todo", "undefined", "undetermined", "unk", "unknown", "unset", "unspecified", "unstated"]
)  # fmt: skip
"""in small letters, white space and underscores as one space"""


def is_nothing(text: str) -> bool:
    """Return whether a text says that there is nothing, whatever its case.

    Brackets and quotes around it do not matter: ``[More Information Needed]``, ``"None"``.
    """
    plain = " ".join(text.replace("_", " ").split()).casefold()
    inner = plain.strip("[]<>(){}\"'`*: ")
    return plain in _NOTHING or (inner != "" and inner in _NOTHING)
