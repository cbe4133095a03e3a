"""Whether two names of a model may be one model's: as a file claims it, and as it is declared.

A file names what it was made from as its trainer was told it: OWNER/NAME of a hub, a bare name, or
a path of that machine. Two names agree where their last parts are spelt alike, and their owners, if
both have one; or where the catalogue leads both to one model (:mod:`mashbill.policy.model_names`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mashbill.policy.model_names import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENDING = re.compile(r"(\.gguf|@[\w.-]+|/+)$")
_BETWEEN = re.compile(r"[\s._-]+")
_PATH = re.compile(r"([/~\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\])")
_LONGEST = 500


def agree(claimed: str, names: Iterable[str]) -> bool:
    """Return whether a claimed name may be one of these names."""
    known = [name for name in names if name]
    owner, last = _parts(claimed)
    same = [name for name in known if _parts(name)[1] == last]
    owned = [o for o in (_parts(name)[0] for name in same) if o]
    if same and (not owner or not owned or owner in owned):
        return True
    if len(claimed) > _LONGEST:
        return False
    found = resolve(last_of(claimed)).id if is_path(claimed) else resolve(claimed).id
    return bool(found) and any(resolve(name).id == found for name in known)


def is_path(claimed: str) -> bool:
    """Return whether a claim is a path of some machine, and so names no model.

    A path whose last part is a model's name that the catalogue knows does name one.
    """
    looks = bool(_PATH.match(claimed)) or "\\" in claimed or claimed.strip("/").count("/") > 1
    return looks and not resolve(last_of(claimed)[:_LONGEST]).is_known


def last_of(claimed: str) -> str:
    """Return the last part of a path or an id."""
    return re.split(r"[/\\]", _ENDING.sub("", claimed.strip()))[-1]


def _parts(name: str) -> tuple[str, str]:
    """Return (owner, last part), both as they are compared; no owner of a path or a bare name."""
    plain = _ENDING.sub("", name.strip().removeprefix("hf:"))
    parts = re.split(r"[/\\]", plain)
    has_owner = len(parts) == 2 and not _PATH.match(plain)
    owner = parts[0].lower() if has_owner and parts[0] not in {".", ".."} else ""
    return owner, _BETWEEN.sub("-", parts[-1].lower()).strip("-")
