"""How many threads compute, and how they wait for each other.

torch hands each thread a fixed share of every operation, and goes on when the last one is done. GNU
OpenMP, with which it does so on Linux, lets threads that wait count to some 300,000 before they
sleep, as long as there are no more of them than cores. That is good where nobody else wants a core.
Where somebody does, threads spend their turn on counting, the scheduler takes it for work, and the
one thread that all wait for gets no turn: training went at a tenth of its speed and less (LOG.md).
Threads that sleep at once keep most of it, and lose little where they are alone.

OpenMP reads its environment once, when its library is loaded. So what is set here is set before
torch is imported for the first time: :func:`mashbill.core.extras.needs` sees to it.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

_OF_THE_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""variables that say how threads wait: where one is set, nothing is changed"""
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def sleep_while_waiting() -> None:
    """Let threads of OpenMP that wait sleep at once, unless the user said how they are to wait."""
    if not any(name in os.environ for name in _OF_THE_USER):
        os.environ["OMP_WAIT_POLICY"] = "passive"


def usable_cores(quota: Path = _QUOTA) -> int:
    """Return the cores that this process may use: no more than it was given, at least one.

    A machine's cores are more than those where a process is bound to some of them, or a container
    has a quota; threads beyond them wait for each other in turns.

    Args:
        quota: file with ``MICROSECONDS PERIOD``, or ``max PERIOD``, of a control group.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
        cores = min(cores, math.ceil(int(allowed) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        pass  # there is no quota: not Linux, another version of control groups, or "max"
    return max(1, cores)
