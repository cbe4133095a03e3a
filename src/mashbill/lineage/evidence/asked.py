"""Whether the models of a recipe's own that were asked as teachers are those that literals name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.given import called
from mashbill.core.students import STUDENT, students_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.artifact import Manifest


def strange_students(manifest: Manifest) -> Iterator[str]:
    """Yield where a manifest says else of such models than its literals and its other inputs do.

    What such a model answered is known in the journal by its address and the digest of its content,
    so that nobody's answers pass for those of another one.
    """
    asked = [item for item in manifest.inputs if item.is_artifact and item.asks is not None]
    for item in asked:
        told = {key: (item.asks or {}).get(key) for key in ("kind", "model", "sha256")}
        if told != {"kind": STUDENT, "model": item.name, "sha256": item.digest}:
            yield f"says that calls to {item.name} name another model than it is"
        if item.role != "actor":
            yield f"says that {item.name} was asked as a teacher, and that it is its {item.role!r}"
    named = set(students_named(manifest.stage).values())
    given = {called(item.name, manifest.stage) for item in asked}
    for text in sorted(named - given):
        yield f"its literals name the student {text!r:.80}, which is not among its inputs"
    for text in sorted(given - named):
        yield f"was written or judged by {text!r:.80}, a student that its literals do not name"
