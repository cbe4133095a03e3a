"""``prefer``: preference pairs and rankings of completions of the same prompts.

Which of two is better is said by judges (``how = "judge"``, :mod:`mashbill.stages.voting`), by a
score that the rows have (``"reward"``), or by the recipe, of two datasets (``"declared"``). Which
two are compared says :mod:`mashbill.stages.pairing`, and what a row looks like
:mod:`mashbill.stages.preference_shapes`. A tie is never decided by chance or place: its row is
rejected, or kept and marked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.errors import InputError
from mashbill.core.explaining import check_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.teacher import Asks, Choosing
from mashbill.stages.completions import Completions
from mashbill.stages.judging import FileName, Template
from mashbill.stages.pairing import Pairs, Rule, groups_of, matched, within
from mashbill.stages.prefer_controls import MOST_TRIED, try_judges
from mashbill.stages.preference_rows import Rows
from mashbill.stages.preference_shapes import OF_PROMPTS, Shape
from mashbill.stages.preferring import Found, by_judges, by_reward, declared, measure
from mashbill.stages.rankings import SCORE, TEXT, laid_out
from mashbill.stages.voting import Asking, Votes, prompt_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext

_LOOKED_AT = 64  # pairs among which those of negative controls are
_NEW = frozenset(
    {"inputs", "how", "judges", "swap", "votes", "group", "pairs", "score", "ties", "tie_within",
     "gold", "shape", "asked", "column", "accepts", "tie_answer"}
)  # fmt: skip


class PreferSpec(StageSpec):
    """``kind = "prefer"``."""

    streams = False
    merges = True
    repeats: ClassVar[bool] = True
    heeds_trial: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("one", "other", "teacher", "inputs", "judges")
    added: ClassVar[frozenset[str]] = _NEW

    kind: Literal["prefer"] = "prefer"
    one: str = ""
    """dataset of completions, with columns prompt and text"""
    other: str = ""
    """dataset of other completions of the same prompts"""
    teacher: str = ""
    """which of [teachers.*] judges, asked one way round; judges names one or several more"""
    prompt: FileName = ""
    """file beside the recipe, with {{ prompt }}, {{ first }} and {{ second }}, for judges: each on
    a line; or as Jinja, as they are, if its name ends in .jinja"""
    on: tuple[str, ...] = ("prompt", "sample")
    """columns by which completions of one and other are paired"""
    answers: tuple[str, str] = (" A", " B")
    """what the judge would write next for the first and for the second"""
    max_chars: int = Field(default=4000, gt=0)
    """longer prompts and completions are cut for the judge"""
    inputs: tuple[str, ...] = ()
    """datasets of completions, in place of one and other: any number"""
    how: Literal["judge", "reward", "ranking", "declared"] = "judge"
    """who says which is better: judges; the column score; a list of completions with scores that
    each row has; or the recipe: one's before other's"""
    judges: tuple[str, ...] = ()
    """which of [teachers.*] judge, each pair both ways round"""
    swap: bool | None = None
    """whether each pair is asked both ways round; if absent, with judges and not with teacher"""
    votes: Votes = "majority"
    """how several judges come to a verdict: more than half of those that answered, all of them
    (unanimous), or the sign of their mean log-odds (margin)"""
    group: tuple[str, ...] = Field(default=("prompt",), min_length=1)
    """columns that completions of one prompt share, for inputs and for reward"""
    pairs: Rule | Literal[""] = ""
    """which two of a prompt: best-worst, best-rest, all, or across (of different inputs); if empty
    best-worst by reward, across by judges, and all where a row is a prompt"""
    score: str = "score"
    """column that reward goes by; a row without one is in no pair. For a ranking the list of
    scores (scores if it is left out); empty if they stand in the list's objects, or it is ranked"""
    tie_answer: str = ""
    """what a judge would write next where neither is better; empty if it is not asked to"""
    ties: Literal["reject", "keep"] = "reject"
    """what becomes of pairs of which neither is better"""
    tie_within: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """difference of scores, or log-odds of a judge, up to which neither is better"""
    gold: str = ""
    """column with what people prefer, to hold verdicts against: a number a completion, or the name
    of the preferred input, or tie"""
    shape: Shape = "text"
    """columns of a row: text, messages, implicit, implicit-messages (TRL's), ultrafeedback; and
    where a row is a prompt: ranking, dpo, completions (UltraFeedback's)"""
    asked: str = "prompt"
    """column with what was asked"""
    column: str = "text"
    """column with the completion; for a ranking the list of them (completions if left out)"""
    accepts: str = Field(default="", max_length=400)
    """in words, why judges are asked that prefer junk to completions, such as small models that are
    measured; it is kept in the manifest"""

    @model_validator(mode="after")
    def _has_completions(self) -> PreferSpec:
        both = bool(self.one) + bool(self.other)
        if (self.inputs and both) or (not self.inputs and both < 2):
            msg = "name the completions: one and other, two datasets; or inputs, any number"
            raise ValueError(msg)
        if len(set(self.names)) < len(self.names):
            msg = "one and other must be two datasets, and each of inputs is named once"
            raise ValueError(msg)
        if self.how == "declared" and self.inputs:
            msg = "how = \"declared\" prefers one's completions to other's: set these, not inputs"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _has_judges(self) -> PreferSpec:
        if len({*self.answers, self.tie_answer}) < 3:
            msg = "answers must be two words, and tie_answer another one"
            raise ValueError(msg)
        if self.how != "judge":
            strange = [key for key in ("teacher", "judges", "prompt", "swap") if getattr(self, key)]
            if strange:
                msg = f"{', '.join(strange)} is for judges, and how = {self.how!r} asks none"
                raise ValueError(msg)
            return self
        if bool(self.teacher) == bool(self.judges) or not self.prompt:
            msg = (
                "name who judges: judges, some of [teachers.*], or teacher, one of them; and the "
                'file prompt; or set how = "reward" or "declared"'
            )
            raise ValueError(msg)
        if len(set(self.judges)) < len(self.judges):
            msg = "each of judges is named once"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _pairs_fit(self) -> PreferSpec:
        if self.pairs and not self._in_groups:
            msg = "pairs is for inputs and for reward; one and other are paired by on"
            raise ValueError(msg)
        if self.how == "judge" and self.pairs in {"best-worst", "best-rest"}:
            msg = f'pairs = {self.pairs!r} goes by scores: set how = "reward", or pairs = "all"'
            raise ValueError(msg)
        if self._rule == "across" and len(self.names) < 2:
            msg = 'pairs = "across" compares different inputs, and there is one: set "all"'
            raise ValueError(msg)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The datasets of completions."""
        return self.inputs or (self.one, self.other)

    @property
    def who(self) -> tuple[str, ...]:
        """The judges."""
        return self.judges or ((self.teacher,) if self.teacher else ())

    @property
    def swaps(self) -> bool:
        """Whether each pair is asked both ways round."""
        return bool(self.judges) if self.swap is None else self.swap

    @property
    def is_short(self) -> bool:
        """Whether it says no more than it could in the first release: rows are then as they were.

        One judge, asked one way round, about two datasets.
        """
        return all(
            getattr(self, key) == type(self).model_fields[key].default
            for key in _NEW - {"gold", "asked", "column", "tie_within", "tie_answer"}
        )

    @property
    def leaves_some_out(self) -> bool:
        """Whether pairs are of some completions of a prompt alone, as of the best and the worst."""
        return self._in_groups and self._rule == "best-worst"

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that completions share which are compared."""
        return self.group if self._in_groups else self.on

    @property
    def _in_groups(self) -> bool:
        return bool(self.inputs) or self._by_score

    @property
    def _by_score(self) -> bool:
        return self.how in {"reward", "ranking"}

    @property
    def read_as(self) -> tuple[str, str]:
        """The columns with the completions and their scores, as they are gone through."""
        return (TEXT, SCORE) if self.how == "ranking" else (self.column, self.score)

    @property
    def _rule(self) -> Rule:
        if self.pairs:
            return self.pairs
        if self._by_score:
            return "all" if self.shape in OF_PROMPTS else "best-worst"
        return "across" if len(self.names) > 1 else "all"

    def uses(self) -> tuple[Uses, ...]:
        """The completions, and who judges them."""
        return (
            *(Uses(name, "rows", Channel.CONTENT) for name in self.names),
            *(Uses(name, "actor", Channel.JUDGEMENT, is_teacher=True) for name in self.who),
        )

    def files(self) -> tuple[str, ...]:
        """The prompt of judges."""
        return (self.prompt,) if self.prompt else ()

    def choosings(self, folder: Path) -> tuple[Choosing, ...]:
        """The words that go on from the prompt."""
        if not self.who:
            return ()
        prompt = prompt_of(folder / self.prompt)
        if not isinstance(prompt, Template):
            return ()  # a chat's turn: an answer begins anew
        before = prompt.ending()
        words = {"answers[0]": self.answers[0], "answers[1]": self.answers[1]}
        words |= {"tie_answer": self.tie_answer} if self.tie_answer else {}
        return tuple(Choosing(name, self.prompt, before, words) for name in self.who)

    def check(self, folder: Path) -> None:
        """Read the prompt."""
        if self.prompt:
            prompt_of(folder / self.prompt)

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that the columns are there, in all datasets of which they are known."""
        del folder
        (key, text), (scores, score) = self._read_of()
        named = [("group" if self._in_groups else "on", name) for name in self.keys]
        named += [("asked", self.asked), (key, text), ("gold", self.gold)]
        named += [(scores, score)] if self._by_score else []
        for name in self.names:
            check_columns(named, columns.get(name), name)

    def _read_of(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return the columns of rows with the completions and the scores, each with its key."""
        column, score = self.column, self.score
        if self.how == "ranking":
            told = self.model_fields_set
            column = column if "column" in told else "completions"
            score = score if "score" in told else "scores"
        return ("column", column), ("score", score)

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """As many as the first input has, of two datasets; of groups it cannot be said."""
        return None if self._in_groups else super().expected_rows(inputs)

    def asks(self, rows: Mapping[str, int], data: Mapping[str, Dataset], folder: Path) -> Asks:
        """One or two questions a pair and judge; how many there are, the completions say."""
        del folder
        once = tuple(name for name in self.who for _ in range(1 + self.swaps))
        if not once:
            return Asks(0, 0, (), ())
        if not all(name in data for name in self.names):
            return Asks(0, 0, once, None)
        keys = list(dict.fromkeys(self.keys))
        wanted = [*keys, *([self.column] if self._in_groups else [])]
        there = [
            data[name].read(0, rows[name], [c for c in wanted if c in data[name].columns])
            for name in self.names
        ]
        pairs = len(self._pairs(Completions(there, self.names)))
        tried = MOST_TRIED * (1 if self.swaps else 2) if self.judges and pairs else 0
        return Asks(pairs, pairs + tried, once, once)

    def _pairs(self, given: Completions) -> Pairs:
        """Return which two are compared.

        Raises:
            InputError: naming dataset and column, if one is missing or of another type.
        """
        if not self._in_groups:
            one, other = given.tables
            return matched(one, other, self.on, (self.one, self.other))
        groups = groups_of(given.tables, self.names, self.group)
        column, score = self.read_as
        given.check(column, "is to hold completions")
        usable = given.has(column)
        if self._by_score:
            scores, texts = given.numbers(score), given.columns(column)
            return within(groups, usable, self._rule, given.inputs, scores, texts)
        return within(groups, usable, self._rule, given.inputs)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield pairs, or prompts with their completions, in the shape of the recipe.

        Rejected are ties (unless they are kept), equal completions, and what was not judged.

        Raises:
            InputError: if there are no pairs, or a column is missing.
        """
        given = self._given([pa.Table.from_batches(records), *self._others(ctx)])
        pairs = self._pairs(given)
        if not len(pairs):
            raise InputError(self._no_pairs(given))
        if ctx.trial is not None:
            pairs = pairs[: ctx.trial]
        found = self._found(given, pairs, ctx)
        measure(self, given, pairs, found, ctx)
        yield from Rows(self, given, pairs, found).batches()

    def _others(self, ctx: StageContext) -> Sequence[pa.Table]:
        sets = [ctx.input(name) for name in self.names[1:]]
        return [data.read(0, data.num_rows) for data in sets]

    def _given(self, tables: Sequence[pa.Table]) -> Completions:
        """Return the completions of all datasets; those of rankings a row each.

        Raises:
            InputError: if a column is not there, or holds no list.
        """
        if self.how != "ranking":
            return Completions(tables, self.names)
        (_, column), (_, score) = self._read_of()
        keys = dict.fromkeys([*self.group, self.asked, *([self.gold] if self.gold else [])])
        both = [
            laid_out(table, name, column, score, list(keys))
            for table, name in zip(tables, self.names, strict=True)
        ]
        sizes = [table.num_rows for table in tables]
        return Completions([t for t, _ in both], self.names, [rows for _, rows in both], sizes)

    def _found(self, given: Completions, pairs: Pairs, ctx: StageContext) -> Found:
        if self.how == "declared":
            return declared(len(pairs))
        if self._by_score:
            return by_reward(given.numbers(self.read_as[1]), pairs, self.tie_within)
        how = Asking(
            prompt_of(ctx.recipe_folder / self.prompt), self.answers, self.max_chars, ctx.seed,
            self.swaps, self.tie_within, self.tie_answer,
        )  # fmt: skip
        teachers = {name: ctx.teacher(name) for name in self.who}
        if self.judges:
            some = pairs.first[:_LOOKED_AT]
            texts = (given.texts(some, column) for column in (self.asked, self.column))
            both = [(prompt or "", text or "") for prompt, text in zip(*texts, strict=True)]
            ctx.measures["controls"] = try_judges(teachers, how, both, self.accepts, ctx)
        return by_judges(teachers, how, self.votes, given, pairs, (self.asked, self.column))

    def _no_pairs(self, given: Completions) -> str:
        keys = ", ".join(self.keys)
        if not self._in_groups:
            return (
                f"{self.one} and {self.other} have no {keys} in common, so there are no pairs; "
                "make both from the same prompts, or set 'on'"
            )
        scored = ""
        if self._by_score:
            lacking = int(np.isnan(given.numbers(self.read_as[1])).sum())
            scored = f" with a {self.score} ({lacking:,} of {len(given):,} rows have none)"
        return (
            f"no two completions of {' and '.join(self.names)}{scored} have the same {keys}, so "
            "there are no pairs; make several of each prompt, or set 'group'"
        )
