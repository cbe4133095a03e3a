"""Names that must not become one: new names for those that are taken, and file names for texts."""

from __future__ import annotations

import hashlib
import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_PLAIN = frozenset(string.ascii_lowercase + string.digits + "@._-")
_LONGEST = 200  # bytes of a file's name, which may get an ending; file systems take 255


def free_names(
    names: Iterable[str], taken: Collection[str], prefix: str = "original"
) -> dict[str, str]:
    """Return each name with one under which it can stand beside those that are taken.

    A name that is free stays. ``x``, if it is taken, becomes ``original_x``, or ``original_2_x``
    and so on. No two names get the same, and none gets one that was given or is taken, whatever
    is given; the order of names decides between two that want the same.

    Args:
        names: as they are; one that is given twice counts once.
        taken: names that stand for something else.
        prefix: put before a name that is taken.
    """
    given = list(dict.fromkeys(names))
    used = {*given, *taken}
    found = {}
    for name in given:
        # Half of a surrogate pair has no encoding, and Arrow cuts a name at NUL when it reads it
        # back, so such names cannot stay: these characters are spelt out.
        plain = name.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
        new, number = plain, 1
        while new in used and (name in taken or new != name):
            new = f"{prefix}_{plain}" if number == 1 else f"{prefix}_{number}_{plain}"
            number += 1
        used.add(new)
        found[name] = new
    return found


def file_name(text: str) -> str:
    """Return a name for a file that no other text has, on file systems that fold case, too.

    Lower-case letters, digits and ``@ . _ -`` stay; all else is written as ``%`` and two digits.
    """
    kept = "".join(
        chr(byte) if chr(byte) in _PLAIN else f"%{byte:02x}"
        for byte in text.encode("utf-8", "surrogatepass")
    )
    if 0 < len(kept) <= _LONGEST and kept not in (".", ".."):
        return kept
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kept[: _LONGEST - 65]}%{digest}"


def reference_name(text: str, rest: str = "") -> str:
    """Return a name of ASCII letters, digits and full stops, a hyphen for all between them.

    Where letters of other scripts had to go, a digest tells such names apart.

    Args:
        text: the name.
        rest: further characters that stay.
    """
    bare = re.sub(rf"[^A-Za-z0-9.{re.escape(rest)}]+", "-", text).strip("-")
    if all(c.isascii() for c in text if c.isalnum()):
        return bare
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{bare}-{digest}".strip("-")
