"""Rollouts as JSON lines: what was asked, all that was said and called after it, and what was paid.

The reward is null where nothing was scored (undecided, failed, truncated), and never 0 for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PART = "score_"
_BESIDE = (
    "group", "sample", "rank", "reason", "verifier", "isolation", "finish", "tokens",
)  # fmt: skip


def used_by_rollouts(names: Sequence[str]) -> set[str]:
    """Return which columns a rollout has a place for, beside its conversation."""
    return {name for name in ("score", *_BESIDE) if name in names} | set(_parts(names))


def rollout(
    row: Mapping[str, Any], turns: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Any]:
    """Return a row as a rollout.

    Args:
        row: its columns.
        turns: of its conversation, as OpenAI writes them; what is before the first turn of the
            assistant was asked.
        names: columns of the dataset, in order.
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
        **{name: row.get(name) for name in _BESIDE if name in names},
    }


def _parts(names: Sequence[str]) -> list[str]:
    """Return the columns of a reward's parts: a verifier's stand behind its reason."""
    own = names[names.index("reason") :] if "reason" in names else ()
    return [name for name in own if name.startswith(_PART)]
