"""One thread for sums of numbers in each process of the tests, which are as many as the cores.

Two processes with two threads each take turns on two cores, and OpenBLAS waits for a turn by
counting: a run of `channels` took 7.7 s of processor time with two threads, and 2.6 with one.
Libraries read these when they are loaded, so this is imported before any of them; programs that
tests start inherit them.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
