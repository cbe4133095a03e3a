"""System text among the turns of a request: one turn at most, or none where a model takes none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def one_system(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return turns with all system text in one turn before the others, by empty lines.

    Templates of chat models take one such turn, at the beginning, or none.
    """
    said = [str(turn.get("content") or "") for turn in turns if turn["role"] == "system"]
    others = [dict(turn) for turn in turns if turn["role"] != "system"]
    text = "\n\n".join(part for part in said if part)
    return [{"role": "system", "content": text}, *others] if text else others


def system_in_user(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return turns with their system text before the first user's, by an empty line.

    Where no user says anything, the system text is what the user says.
    """
    whole = one_system(turns)
    if not whole or whole[0]["role"] != "system":
        return whole
    text, others = whole[0]["content"], whole[1:]
    for turn in others:
        if turn["role"] == "user":
            own = str(turn.get("content") or "")
            turn["content"] = f"{text}\n\n{own}" if own else text
            return others
    return [{"role": "user", "content": text}, *others]


def only_system_is_odd(turns: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether there is a system turn, and what stands beside it is what any model takes.

    That is: user and assistant by turns, a user first and last.
    """
    roles = [turn["role"] for turn in turns]
    others = [role for role in roles if role != "system"]
    wanted = ["user", "assistant"] * (len(others) // 2 + 1)
    return len(others) < len(roles) and len(others) % 2 == 1 and others == wanted[: len(others)]
