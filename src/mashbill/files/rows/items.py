"""The items of evaluation sets, as ``decontaminate`` looks for them: questions and answers.

A set is a stage of the recipe or a file beside it. Each column that is named is a part of an item:
a question is looked for by itself, an answer by itself only if it is long enough to tell anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.errors import InputError
from mashbill.core.letters import UNSPACED
from mashbill.core.literals import Literals
from mashbill.files.listing import File
from mashbill.files.rows.cells import as_text
from mashbill.files.rows.chunks import Manner, read_chunks
from mashbill.files.rows.glance import glance_at
from mashbill.files.rows.nearly import Nearly
from mashbill.files.rows.overlap import Parts, stands_in
from mashbill.files.rows.said import whole
from mashbill.files.rows.tokens import Runs, tokens_of, wholes_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from mashbill.core.stage import StageContext
    from mashbill.files.rows.cells import Cells
    from mashbill.files.rows.chunks import Chunk

_READ = 8192
_UNSPACED = re.compile(f"[{UNSPACED}]")
_NUMBER = re.compile(r"(?<![\w.,'])(?=\w*\d)\w+(?!\w|[.,']\d)")
_AROUND = ".,!?:;…()[]{}\"'“”‘’"  # noqa: RUF001
_ENDS = ".!?:;…\"'”)"  # behind which a word may be large for another reason than that it is a name
_LETTERS, _UNSPACED_LETTERS = 16, 8
"""of a short question and its answer together, to be looked for as a pair"""


class Against(Literals):
    """One evaluation set: a table ``against.NAME``."""

    file: str | None = None
    """file of the set, beside the recipe; if absent, NAME is the stage that has it"""
    question: tuple[str, ...] = Field(min_length=1)
    """columns that say what is asked; each is looked for by itself"""
    answer: tuple[str, ...] = ()
    """columns that say what is right"""

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        if isinstance(given, dict):
            keys = ("question", "answer")
            return {
                key: (value,) if key in keys and isinstance(value, str) else value
                for key, value in given.items()
            }
        return given

    @model_validator(mode="after")
    def _tells_them_apart(self) -> Self:
        both = [*self.question, *self.answer]
        if len(set(both)) < len(both):
            msg = f"question and answer name a column twice: {', '.join(both)}"
            raise ValueError(msg)
        return self


@dataclass(frozen=True)
class Lengths:
    """How long what is looked for has to be."""

    words: int
    """words of a run"""
    characters: int
    """letters of a run, where most of a text is of a script without spaces"""
    common: int
    """parts that a run may stand in, and still tell something"""
    near: float | None
    """least Jaccard similarity of a text that is nearly a question; None not to look"""

    def run(self, *, is_unspaced: bool) -> int:
        """Return the tokens of a run."""
        return self.characters if is_unspaced else self.words

    def least(self, *, is_unspaced: bool) -> int:
        """Return the tokens that a question has at least to be looked for by itself."""
        return -(-self.run(is_unspaced=is_unspaced) * 5 // 8)


@dataclass
class Part:
    """A text of an item."""

    of: int
    """number of the set"""
    row: int
    """row of the set"""
    column: str
    is_answer: bool
    unspaced: bool
    letters: int
    answers: list[int] = field(default_factory=list)
    """the parts that are answers to it"""
    sets: list[int] = field(default_factory=list)
    """the sets that have this very text"""


class Items:
    """All parts of all sets, with what finds them in texts."""

    def __init__(
        self, names: list[str], parts: list[Part], texts: list[str], measures: Lengths
    ) -> None:
        """Put them in order.

        Args:
            names: of the sets.
            parts: of items; each question tells its answers by their places.
            texts: of each part.
            measures: lengths.
        """
        self.names, self.parts, self.measures = names, parts, measures
        self.texts = texts
        self.tokens = tokens_of(pa.array(texts, pa.large_string()))
        self._counts = self.tokens.counts
        lengths = self._once(self._lengths())
        self.index = Parts(self.tokens, lengths, measures.common)
        self.is_short = self._short(lengths)
        self.common = (lengths > 0) & (self.index.totals == 0)
        numbers = [" ".join(_NUMBER.findall(text)) for text in texts]
        self._numbers = tokens_of(pa.array(numbers, pa.large_string()))
        names = [" ".join(names_in(text)) for text in texts]
        self._names = tokens_of(pa.array(names, pa.large_string()))
        self.answered = np.array([bool(part.answers) for part in parts], bool)
        self.is_answer = np.array([part.is_answer for part in parts], bool)
        self.nearly: Nearly | None = None
        if measures.near is not None:
            asked = [
                place
                for place in np.flatnonzero(lengths).tolist()
                if not parts[place].is_answer and self._counts[place] >= measures.words
            ]
            self.nearly = Nearly(self.tokens, np.array(asked, np.int64), measures.near)

    def _lengths(self) -> np.ndarray:
        """Return the tokens of each part's runs; 0 for one too short to be looked for at all."""
        found = np.zeros(len(self.parts), np.int64)
        for place, part in enumerate(self.parts):
            run = self.measures.run(is_unspaced=part.unspaced)
            least = run if part.is_answer else self._least(part)
            if self._counts[place] >= least:
                found[place] = min(run, self._counts[place])
        return found

    def _least(self, part: Part) -> int:
        """Return how many tokens a question needs: few, if it has an answer to be found with."""
        wanted = _UNSPACED_LETTERS if part.unspaced else _LETTERS
        answered = any(
            self._counts[answer] and part.letters + self.parts[answer].letters >= wanted
            for answer in part.answers
        )
        return 2 if answered else self.measures.least(is_unspaced=part.unspaced)

    def _short(self, lengths: np.ndarray) -> np.ndarray:
        """Return which questions count only with an answer: too short to tell anything alone."""
        least = [self.measures.least(is_unspaced=part.unspaced) for part in self.parts]
        return (lengths > 0) & (self._counts < np.array(least, np.int64).reshape(-1))

    def _once(self, lengths: np.ndarray) -> np.ndarray:
        """Leave of parts with the same words only the first, which names all its sets."""
        firsts: dict[tuple[int, bool], int] = {}
        whole_texts = wholes_of(self.tokens).tolist()
        for place in np.flatnonzero(lengths).tolist():
            part = self.parts[place]
            first = firsts.setdefault((whole_texts[place], part.is_answer), place)
            told = self.parts[first]
            if part.of not in told.sets:
                told.sets.append(part.of)
            if first != place:
                lengths[place] = 0
                told.answers += [one for one in part.answers if one not in told.answers]
        return lengths

    def own(self, part: int) -> np.ndarray:
        """Return the tokens of a part."""
        found: np.ndarray = self.tokens.numbers[self.tokens.starts[part] : self.tokens.ends[part]]
        return found

    def has_numbers(self, part: int, text: np.ndarray) -> bool:
        """Return whether all numbers of a part stand in a text, as tokens."""
        return _all_in(self._numbers, part, text)

    def has_names(self, part: int, text: np.ndarray) -> bool:
        """Return whether all names of a part stand in a text, as tokens."""
        return _all_in(self._names, part, text)

    def answer_in(self, part: int, texts: list[np.ndarray]) -> bool:
        """Return whether an answer to a question stands in one of these texts, as tokens."""
        return any(
            stands_in(self.own(answer), text)
            for answer in self.parts[part].answers
            for text in texts
        )

    def rows_of(self, held: Collection[int]) -> set[int]:
        """Return the rows of which a part is held, those that say the same among them.

        Args:
            held: parts that were found, by their places; of those with the same words the first.
        """
        same = wholes_of(self.tokens)
        found = {(same[place], self.parts[place].is_answer) for place in held}
        return {
            part.row
            for place, part in enumerate(self.parts)
            if (same[place], part.is_answer) in found
        }

    def told(self) -> dict[str, dict[str, int]]:
        """Return of each set how many questions it has, and how they are looked for."""
        found = {}
        for of, name in enumerate(self.names):
            own = [p for p, part in enumerate(self.parts) if part.of == of and not part.is_answer]
            looked = [
                place
                for place, part in enumerate(self.parts)
                if of in part.sets and not part.is_answer and self.index.totals[place] > 0
            ]
            found[name] = {
                "questions": len(own),
                "looked_for": len(looked),
                "looked_for_with_their_answer": int(self.is_short[looked].sum()),
                "of_common_text": int(self.common[own].sum()),
            }
        return found


def _all_in(words: Runs, part: int, text: np.ndarray) -> bool:
    return bool(np.isin(words.numbers[words.starts[part] : words.ends[part]], text).all())


def names_in(text: str) -> list[str]:
    """Return the words of a text that are written large, though no sentence begins with them.

    None where most words are: then it says nothing.
    """
    words = text.split()
    found, is_new = [], True
    for word in words:
        bare = word.strip(_AROUND)
        # One with a point within it may be written without.
        if bare[:1].isupper() and bare.isalpha() and not is_new and bare != "I":
            found.append(bare)
        is_new = word[-1] in _ENDS
    return found if 2 * len(found) < len(words) else []


def read_items(against: dict[str, Against], ctx: StageContext, measures: Lengths) -> Items:
    """Read all evaluation sets.

    Raises:
        InputError: if a file cannot be read, or a set lacks a column.
    """
    parts: list[Part] = []
    texts: list[str] = []
    for of, (name, one) in enumerate(against.items()):
        row = 0
        for columns in _columns(name, one, ctx):
            own = {column: _texts(values) for column, values in columns.items()}
            for at in range(len(next(iter(own.values())))):
                first = len(parts)
                answers = list(range(first, first + len(one.answer)))
                for column in (*one.answer, *one.question):
                    text = own[column][at] or ""
                    unspaced = 2 * len(_UNSPACED.findall(text)) > len(text)
                    letters = sum(map(str.isalnum, text))
                    part = Part(of, row + at, column, column in one.answer, unspaced, letters)
                    part.answers = [] if part.is_answer else answers
                    parts.append(part)
                    texts.append(text)
            row += len(next(iter(own.values())))
    return Items(list(against), parts, texts, measures)


def _columns(name: str, one: Against, ctx: StageContext) -> Iterator[dict[str, pa.Array]]:
    """Yield the columns of a set that are named, some rows at a time."""
    wanted = [*one.question, *one.answer]
    if one.file is None:
        data = ctx.input(name)
        for start in range(0, data.num_rows, _READ):
            rows = data.read(start, min(start + _READ, data.num_rows), wanted)
            yield {column: rows.column(column).combine_chunks() for column in wanted}
        return
    path: Path = ctx.recipe_folder / one.file
    seen: set[str] = set()
    for chunk in read_chunks(path, one.file, Manner()):
        seen |= chunk.columns.keys()
        _check_chunk(chunk, one.file)
        if chunk.rows:
            yield {
                column: _of_file(chunk.columns[column])
                if column in chunk.columns
                else pa.nulls(chunk.rows, pa.string())
                for column in wanted
            }
    if not seen:
        raise InputError(_empty(one.file))
    for column in wanted:
        if column not in seen:
            msg = (
                f"{one.file} has no column {column!r}; it has {', '.join(sorted(seen))}; correct "
                f"against.{name} in the recipe"
            )
            raise InputError(msg)


def columns_of_file(folder: Path, name: str) -> tuple[str, ...] | None:
    """Return the columns of an evaluation set's file; None of one that is too long to look through.

    Args:
        folder: that of the recipe.
        name: of the file, there.

    Raises:
        InputError: if it cannot be read, as far as was looked.
    """
    seen = glance_at([File(name, name, folder / name, "")], Manner(), _check_chunk)
    if not seen.columns:
        raise InputError(_empty(name))
    return seen.columns if seen.is_exact else None


def _empty(name: str) -> str:
    return f"{name} is empty: it has no row of which something could be looked for"


def _check_chunk(chunk: Chunk, name: str) -> None:
    for at, (_, reason) in chunk.bad.items():
        msg = f"{name}: {chunk.where(at)} {reason}; mend it, so that nothing is left out"
        raise InputError(msg)


def _of_file(cells: Cells) -> pa.Array:
    if not cells.is_json:
        return cells.array
    told = [None if value is None else as_text(value) for value in cells.values()]
    return pa.array(told, pa.large_string())


def _texts(values: Any) -> list[str | None]:
    """Return what cells of any type say; numbers as they are written in texts."""
    held = values.type
    if pa.types.is_string(held) or pa.types.is_large_string(held) or pa.types.is_nested(held):
        found: list[str | None] = whole(values).to_pylist()
        return found
    return [
        None
        if value is None
        else as_text(int(value) if isinstance(value, float) and value.is_integer() else value)
        for value in values.to_pylist()
    ]
