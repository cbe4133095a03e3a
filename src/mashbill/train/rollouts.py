"""Rollouts: what a student sampled in a step, as rows, with all that the step learns from.

A row is one attempt:

======================  ========================================================================
``prompt``              what was asked: a text, or turns as JSON
``completion``          what was sampled, without the tokens that end it
``prompt_ids``, ``ids``  token ids, list<int32>; ``ids`` with the end token, where one came
``logprobs``            of each of ``ids``, by the student as it sampled, at that temperature; nats,
                        list<float32>
``finish``              ``stop``, or ``length`` where no end came within ``max_new_tokens``
``step``                of the optimiser, from 0
``group``, ``sample``   which prompt of the step, and which attempt at it, from 0
======================  ========================================================================

and what its scorers say beside them. ``_from`` is the row of the prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.record import FROM
from mashbill.train.batches import cut, longest_first

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mashbill.models.sampled import Sampled

SCHEMA = pa.schema(
    [
        ("prompt", pa.string()),
        ("completion", pa.string()),
        ("prompt_ids", pa.list_(pa.int32())),
        ("ids", pa.list_(pa.int32())),
        ("logprobs", pa.list_(pa.float32())),
        ("finish", pa.string()),
        ("step", pa.int32()),
        ("group", pa.int32()),
        ("sample", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Asked:
    """One attempt before it is made."""

    position: int
    """row of its prompt, over all inputs"""
    prompt: str
    prompt_ids: list[int]
    group: int
    sample: int


@dataclass(frozen=True)
class Rollouts:
    """The rollouts of one step, or a part of them."""

    table: pa.Table

    @classmethod
    def of(
        cls, step: int, asked: Sequence[Asked], made: Sequence[Sampled], texts: Sequence[str]
    ) -> Rollouts:
        """Put together what was asked and what was sampled; all have the same length."""
        columns: dict[str, Any] = {
            "prompt": [one.prompt for one in asked],
            "completion": list(texts),
            "prompt_ids": [one.prompt_ids for one in asked],
            "ids": [one.ids for one in made],
            "logprobs": [one.logprobs for one in made],
            "finish": [one.finish for one in made],
            "step": [step] * len(asked),
            "group": [one.group for one in asked],
            "sample": [one.sample for one in asked],
        }
        table = pa.table(columns, schema=SCHEMA)
        places = pa.array([one.position for one in asked], pa.int64())
        return cls(table.append_column(FROM, places))

    @classmethod
    def joined(cls, parts: Sequence[Rollouts]) -> Rollouts:
        """Return parts of a step as one."""
        return cls(pa.concat_tables([part.table for part in parts]).combine_chunks())

    def with_columns(self, columns: Mapping[str, pa.Array]) -> Rollouts:
        """Return them with what scorers say, before ``_from``."""
        table = self.table.drop_columns([FROM])
        for name, values in columns.items():
            table = table.append_column(name, values)
        return Rollouts(table.append_column(FROM, self.table.column(FROM)))

    def __len__(self) -> int:
        """Return the number of rollouts."""
        return int(self.table.num_rows)

    @property
    def step(self) -> int:
        """The step that they are of."""
        return int(self.table.column("step")[0].as_py())

    @cached_property
    def prompt_ids(self) -> list[list[int]]:
        """Token ids of each prompt."""
        found: list[list[int]] = self.table.column("prompt_ids").to_pylist()
        return found

    @cached_property
    def ids(self) -> list[list[int]]:
        """Token ids of each completion."""
        found: list[list[int]] = self.table.column("ids").to_pylist()
        return found

    @cached_property
    def logprobs(self) -> list[list[float]]:
        """Log-probability of each of ``ids`` as it was sampled, nats."""
        found: list[list[float]] = self.table.column("logprobs").to_pylist()
        return found

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of prompt and completion together, int64, shape (rollouts,)."""
        return np.array(
            [len(a) + len(b) for a, b in zip(self.prompt_ids, self.ids, strict=True)], np.int64
        )

    @cached_property
    def sampled_tokens(self) -> np.ndarray:
        """Tokens of each completion, int64, shape (rollouts,)."""
        return np.array([len(ids) for ids in self.ids], np.int64)

    @cached_property
    def group(self) -> np.ndarray:
        """The group of each, int64, shape (rollouts,)."""
        return np.asarray(self.table.column("group").to_numpy(), np.int64)

    @cached_property
    def is_cut(self) -> np.ndarray:
        """Whether no end came, bool, shape (rollouts,)."""
        return np.array([why == "length" for why in self.column("finish")], bool)

    def column(self, name: str) -> list[Any]:
        """Return a column of its scorers as a list."""
        found: list[Any] = self.table.column(name).to_pylist()
        return found

    def pairs(self, numbers: Iterable[int]) -> list[tuple[list[int], list[int]]]:
        """Return ids of prompt and completion of some rollouts."""
        return [(self.prompt_ids[number], self.ids[number]) for number in numbers]

    def numbers(self, name: str) -> np.ndarray:
        """Return a column of numbers, float64, NaN where there is none, shape (rollouts,)."""
        return as_numbers(self.column(name))

    def micro(
        self, most: int, rank: int = 0, size: int = 1, *, shared: bool = False
    ) -> list[list[int]]:
        """Return rollouts in micro-batches of at most ``most`` tokens, the longest first.

        Args:
            most: tokens.
            rank: which of the processes computes them: each has rollouts of like lengths.
            size: how many processes there are.
            shared: whether the prompt of rollouts that stand side by side is computed once; those
                of one prompt are then kept together, as far as there is work for all processes.
        """
        units, tokens = self._families(most) if shared else ([], np.empty(0, np.int64))
        if len(units) < size:
            units, tokens = [[number] for number in range(len(self))], self.lengths
        order = longest_first(np.arange(len(units)), tokens)
        micros = cut(order[rank::size], tokens, most)
        return [[number for unit in micro for number in units[unit]] for micro in micros]

    def _families(self, most: int) -> tuple[list[list[int]], np.ndarray]:
        """Return rollouts by their prompts, and the tokens of each family, its prompt's once.

        A family of more than ``most`` tokens is cut.
        """
        units: list[list[int]] = []
        tokens: list[int] = []
        last = -1
        for number, group in enumerate(self.group.tolist()):
            own = len(self.ids[number])
            if group != last or tokens[-1] + own > most:
                units.append([])
                tokens.append(len(self.prompt_ids[number]))
            units[-1].append(number)
            tokens[-1] += own
            last = group
        return units, np.array(tokens, np.int64)


def as_numbers(values: Sequence[float | None]) -> np.ndarray:
    """Return numbers as float64, NaN where there is none."""
    return np.array([np.nan if value is None else value for value in values], np.float64)
