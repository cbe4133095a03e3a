"""Training by several processes: each learns from its part of a step, and gradients are added.

The trainer's own process is number 0. What it does in a step, the others do too, with other rows::

    with together(ctx, "pretrain", told) as world:      # others run PROGRAMS["pretrain"]
        optimise(told, world)

``told`` is what a program needs to know, as JSON: files of the stage's scratch above all. Each
process computes a sum over its part and the caller divides by what all have counted, so that one
process and several learn the same within the rounding of float32.

There are two ways to have several:

* ``mashbill run --processes N``: this process starts the others. They speak over loopback, find
  each other by a file in a folder of this user's alone, and end with the run, also when it or one
  of them is killed.
* ``torchrun ... -m mashbill run RECIPE``: torchrun started them. Number 0 runs the recipe; the
  others wait for what it trains (:func:`mashbill.train.process_worker.serve`). Over several
  machines the store must lie in a folder that all see.

gloo carries it between processors, NCCL where each process has a GPU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import distributed

from mashbill.core.errors import StageError
from mashbill.core.launched import Launched, launched
from mashbill.core.shown import shown
from mashbill.core.stage import StageContext
from mashbill.models.devices import device_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

PROGRAMS = {
    "dpo": "mashbill.train.preferring",
    "pretrain": "mashbill.train.scratch_loop",
    "sampled": "mashbill.train.sampled_steps",
    "sft": "mashbill.train.fine_tuning",
}
"""what others run, by name: a module of this package with ``follow(told, world)``"""
_BUCKET = 8 << 20
"""numbers that are added at once: 32 MiB"""
_PATIENCE = timedelta(days=7)
"""that one waits for another: a process that is gone is noticed at once, by its connection"""
_SECONDS = 5.0
"""that a process may take to end"""
_LOOK = 0.05


class World:
    """The processes that train one model, as one of them sees them. Alone, it does nothing."""

    def __init__(self, rank: int = 0, size: int = 1, device: str = "cpu") -> None:
        """Take its place; the group of torch.distributed is there already, if there are several.

        Args:
            rank: which process this is, from 0.
            size: how many there are.
            device: what this one computes with.
        """
        self.rank = rank
        self.size = size
        self.device = torch.device(device)

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Add up the gradients of all processes, in each of them; one that is lacking is zero."""
        if self.size == 1:
            return
        waiting: list[torch.Tensor] = []
        held = 0
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            waiting.append(parameter.grad)
            held += parameter.grad.numel()
            if held >= _BUCKET:
                _add_up(waiting)
                waiting, held = [], 0
        if waiting:
            _add_up(waiting)

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Return each number, summed over all processes, in float64."""
        if self.size == 1:
            return [float(number) for number in numbers]
        total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        found: list[float] = total.tolist()
        return found

    def barrier(self) -> None:
        """Wait until all processes are here."""
        self.sum([0.0])

    def tell(self, value: Any) -> Any:
        """Return what number 0 says, in all processes: a value of JSON."""
        if self.size == 1:
            return value
        text = json.dumps(value).encode() if self.rank == 0 else b""
        length = torch.tensor([len(text)], dtype=torch.int64, device=self.device)
        distributed.broadcast(length, 0)
        data = np.zeros(int(length), np.uint8)
        if self.rank == 0:
            data[:] = np.frombuffer(text, np.uint8)
        letters = torch.from_numpy(data).to(self.device)
        distributed.broadcast(letters, 0)
        return json.loads(letters.cpu().numpy().tobytes())


def _add_up(gradients: Sequence[torch.Tensor]) -> None:
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    for gradient, total in zip(
        gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
    ):
        gradient.copy_(total.view_as(gradient))


def own_device() -> str:
    """Return what this process trains with, before :func:`together` or without it."""
    outer = launched()
    return device_of(0 if outer is None else outer.place)


def join(rank: int, size: int, place: int, rendezvous: Path | None) -> World:
    """Join the group.

    Args:
        rank: of this process.
        size: of the group.
        place: of this process on its machine.
        rendezvous: the file by which they find each other; None where torchrun's address is it.
    """
    device = device_of(place)
    backend = "nccl" if device.startswith("cuda") else "gloo"
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    if rendezvous is None:
        distributed.init_process_group(backend, timeout=_PATIENCE)
    else:
        # Nothing but this machine may speak with them, whatever networks it has.
        os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
        store = distributed.FileStore(str(rendezvous), size)
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE
        )
    return World(rank, size, device)


@contextmanager
def together(ctx: StageContext, program: str, told: Mapping[str, Any]) -> Iterator[World]:
    """Yield the processes that train, of which this is number 0; the others run a program.

    Args:
        ctx: says how many, and how many threads they have in all.
        program: a key of :data:`PROGRAMS`.
        told: what the others are told, as JSON.

    Raises:
        StageError: if one of them ends before it should, with what it said.
    """
    outer = launched()
    if outer is not None:
        yield from _launched_together(outer, program, told)
        return
    if ctx.processes == 1:
        yield World(device=device_of(0))
        return
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = Path(folder) / "rendezvous"
        others = _Others(ctx, program, told, rendezvous)
        try:
            try:
                yield join(0, ctx.processes, 0, rendezvous)
            except Exception as error:
                others.raise_if_ended(error)
                raise
            others.end_well()
        finally:
            others.close()
            if distributed.is_initialized():
                distributed.destroy_process_group()


def context_of_another(work: Path, seed: int, threads: int) -> StageContext:
    """Return the context of a stage in a process that is not number 0: it has scratch, and no more.

    Args:
        work: scratch of the stage.
        seed: of the recipe.
        threads: of all processes together.
    """

    def nothing(name: str) -> Any:
        msg = f"a process that trains with others asks for {name!r}, which number 0 alone has"
        raise StageError(msg)

    return StageContext(
        name="another process",
        seed=seed,
        recipe_folder=work,
        cache=work,
        work=work,
        threads=threads,
        input=nothing,
        teacher=nothing,
        predictor=nothing,
        progress=lambda *_: None,
    )


def threads_each(ctx: StageContext) -> int:
    """Return the threads that each process has: all have as many as one has alone."""
    return max(1, ctx.threads // ctx.processes) if launched() is None else ctx.threads


def _launched_together(outer: Launched, program: str, told: Mapping[str, Any]) -> Iterator[World]:
    world = launched_world(outer)
    world.tell({"program": program, "told": dict(told)})
    yield world


def launched_world(outer: Launched) -> World:
    """Return the processes that torchrun started; they are joined once."""
    if not distributed.is_initialized():
        return join(outer.rank, outer.size, outer.place, None)
    return World(outer.rank, outer.size, device_of(outer.place))


class _Others:
    """The processes that this one started."""

    def __init__(
        self, ctx: StageContext, program: str, told: Mapping[str, Any], rendezvous: Path
    ) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with them
        self._processes: list[subprocess.Popen[bytes]] = []
        path = os.pathsep.join(path for path in sys.path if path)
        for rank in range(1, ctx.processes):
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mashbill.train.process_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env={**os.environ, "PYTHONPATH": path},
            )
            self._processes.append(process)
            line = {
                "rendezvous": str(rendezvous),
                "rank": rank,
                "size": ctx.processes,
                "threads": threads_each(ctx),
                "program": program,
                "told": dict(told),
            }
            if process.stdin is not None:
                process.stdin.write(json.dumps(line).encode() + b"\n")
                process.stdin.flush()
        for process in self._processes:  # what cannot even begin is told, and not waited for
            if process.stdout is not None and not process.stdout.readline():
                process.wait()
                self.close(self._ended(process))

    def _ended(self, process: subprocess.Popen[bytes]) -> StageError:
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(self._said.tell() - 2_000, 0))
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        words = shown(lines[-1] if lines else "it said nothing", 300)
        rank = self._processes.index(process) + 1
        return StageError(
            f"process {rank} of those that train ended with status {process.returncode}: {words}; "
            "run again to go on at the last checkpoint, with fewer --processes if the machine is "
            "short of memory"
        )

    def raise_if_ended(self, error: Exception) -> None:
        """Raise the error of a process that ended, where that is why something went wrong here."""
        until = time.monotonic() + _SECONDS  # a connection ends before its process does
        while time.monotonic() < until:
            for process in self._processes:
                if process.poll():
                    raise self._ended(process) from error
            time.sleep(_LOOK)

    def end_well(self) -> None:
        """Wait until all are done.

        Raises:
            StageError: if one did not end well.
        """
        for process in self._processes:
            if process.wait():
                raise self._ended(process)

    def close(self, error: StageError | None = None) -> None:
        """End them; raise an error, if one is given."""
        for process in self._processes:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
        for process in self._processes:
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._said.close()
        if error is not None:
            raise error
