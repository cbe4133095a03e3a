"""The steps of a training on rollouts, whoever gives the rollouts; and what a trainer adds to them.

Number 0 of several processes has the rollouts and tells the others of them: each learns from its
part, and gradients are summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from mashbill.core.base_model import BaseWeights
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.products import fast_linear
from mashbill.train.batches import Passes
from mashbill.train.memory import freed_memory_kept
from mashbill.train.processes import World
from mashbill.train.rollouts import Rollouts
from mashbill.train.stepping import Stepping, begun
from mashbill.train.told_others import heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np

    from mashbill.core.stage import StageContext
    from mashbill.models.causal_base import CausalBase
    from mashbill.train.prompts import PromptRows
    from mashbill.train.sampled_keys import SampledSpec


class Learner(Protocol):
    """What a trainer adds to the loop."""

    def begin(self, rows: Rollouts) -> Callable[[], Mapping[str, pa.Array]]:
        """Begin to score some rollouts; return what gives the columns that are kept beside them.

        Sampling goes on meanwhile, so whoever asks a service asks it here, and waits there.
        """
        ...

    def learn(self, rows: Rollouts, world: World) -> dict[str, float]:
        """Go back through the losses of a step; return ``loss`` and what else its curves have.

        Each process does so for its own part (:meth:`Rollouts.micro`). Gradients are summed over
        processes afterwards, so each part of a loss is divided by its count over all of them.
        """
        ...

    def weights(self, rows: Rollouts) -> np.ndarray:
        """Return the weight of each rollout's tokens in the loss, 0 where nothing is learned.

        float64, shape (rollouts,); the size of it where it is pushed away from.
        """
        ...

    def end(self, ctx: StageContext, steps: Iterator[Rollouts]) -> None:
        """Tell the context what was measured, and warn of what looks wrong.

        Both of the rollouts and of the model it is called, with all rollouts: what it measures
        follows from them alone, so that a run which was cut off measures the same.
        """
        ...


@dataclass(frozen=True)
class Around:
    """What a trainer makes its :class:`Learner` of."""

    spec: Any
    ctx: StageContext
    student: CausalBase
    base: BaseWeights
    encoder: ConversationTokens
    dtype: str
    rows: PromptRows | None
    """reads rows of prompts, for who scores; None where steps are made again from rollouts"""


class Order:
    """Passes over all prompts, each in an order of its own that follows from the seed."""

    def __init__(self, size: int, spec: SampledSpec, seed: int) -> None:
        """Count the steps; each has ``batch`` prompts, the last ones of a pass with the next's."""
        self._batch = spec.batch
        self.steps = spec.steps_of(size)
        self._passes = Passes(size, seed)

    def of(self, step: int) -> list[int]:
        """Return the prompts of a step."""
        begin = step * self._batch
        found: list[int] = self._passes.of(begin, begin + self._batch).tolist()
        return found


@dataclass
class SampledTraining(Stepping[Any]):
    """The loop, and what it changes."""

    learner: Learner | None = None

    @classmethod
    def of(
        cls,
        spec: SampledSpec,
        ctx: StageContext,
        student: CausalBase,
        order: Order,
        dtype: str,
        world: World,
        learner: Learner,
    ) -> SampledTraining:
        """Begin a training, or go on from its checkpoint."""
        batches: Any = order
        return cls(spec, ctx, student, None, batches, dtype, world, learner)

    def advance(self, rows: Rollouts) -> None:
        """Do the step that these rollouts are of."""
        assert self.learner is not None  # noqa: S101 - each training has one
        self.draw_anew()
        told = self.learner.learn(rows, self.world)
        self.world.sum_gradients(self.parameters)
        told |= {"gradient_norm": self.optimise(told["loss"])}
        self._end_step(told, int(rows.lengths.sum()))

    def _measured(self) -> dict[str, float]:
        """Nothing is held out: what is sampled is scored."""
        return {}

    def keep(self) -> None:
        """Keep what training came to, for the stage that goes on from here."""
        if self.world.rank == 0:
            self._save()


def shared(rows: Rollouts, world: World) -> Rollouts:
    """Tell all processes of rollouts; called by number 0, which has them."""
    if world.size > 1:
        own = [name for name in rows.table.column_names if name.startswith("_")]
        table = rows.table.drop_columns(own)  # those of records: nothing is learned from them
        schema = table.schema.serialize().to_pybytes().hex()
        world.tell({"rows": table.to_pydict(), "schema": schema})
    return rows


def follow(told: Mapping[str, Any], world: World) -> None:
    """Do the steps that number 0 has rollouts for, as one of several processes."""
    found = heard(told, world)
    spec, ctx, base, how = found.spec, found.ctx, found.base, found.how
    with freed_memory_kept(), fast_linear():
        student = begun(spec, base, ctx.seed, str(world.device))
        encoder = ConversationTokens(base.folder)
        learner = spec.learner(Around(spec, ctx, student, base, encoder, how["dtype"], None))
        order = Order(1, spec.model_copy(update={"steps": how["steps"]}), ctx.seed)
        training = SampledTraining.of(spec, ctx, student, order, how["dtype"], world, learner)
        while training.step < order.steps:
            training.advance(_rows(world.tell(None)))


def _rows(told: Mapping[str, Any]) -> Rollouts:
    schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(told["schema"])))
    return Rollouts(pa.table(told["rows"], schema=schema))
