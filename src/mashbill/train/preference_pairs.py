"""The pairs that a student learns from: rows of datasets, encoded once, on the disk.

What a row's two answers are, :mod:`mashbill.files.rows.pairs` says. A pair is left out, and counted
by its reason, where neither answer is preferred, where both are the same, where one was cut off or
is longer than ``max_tokens``: nothing is cut. Two answers to different questions are no pair, and a
row that has them is refused.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.cells import is_missing
from mashbill.core.errors import InputError
from mashbill.files.rows.conversations import OthersTurn, UnfitError
from mashbill.files.rows.pairs import ApartError, pair_of
from mashbill.models.learned_rows import NotLearnedError
from mashbill.train.examples import Examples, RowReader, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.stage import StageContext
    from mashbill.models.conversation_tokens import ConversationTokens, Encoded
    from mashbill.train.dpo import DpoSpec

TIE = "neither answer is preferred"
SAME = "both answers are the same"
_FAR = 64
"""pairs behind one that are looked at for an answer to another prompt"""
_READ = ("messages_json", "prompt", "tools_json", "finish", "tie")


class Pairs(Examples):
    """Pairs as sequences: the chosen answer with its prompt, then the rejected one with its."""

    def __init__(self, sides: Examples) -> None:
        """Take single sequences, which stand chosen, rejected, chosen, rejected, and so on."""
        super().__init__(
            sides.tokens, sides.ends[1::2], sides.dataset[::2], sides.row[::2], sides.counts
        )
        self.sides = sides
        """the single sequences: 2 n is the chosen one of pair n, 2 n + 1 the rejected"""

    @cached_property
    def answer_tokens(self) -> np.ndarray:
        """Tokens that are scored of each side, int64, shape (pairs, 2)."""
        return self.sides.learned_tokens().reshape(-1, 2)

    def begins(self, side: int) -> int:
        """Return where a side's answer begins: the tokens of its prompt."""
        return int(np.argmax(self.sides.learned(side)))

    def mismatched(self, most: int) -> np.ndarray:
        """Return, of each pair, a side of another pair whose answer was to another prompt.

        KTO's reference point is estimated of these. They follow from the order of the data alone,
        so that neither a step nor its micro-batches change them: the next pair with another prompt,
        its chosen answer and its rejected one by turns.

        Args:
            most: tokens that a prompt with another's answer may have.

        Returns:
            Numbers of sides, -1 where none was found near, int64, shape (pairs,).
        """
        begins = [self.begins(2 * number) for number in range(len(self))]
        found = np.full(len(self), -1, np.int64)
        for number, begin in enumerate(begins):
            prompt = self.sides.ids(2 * number)[:begin]
            for step in range(1, min(_FAR, len(self) - 1) + 1):
                other = (number + step) % len(self)
                side = 2 * other + number % 2
                answer = int(self.sides.lengths[side]) - begins[other]
                theirs = self.sides.ids(side)[: begins[other]]
                if begin + answer <= most and not np.array_equal(theirs, prompt):
                    found[number] = side
                    break
        return found

    def with_answer_of(self, number: int, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a pair's prompt with an answer of another's: ids, int64, and what is scored."""
        begin, other = self.begins(2 * number), self.begins(side)
        ids = np.concatenate([self.sides.ids(2 * number)[:begin], self.sides.ids(side)[other:]])
        learned = np.concatenate([np.zeros(begin, bool), self.sides.learned(side)[other:]])
        return ids, learned


def pairs(
    spec: DpoSpec,
    names: Sequence[str],
    encoder: ConversationTokens,
    ctx: StageContext,
    key: str,
) -> Pairs:
    """Return the pairs of datasets, encoding them unless a run that was cut off has.

    Args:
        spec: how rows are learned from.
        names: of the datasets.
        encoder: of the student.
        ctx: the stage's.
        key: names the files in its scratch.

    Raises:
        InputError: if no pair can be learned from, naming the commonest reasons, or if a row's two
            answers are to different questions.
    """
    return Pairs(examples(spec, names, encoder, ctx, key, reader=_PairReader))


class _PairReader(RowReader):
    """Reads a row as two sequences, or as none."""

    spec: DpoSpec
    _sides = ("", "")

    def columns(self, there: Sequence[str], name: str) -> list[str]:
        """Return the columns that are read."""
        self._sides = self.spec.sides(there, name)
        wanted = {*_READ, *self._sides, *(there if self.spec.prompt else ())}
        return [column for column in there if column in wanted]

    def read(self, row: dict[str, Any], where: str) -> list[Encoded]:
        """Return both sides of a row.

        Raises:
            NotLearnedError: if it is no pair to learn from, saying why.
            InputError: if its answers are to different questions.
        """
        chosen_in, rejected_in = self._sides
        if row.get("tie") is True or any(is_missing(row.get(side)) for side in self._sides):
            raise NotLearnedError(TIE)
        if row.get("finish") == "length":
            msg = "its answer was cut off"
            raise NotLearnedError(msg)
        told = [OthersTurn(turn.role, turn.content) for turn in self.rows.asked(row, where)]
        try:
            asked, chosen, rejected = pair_of(row, chosen_in, rejected_in, asked=told)
        except ApartError as error:
            msg = (
                f"{where}: {error}; correct or remove the row, or "
                f"name other columns by chosen ({chosen_in!r}) and rejected ({rejected_in!r})"
            )
            raise InputError(msg) from error
        except UnfitError as error:
            raise NotLearnedError(str(error)) from error
        if chosen == rejected:
            raise NotLearnedError(SAME)
        found = []
        for answer in (chosen, rejected):
            said = self.rows.said([*asked, answer], row, where)
            found += said.sequences
            self.thought += said.thought
        one, other = found
        if one.ids == other.ids:
            raise NotLearnedError(SAME)
        return found
