"""Which rows hold items of evaluation sets, by which rule, and how that is told.

A text of a row (a cell; of a chat, a turn) is a **hit**, the first of these that holds:

* it has more than the share ``overlap`` of a question's runs (:mod:`mashbill.files.rows.overlap`),
  wherever they stand in it, and all of its numbers and names;
* it has more than half of that share, and all of its numbers, or all of a question too short to
  tell anything alone; and an answer to it stands in the row, in whichever column;
* it is nearly the question as a whole, by the Jaccard similarity of its shingles, and has all of
  its numbers and names;
* it has more than the share ``overlap`` of the runs of an answer that is long enough for one.

A short answer alone, such as 42 or Paris, is never a hit. A text that has other numbers or names
than the question is another question, as the tasks of a series are, unless it is wished that it
counts. Names are words that a question writes large within a sentence. In a text that holds what a
stage ``pii`` puts in the place of what it redacts (``<PHONE_1>``), a number may have stood there
(:mod:`mashbill.files.rows.redacted`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from mashbill.files.rows.redacted import REDACTED, are_hidden
from mashbill.files.rows.said import said_in
from mashbill.files.rows.tokens import Runs, pieces, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from mashbill.files.rows.items import Items

QUESTION, PAIR, NEAR, ANSWER = "question", "question and answer", "near question", "answer"
_ORDER = (QUESTION, PAIR, NEAR, ANSWER)
_ALL = 1 - 1e-9


@dataclass(frozen=True)
class Hit:
    """A text of a row that holds a part of an item."""

    row: int
    where: str
    """the column, and who says it"""
    part: int
    rule: str
    share: float
    """of the part's runs, or the similarity"""

    @property
    def rank(self) -> tuple[int, float, int]:
        """What is told first is first."""
        return _ORDER.index(self.rule), -self.share, self.part


@dataclass
class Found:
    """What was found in some rows."""

    reasons: list[str | None]
    """why each is contaminated"""
    hits: dict[str, dict[str, int]] = field(default_factory=dict)
    """set -> column and who -> rows"""
    rules: dict[str, int] = field(default_factory=dict)
    """rule of the hit that is told -> rows"""
    is_redacted: bool = False
    """whether some text holds what stands in the place of something that was redacted"""
    parts: frozenset[int] = frozenset()
    """the parts that are held, by their places among all parts"""


class _Column:
    """The texts of a column, as tokens."""

    def __init__(self, name: str, values: pa.Array) -> None:
        said = said_in(values)
        self.rows = said.rows
        self._name, self._who = name, said.who
        self.pieces = [tokens_of(some) for some in pieces(said.texts)]
        self._texts = said.texts
        found = pc.match_substring_regex(said.texts, REDACTED)
        self.redacted = np.asarray(pc.fill_null(found, fill_value=False))
        """whether something of each text was redacted, shape (texts,)"""

    def said(self, text: int) -> str:
        """Return a text as it is."""
        return self._texts[text].as_py() or ""

    def where(self, text: int) -> str:
        """Return how a text's place is told."""
        who = self._who[text] if self._who is not None else ""
        return f"{self._name} ({who})" if who else self._name

    def texts(self, row: int) -> Iterator[np.ndarray]:
        """Yield the tokens of each text of a row."""
        first, behind = np.searchsorted(self.rows, [row, row + 1]).tolist()
        yield from (self.tokens(text) for text in range(first, behind))

    def tokens(self, text: int) -> np.ndarray:
        """Return the tokens of a text."""
        for some in self.pieces:
            if text < len(some.ends):
                found: np.ndarray = some.numbers[some.starts[text] : some.ends[text]]
                return found
            text -= len(some.ends)
        raise IndexError(text)


class Looking:
    """Looks for items in the rows of a batch."""

    def __init__(self, items: Items, overlap: float, *, any_details: bool) -> None:
        """Look for these.

        Args:
            items: of all sets.
            overlap: share of a part's runs that is not yet a hit.
            any_details: whether a text of other numbers or names than the question may be a hit.
        """
        self._items = items
        self._overlap = overlap
        self._any = any_details

    def find(self, batch: pa.RecordBatch, columns: Sequence[str]) -> Found:
        """Return what rows hold.

        Args:
            batch: rows.
            columns: that are looked at.
        """
        read = [_Column(name, batch.column(name)) for name in columns]
        hits: list[Hit] = []
        for column in read:
            before = 0
            for tokens in column.pieces:
                hits += self._in_piece(tokens, before, column, read)
                before += len(tokens.ends)
        found = self._told(batch.num_rows, hits, read)
        found.is_redacted = any(bool(column.redacted.any()) for column in read)
        found.parts = frozenset(hit.part for hit in hits)
        return found

    def _in_piece(
        self, tokens: Runs, before: int, column: _Column, read: list[_Column]
    ) -> Iterator[Hit]:
        items = self._items
        held = items.index.held_by(tokens)
        alone = ~items.is_short[held.parts] & (held.shares > self._overlap)
        paired = items.answered[held.parts] & ~alone & (held.shares > self._overlap / 2)
        for at in np.flatnonzero(alone | paired).tolist():
            text, part = int(held.texts[at]), int(held.parts[at])
            share = float(held.shares[at])
            own = tokens.numbers[tokens.starts[text] : tokens.ends[text]]
            is_whole = share >= _ALL or self._any
            if not (is_whole or self._has_numbers(part, own, column, before + text)):
                continue
            row = int(column.rows[before + text])
            rule = ANSWER if items.is_answer[part] else QUESTION
            if not (alone[at] and (is_whole or items.has_names(part, own))):
                if not items.answer_in(part, _of_row(read, row)):
                    continue
                rule = PAIR
            yield Hit(row, column.where(before + text), part, rule, share)
        if items.nearly is None:
            return
        for text, part, likeness in items.nearly.found(tokens):
            own = tokens.numbers[tokens.starts[text] : tokens.ends[text]]
            has_numbers = self._any or self._has_numbers(part, own, column, before + text)
            if self._any or (has_numbers and items.has_names(part, own)):
                row = int(column.rows[before + text])
                yield Hit(row, column.where(before + text), part, NEAR, likeness)

    def _has_numbers(self, part: int, own: np.ndarray, column: _Column, text: int) -> bool:
        """Return whether a text has a part's numbers, as tokens, or they were redacted in it."""
        if self._items.has_numbers(part, own):
            return True
        question = self._items.texts[part]
        return bool(column.redacted[text]) and are_hidden(question, column.said(text))

    def _told(self, rows: int, hits: list[Hit], read: list[_Column]) -> Found:
        found = Found([None] * rows)
        best: dict[int, Hit] = {}
        others: dict[int, set[tuple[int, str]]] = {}
        places = set()
        for hit in hits:
            if hit.row not in best or hit.rank < best[hit.row].rank:
                best[hit.row] = hit
            others.setdefault(hit.row, set()).add((hit.part, hit.where))
            places |= {(hit.row, of, hit.where) for of in self._items.parts[hit.part].sets}
        for row, hit in sorted(best.items()):
            found.reasons[row] = self._reason(hit, len(others[row]) - 1, read)
        for (of, where), count in sorted(Counter(place[1:] for place in places).items()):
            found.hits.setdefault(self._items.names[of], {})[where] = count
        found.rules = dict(Counter(hit.rule for hit in best.values()))
        return found

    def _reason(self, hit: Hit, others: int, read: list[_Column]) -> str:
        items = self._items
        part = items.parts[hit.part]
        what = "answer" if part.is_answer else "question"
        item = f"the {what} of row {part.row} of {items.names[part.of]}"
        run = items.measures.run(is_unspaced=part.unspaced)
        words = "letters" if part.unspaced else "words"
        if hit.rule == NEAR:
            told = f"is nearly {item}: Jaccard {hit.share:.4f}"
        elif hit.share >= _ALL:
            told = f"has {item}, all of it"
        else:
            told = f"has {item}: {hit.share:.4f} of its runs of {run} {words}"
        if not part.is_answer and items.answer_in(hit.part, _of_row(read, hit.row)):
            told += ", and its answer is there"
        more = f" (and {others} more)" if others else ""
        return f"its column {hit.where} {told}{more}"


def _of_row(read: list[_Column], row: int) -> list[np.ndarray]:
    return [text for column in read for text in column.texts(row)]
