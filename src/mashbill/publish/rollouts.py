"""Rollouts as JSON lines: what was asked, all that was said and called after it, and what was paid.

The reward is null where nothing was scored (undecided, failed, truncated), and never 0 for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef
from mashbill.core.teacher import ENDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

_PART = "score_"
_BESIDE = (
    "group", "sample", "rank", "reason", "verifier", "isolation", *ENDS, "tokens",
)  # fmt: skip
_FAR = 64  # stages one behind the other that are looked at


def ends_of(store: Store, manifest: Manifest) -> tuple[str, ...]:
    """Return the columns that say how outputs ended, as the stages name them that verified rows.

    Args:
        store: where a dataset lies.
        manifest: of the dataset.
    """
    found: list[str] = []
    at: Manifest | None = manifest
    for _ in range(_FAR):
        if at is None:
            break
        named = at.stage.get("finish") if at.stage.get("kind") == "verify" else None
        if isinstance(named, str) and named:
            found.append(named)
        rows = [item for item in at.inputs if item.role == "rows" and item.is_artifact]
        at = store.get(ArtifactRef.parse(rows[0].name)) if len(rows) == 1 else None
    return tuple(dict.fromkeys(found))


def used_by_rollouts(names: Sequence[str], ends: Sequence[str]) -> set[str]:
    """Return which columns a rollout has a place for, beside its conversation."""
    return {name for name in ("score", *_BESIDE, *ends) if name in names} | set(_parts(names))


def rollout(
    row: Mapping[str, Any],
    turns: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    ends: Sequence[str],
) -> dict[str, Any]:
    """Return a row as a rollout.

    Args:
        row: its columns.
        turns: of its conversation, as OpenAI writes them; what is before the first turn of the
            assistant was asked.
        names: columns of the dataset, in order.
        ends: those that say how outputs ended, beside the usual ones.
    """
    first = next(
        (place for place, turn in enumerate(turns) if turn["role"] == "assistant"), len(turns)
    )
    parts = {name.removeprefix(_PART): row.get(name) for name in _parts(names)}
    return {
        "prompt": list(turns[:first]),
        "completion": list(turns[first:]),
        "reward": row.get("score"),
        **({"rewards": parts} if parts else {}),
        **{name: row.get(name) for name in (*_BESIDE, *ends) if name in names},
    }


def _parts(names: Sequence[str]) -> list[str]:
    """Return the columns of a reward's parts: a verifier's stand behind its reason."""
    own = names[names.index("reason") :] if "reason" in names else ()
    return [name for name in own if name.startswith(_PART)]
