"""How threads wait is settled before torch is loaded, and nobody's own choice is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mashbill.core.threads import usable_cores

SAYS = """
import os
from mashbill.core.extras import needs
with needs("a test", "train"):
    import {module}
print(os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT"))
"""


def said(module: str, environment: dict[str, str]) -> str:
    clean = {
        key: value
        for key, value in os.environ.items()
        if key not in {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    }
    done = subprocess.run(
        [sys.executable, "-c", SAYS.format(module=module)],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip() + done.stderr.strip()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "passive None"),
        ({"OMP_WAIT_POLICY": "active"}, "active None"),
        ({"GOMP_SPINCOUNT": "5"}, "None 5"),
    ],
)
def test_how_threads_wait_is_the_users_choice(environment: dict[str, str], expected: str) -> None:
    assert said("json", environment) == expected


def test_openmp_reads_it_when_torch_is_loaded() -> None:
    told = said("torch", {"OMP_DISPLAY_ENV": "verbose"})
    assert "GOMP_SPINCOUNT = '0'" in told


def test_cores_are_those_that_the_process_may_use(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {}
    for text in ("max 100000", "50000 100000", "1 100000", "9900000 100000", "", "1 0", "x"):
        quota.write_text(text)
        found[text] = usable_cores(quota)
    assert found.pop("50000 100000") == 1
    assert found.pop("1 100000") == 1
    assert set(found.values()) == {bound}
    assert usable_cores(tmp_path / "none") == bound
