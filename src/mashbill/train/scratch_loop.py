"""The steps by which ``pretrain`` learns from texts without labels, in one process or several.

What a run needs to know of it is :class:`Told`, which is JSON, so that each process reads the same;
texts lie as token ids on the disk (:mod:`mashbill.train.token_file`). All batches follow from the
seed, each process takes every so-many-th block of a step, gradients are added up, and each takes
the same step. A run that was killed goes on at its last checkpoint, with the same batches, and
ends with the same bytes, if it has as many processes and threads.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import nn

from mashbill.models.llama import Llama, Rotations, Shape
from mashbill.models.products import fast_linear, fast_products
from mashbill.train.durable import keep, kept
from mashbill.train.losses import linear_cross_entropy, token_nats
from mashbill.train.memory import freed_memory_kept
from mashbill.train.muon import StackedMuon
from mashbill.train.packed import Blocks, blocks_in_order, once
from mashbill.train.rates import Schedule, rate_at
from mashbill.train.repeatable import compute_repeatably
from mashbill.train.staying_finite import check_finite
from mashbill.train.token_file import PIECE, TokenFile, mapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mashbill.train.processes import World

CHECKPOINT = "checkpoint.pt"
HELD_OUT = "heldout"
"""folder of the tokens that are held out, in the stage's scratch"""
_STEPS_KEPT = 100  # steps after which a checkpoint is written
_SECONDS_KEPT = 60.0  # or as many seconds after the last one
_RECENT = 50  # steps that the loss told is the mean of
_TOGETHER = 16_384  # tokens of blocks that are computed at once: a step's others follow them


@dataclass(frozen=True)
class Told:
    """All that a process needs to know to train; JSON."""

    work: str
    """the stage's scratch"""
    seed: int
    threads: int
    """of each process"""
    shape: dict[str, int]
    pad: int
    weights: tuple[float, ...]
    """of a token in the loss, by dataset"""
    heldout_share: float
    heldout_every: int
    """steps after which the loss on what is held out is measured; 0 for the end alone"""
    steps: int
    batch_tokens: int
    schedule: Schedule
    warmup: float | None
    matrix_rate: float
    vector_rate: float
    weight_decay: float
    clip: float = 1.0


class Watching(Protocol):
    """Who is told how it goes: the first process alone has one."""

    def step(self, step: int, loss: float, tokens: int, rate: float, seconds: float) -> None:
        """Take note of a step, from 0, that is done."""

    def held_out(self, step: int, loss: float) -> None:
        """Take note of a loss on what is held out."""

    def kept(self) -> None:
        """See to it that what was noted outlasts a crash: a checkpoint follows."""

    def begun(self, step: int) -> None:
        """Take note of the first step that will be done."""


@dataclass
class Learned:
    """What came of it."""

    model: Llama
    losses: list[float] = field(default_factory=list)
    """of the last steps, each the mean over its tokens, in nats"""
    times: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """how often each piece was learned from"""
    held_out: HeldOut | None = None

    @property
    def loss(self) -> float:
        """The loss that is told: one step's alone is mostly noise."""
        return float(np.mean(self.losses[-_RECENT:]))


@dataclass(frozen=True)
class HeldOut:
    """What the model makes of what it has not learned from."""

    nats: float
    tokens: int

    @property
    def loss(self) -> float:
        """The mean over tokens, in nats."""
        return self.nats / self.tokens


def follow(told: Mapping[str, Any], world: World) -> None:
    """Train as one of several processes, which are told nothing of it but the loss."""
    learn(Told(**told), world, None)


def as_json(told: Told) -> dict[str, Any]:
    """Return it as other processes are told it."""
    return asdict(told)


def learn(told: Told, world: World, watching: Watching | None) -> Learned:
    """Take all steps, from the last checkpoint if there is one.

    Args:
        told: what to do.
        world: the processes.
        watching: told how it goes; None in all processes but the first.
    """
    torch.set_num_threads(told.threads)
    compute_repeatably()
    with freed_memory_kept(), fast_linear():
        return _Run(told, world, watching).learn()


class _Run:
    """One process of a training."""

    def __init__(self, told: Told, world: World, watching: Watching | None) -> None:
        self.told, self.world, self.watching = told, world, watching
        self.shape = Shape(**told.shape)
        work = Path(told.work)
        self.checkpoint = work / CHECKPOINT
        tokens = _tokens(work, self.shape.vocabulary)
        self.blocks = Blocks(tokens, self.shape.context, told.pad, told.weights)
        is_held = held_rows(told.seed, tokens.pieces, told.heldout_share)
        self.learned_from = np.flatnonzero(~is_held)
        self.lengths = np.asarray(tokens.pieces["length"])[self.learned_from]
        self.held = _held_out(work, self.shape, told, tokens, is_held)
        torch.manual_seed(told.seed)
        self.model = Llama(self.shape).to(world.device)
        self.rotations = Rotations(self.shape, world.device)
        matrices = self.model.matrices()
        chosen = {id(parameter) for parameter, _ in matrices}
        others = [p for p in self.model.parameters() if id(p) not in chosen]
        self.optimisers: list[torch.optim.Optimizer] = [
            StackedMuon(matrices, told.matrix_rate, told.weight_decay),
            torch.optim.Adam(others, lr=told.vector_rate, betas=(0.9, 0.95), fused=True),
        ]
        self.rates = (told.matrix_rate, told.vector_rate)
        self.result = Learned(self.model, times=np.zeros(len(tokens.pieces), np.int32))

    def learn(self) -> Learned:
        first = self._resume()
        if self.watching:
            self.watching.begun(first)
        kept_at = time.monotonic()
        for step, blocks in enumerate(self._steps()):
            for block in blocks:
                self.result.times[block] += 1
            if step < first:
                continue
            self._step(step, blocks)
            done = step + 1
            every = self.told.heldout_every
            if done == self.told.steps or (every and done % every == 0):
                self._measure(step)
            due = done % _STEPS_KEPT == 0 or time.monotonic() - kept_at > _SECONDS_KEPT
            if self.watching and (due or done == self.told.steps):
                self._keep(done)
                kept_at = time.monotonic()
        if first == self.told.steps:
            self._measure(first - 1)
        return self.result

    def _steps(self) -> Iterator[list[np.ndarray]]:
        """Yield the blocks of each step, the same in all processes."""
        each = max(1, self.told.batch_tokens // self.shape.context)
        endless = blocks_in_order(self.lengths, self.shape.context, self.told.seed)
        for _ in range(self.told.steps):
            yield [self.learned_from[block] for block in islice(endless, each)]

    def _step(self, step: int, blocks: list[np.ndarray]) -> None:
        begun = time.monotonic()
        factor = rate_at(step, self.told.steps, self.told.schedule, self.told.warmup)
        for optimiser, rate in zip(self.optimisers, self.rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * factor
        # What is divided by counts all tokens of the step, whoever computes them.
        weight = self.blocks.weight(np.concatenate(blocks))
        nats = 0.0
        for some in self._mine(blocks):
            batch = self.blocks.batch(some)
            hidden_nd, targets_n, weights_n = self._hidden(batch)
            loss = linear_cross_entropy(hidden_nd, self.model.embedding, targets_n, weights_n)
            (loss / weight).backward()
            nats += float(loss.detach())
        parameters = list(self.model.parameters())
        self.world.sum_gradients(parameters)
        nats = self.world.sum([nats])[0]
        norm = nn.utils.clip_grad_norm_(parameters, self.told.clip)
        check_finite(step, nats / weight, float(norm), "matrix_rate and vector_rate")
        for optimiser in self.optimisers:
            with fast_products():
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.result.losses = [*self.result.losses[-_RECENT:], nats / weight]
        if self.watching:
            tokens = int(sum(self.blocks.tokens(block) for block in blocks))
            seconds = time.monotonic() - begun
            self.watching.step(step, nats / weight, tokens, self.rates[0] * factor, seconds)

    def _mine(self, blocks: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Yield this process's part of a step's blocks, as many at once as fit."""
        mine = blocks[self.world.rank :: self.world.size]
        each = max(1, _TOGETHER // self.shape.context)
        for start in range(0, len(mine), each):
            yield mine[start : start + each]

    def _hidden(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return hidden states of all tokens of a batch, their targets and weights."""
        device = self.world.device
        places = self.rotations.places(batch.positions_bt.to(device))
        hidden_btd = self.model(batch.ids_bt.to(device), places)
        targets, weights = batch.targets_bt.to(device), batch.weights_bt.to(device)
        return hidden_btd.flatten(0, 1), targets.flatten(), weights.flatten()

    @torch.no_grad()
    def _measure(self, step: int) -> None:
        """Measure the loss on what is held out, if anything is."""
        if self.held is None:
            return
        blocks, order = self.held
        nats = tokens = 0.0
        for some in self._mine(order):
            hidden_nd, targets_n, weights_n = self._hidden(blocks.batch(some))
            told = weights_n > 0
            each_n = token_nats(hidden_nd[told], self.model.embedding, targets_n[told])
            nats += float(each_n.double().sum())
            tokens += int(told.sum())
        nats, tokens = self.world.sum([nats, tokens])
        self.result.held_out = HeldOut(nats, int(tokens))
        if self.watching:
            self.watching.held_out(step, nats / tokens)

    def _keep(self, step: int) -> None:
        if self.watching:
            self.watching.kept()
        keep(
            self.checkpoint,
            {
                "step": step,
                "losses": self.result.losses,
                "model": self.model.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            },
        )

    def _resume(self) -> int:
        state = kept(self.checkpoint)
        if state is None:
            return 0
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.result.losses = list(state["losses"])
        return int(state["step"])


def held_rows(seed: int, pieces: np.ndarray, share: float) -> np.ndarray:
    """Return which pieces are of rows that are held out, bool, shape (pieces,).

    Rows are drawn, and a document's pieces stay together. At least one row is held out if there is
    more than one, and at least one is not.
    """
    if not share or not len(pieces):
        return np.zeros(len(pieces), bool)
    rows = np.asarray(pieces["row"])
    there = np.unique(rows)
    drawn = np.random.default_rng([seed, 1]).random(len(there))
    most = min(len(there) - 1, max(1, math.ceil(share * len(there))))
    held = there[np.argsort(drawn, kind="stable")[:most]]
    return np.isin(rows, held)


def _tokens(folder: Path, vocabulary: int) -> TokenFile:
    kind = np.dtype("<u2") if vocabulary <= 1 << 16 else np.dtype("<u4")
    return TokenFile(mapped(folder / "ids.bin", kind), mapped(folder / "pieces.bin", PIECE), (), ())


def _held_out(
    work: Path, shape: Shape, told: Told, tokens: TokenFile, is_held: np.ndarray
) -> tuple[Blocks, list[np.ndarray]] | None:
    """Return what is held out: a share of the rows, or a dataset of its own."""
    if is_held.any():
        places = np.flatnonzero(is_held)
        order = once(np.asarray(tokens.pieces["length"])[places], shape.context)
        ones = [1.0] * len(told.weights)
        return Blocks(tokens, shape.context, told.pad, ones), [places[block] for block in order]
    folder = work / HELD_OUT
    if not (folder / "pieces.bin").exists():
        return None
    apart = _tokens(folder, shape.vocabulary)
    order = once(np.asarray(apart.pieces["length"]), shape.context)
    return (Blocks(apart, shape.context, told.pad, [1.0]), order) if order else None
