"""``reasoning-gym``: tasks that a program makes, as many as are asked for, each by its seed.

    [stages.sums]
    kind = "reasoning-gym"

    [stages.sums.levels.easy]
    generator = "chain_sum"
    rows = 50
    config = { min_terms = 2, max_terms = 2, min_digits = 1, max_digits = 1 }

    [stages.sums.levels.hard]
    generator = "chain_sum"
    rows = 50
    config = { min_terms = 4, max_terms = 6, min_digits = 2, max_digits = 4 }

A generator is a source of kind ``program``: no model, and no hop. Its own seed plus the number of a
task is the seed of that task, so that two sets with seeds close to each other share most tasks;
here seeds are drawn from the recipe's, the stage's name and the level, and a task that came before
is rejected.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from mashbill.core.errors import InputError
from mashbill.core.json_fields import with_json
from mashbill.core.record import BILL, FROM, REASON, REJECTED_BY
from mashbill.core.source import Source
from mashbill.core.stage import Glance, StageSpec
from mashbill.verifiers.kept_apart import RaisedError, TookTooLongError
from mashbill.verifiers.reasoning_gym.allowed import against, listed, release
from mashbill.verifiers.reasoning_gym.asking import EXTRA, Gym

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.stage import StageContext, Uses

_BATCH = 256  # rows that are yielded at once
_COLUMNS = ("text", "answer", "task_name", "level", "difficulty", "task")
_LONGEST = 4 << 20  # characters of a task


class Level(BaseModel):
    """A generator with one config: tasks of one difficulty."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    generator: str
    """as reasoning-gym names it: ``chain_sum``"""
    rows: int = Field(gt=0, le=1_000_000)
    """tasks to make; those that came before are rejected"""
    config: dict[str, Any] = Field(default={}, max_length=64)
    """keys of the generator's own config; its defaults where they are left out"""

    @field_validator("generator")
    @classmethod
    def _is_there(cls, name: str) -> str:
        if name not in listed()["generators"]:
            raise ValueError(against(name))
        return name

    @field_validator("config")
    @classmethod
    def _is_no_more_than_config(cls, config: dict[str, Any]) -> dict[str, Any]:
        for key in ("seed", "size"):
            if key in config:
                msg = f"has {key}, which follows from rows and from the recipe's seed: leave it out"
                raise ValueError(msg)
        return config


class ReasoningGymTasksSpec(StageSpec):
    """``kind = "reasoning-gym"``."""

    streams: ClassVar[bool] = False
    repeats: ClassVar[bool] = True
    extras: ClassVar[tuple[str, ...]] = (EXTRA,)

    kind: Literal["reasoning-gym"] = "reasoning-gym"
    levels: dict[str, Level] = Field(min_length=1, max_length=256)
    """name of a level -> its generator; the name becomes a column"""
    seconds: float = Field(default=30.0, gt=0, le=600, allow_inf_nan=False)
    """that one task may take to be made"""

    def uses(self) -> tuple[Uses, ...]:
        """Nothing: this is where a chain begins."""
        return ()

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """Those of all levels."""
        del inputs
        return sum(level.rows for level in self.levels.values())

    def glance(self, folder: Path) -> Glance | None:
        """The rows of all levels, whose columns are always the same."""
        del folder
        return Glance(self.expected_rows({}) or 0, True, _COLUMNS, {})  # noqa: FBT003

    def sources(self, folder: Path) -> tuple[Source, ...]:
        """One program a generator."""
        del folder
        return tuple(
            Source(
                name=f"reasoning-gym {name}",
                what="program",
                kind="program",
                route="in-process",
                version=release(),
                license="Apache-2.0",
            )
            for name in self._generators()
        )

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield tasks, those that came before as rejects.

        Raises:
            InputError: naming level, generator and task, if one cannot be made.
        """
        del records
        made, met, gym = 0, dict[bytes, int](), Gym()
        counts: dict[str, int] = ctx.measures.setdefault("levels", {})
        try:
            for name, level in self.levels.items():
                rows: list[dict[str, Any]] = []
                for at in range(level.rows):
                    row = self._row(gym, name, level, at, _seed(ctx, name))
                    said = hashlib.blake2b(row["text"].encode(), digest_size=16).digest()
                    first = met.setdefault(said, made)
                    why = None if first == made else f"duplicate of task {first}"
                    counts[name] = counts.get(name, 0) + (why is None)
                    rows.append({**row, FROM: made, REASON: why})
                    made += 1
                    if len(rows) == _BATCH or at == level.rows - 1:
                        yield self._batch(rows)
                        ctx.progress(made, self.expected_rows({}) or 0, "tasks")
                        rows = []
        finally:
            gym.close()

    def _row(self, gym: Gym, name: str, level: Level, at: int, seed: int) -> dict[str, Any]:
        where = f"levels.{name}: task {at} of {level.generator}"
        try:
            item = gym.ask(
                self.seconds, "task", generator=level.generator, size=level.rows, seed=seed, at=at,
                config=level.config,
            )  # fmt: skip
        except (RaisedError, TookTooLongError) as error:
            msg = f"{where} cannot be made: {error}; correct its config, or take another generator"
            raise InputError(msg) from error
        question, answer = item.get("question"), item.get("answer")
        task = json.dumps(item)
        if not isinstance(question, str) or not question.strip() or len(task) > _LONGEST:
            msg = f"{where} has no question, or one that is too long; take another generator"
            raise InputError(msg)
        hard = item["metadata"].get("difficulty")
        return {
            "text": question,
            "answer": answer if isinstance(answer, str) else None,
            "task_name": level.generator,
            "level": name,
            "difficulty": None if hard is None else json.dumps(hard),
            "task": task,
        }

    def _batch(self, rows: list[dict[str, Any]]) -> pa.RecordBatch:
        numbers = {name: number for number, name in enumerate(self._generators())}
        columns = {name: pa.array([row[name] for row in rows], pa.string()) for name in _COLUMNS}
        reasons = pa.array([row[REASON] for row in rows], pa.string())
        by = [None if row[REASON] is None else self.kind for row in rows]
        batch = pa.RecordBatch.from_pydict(
            {
                **columns,
                BILL: pa.array([numbers[row["task_name"]] for row in rows], pa.int32()),
                FROM: pa.array([row[FROM] for row in rows], pa.int64()),
                REJECTED_BY: pa.array(by, pa.string()),
                REASON: reasons,
            }
        )
        return with_json(batch, ["difficulty", "task"])

    def _generators(self) -> list[str]:
        return list(dict.fromkeys(level.generator for level in self.levels.values()))


def _seed(ctx: StageContext, level: str) -> int:
    """Return the seed of a level, of 31 bits: it follows from the recipe's, stage and level."""
    told = f"{ctx.seed}\0{ctx.name}\0{level}".encode()
    return int.from_bytes(hashlib.sha256(told).digest()[:4]) >> 1
