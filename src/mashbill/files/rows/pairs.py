"""Pairs of answers to one question, from the columns that stages and public sets have them in."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from mashbill.core.cells import is_missing
from mashbill.files.rows.conversations import UnfitError, conversation, in_order, sides_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mashbill.files.rows.chat import Role
    from mashbill.files.rows.conversations import OthersTurn

CHOSEN = ("chosen", "chosen_response", "chosen_messages", "preferred_output")
REJECTED = ("rejected", "rejected_response", "rejected_messages", "non_preferred_output")
APART = "its two answers are not one turn each to the same question"


def sides_in(names: Collection[str]) -> tuple[str, str]:
    """Return the columns of two answers, by the names that they have in public sets.

    Args:
        names: of the columns that there are.

    Returns:
        Chosen and rejected; empty where there is none. What `import` reads as a row's text is the
        chosen answer, and has that name then: see the column ``text``.
    """
    chosen, rejected = (
        next((name for name in known if name in names), "") for known in (CHOSEN, REJECTED)
    )
    return chosen, rejected


class PairOfTurns(NamedTuple):
    """What was asked, and two answers."""

    asked: list[OthersTurn]
    chosen: OthersTurn
    rejected: OthersTurn


class ApartError(UnfitError):
    """Two answers are to different questions."""


def answer_of(side: Sequence[OthersTurn], asked: Sequence[OthersTurn]) -> OthersTurn:
    """Return the one answer of a chosen or rejected side, which may repeat what was asked.

    Raises:
        ApartError: if it is no one answer to that.
    """
    whole = in_order(list(side) if side[0].role != "assistant" else [*asked, *side])
    if len(whole) != len(asked) + 1 or whole[:-1] != [*asked] or whole[-1].role != "assistant":
        raise ApartError(APART)
    return whole[-1]


def pair_of(
    row: Mapping[str, Any],
    chosen: str,
    rejected: str,
    *,
    asked: Sequence[OthersTurn] = (),
    roles: Mapping[str, Role] | None = None,
) -> PairOfTurns:
    """Return a row's two answers and the question: of its own columns, or in both of them.

    Read are texts and lists of messages (or their JSON) with the question in ``prompt`` or
    ``messages_json``, and sides that are whole conversations, which may stand alone.

    Args:
        row: its columns.
        chosen: column of the better answer.
        rejected: column of the other one.
        asked: what was asked, where the row does not say it.
        roles: what words for roles mean beyond the known ones.

    Raises:
        ApartError: if the two are to different questions.
        UnfitError: if the row holds no such pair.
    """
    lost: Counter[str] = Counter()
    sides = [sides_of(row.get(name), roles or {}, lost) for name in (chosen, rejected)]
    own, prompt = (
        None if is_missing(row.get(name)) else row[name] for name in ("messages_json", "prompt")
    )
    text = next((turn.content for turn in reversed(sides[0]) if turn.role == "assistant"), None)
    if asked:
        before = list(asked)
    elif own is None and prompt in (None, "") and sides[0][0].role != "assistant":
        *before, _ = in_order(sides[0])
    else:
        *before, _ = conversation(own, prompt, text, roles or {}, lost)
    return PairOfTurns(before, *(answer_of(side, before) for side in sides))
