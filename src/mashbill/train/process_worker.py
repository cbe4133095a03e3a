"""One of several processes that train together. Started by the trainer as ``-m``, by no user.

It reads what to do from its standard input, which ends with the trainer: then this process ends
too, whatever it is doing.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

from mashbill.core.extras import needs
from mashbill.core.launched import Launched


def main() -> None:
    """Do what the trainer says, and end with it."""
    told = json.loads(sys.stdin.buffer.readline())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's, which ends this one
    threading.Thread(target=_end_with_the_trainer, daemon=True).start()
    with needs("training by several processes", "train"):
        import torch
        from torch import distributed

        from mashbill.train.processes import join
    torch.set_num_threads(told["threads"])
    program = _program(told["program"])
    os.write(1, b"ready\n")
    world = join(told["rank"], told["size"], told["rank"], Path(told["rendezvous"]))
    program.follow(told["told"], world)
    distributed.destroy_process_group()
    _end_now()


def serve(outer: Launched, threads: int) -> NoReturn:
    """Train what number 0 of torchrun's processes trains, until it has nothing more; then end.

    Args:
        outer: the place of this process, which is not number 0.
        threads: of this process.
    """
    with needs("training by several processes", "train"):
        import torch
        from torch import distributed

        from mashbill.train.processes import launched_world
    torch.set_num_threads(threads)
    world = launched_world(outer)
    while (asked := world.tell(None)) is not None:
        _program(asked["program"]).follow(asked["told"], world)
    distributed.destroy_process_group()
    _end_now()


def dismiss(outer: Launched) -> None:
    """Number 0 of torchrun's processes: let the others end, since nothing more is trained."""
    with needs("training by several processes", "train"):
        from torch import distributed

        from mashbill.train.processes import launched_world
    launched_world(outer).tell(None)
    distributed.destroy_process_group()


def _end_now() -> NoReturn:
    """End this process, which has done all.

    What torch takes down as an interpreter ends was seen to abort it now and then ("terminate
    called without an active exception"), and torchrun takes the whole training for failed then.
    Nothing is left to be written: these processes say nothing.
    """
    os._exit(0)


def _program(name: str) -> Any:
    with needs("training by several processes", "train"):
        from mashbill.train.processes import PROGRAMS

        return importlib.import_module(PROGRAMS[name])


def _end_with_the_trainer() -> None:
    while os.read(0, 1):  # not by sys.stdin, whose lock this thread would hold at the end
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
