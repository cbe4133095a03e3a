"""What a strict type checker sees of mashbill from outside: the public names, and their types."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mashbill

PROGRAMS = Path(__file__).parent / "typing"


def checked(name: str, folder: Path) -> list[str]:
    """Return what strict mypy says of a program, with no configuration of ours."""
    program = folder / name
    program.write_text((PROGRAMS / name).read_text("utf-8"), "utf-8")
    (folder / "mypy.ini").write_text("[mypy]\n", "utf-8")
    # Errors in mashbill's own files are for `make check`, which has our configuration.
    asked = [
        "--strict",
        "--follow-imports=silent",
        "--config-file",
        "mypy.ini",
        "--no-error-summary",
    ]
    path = Path(mashbill.__file__).parents[1]
    found = {} if path.name == "site-packages" else {"MYPYPATH": str(path)}
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", *asked, "--config-file", "mypy.ini", name],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **found},
    )
    assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.slow
def test_a_program_of_somebody_else_is_typed_and_slips_in_it_are_found(tmp_path: Path) -> None:
    assert checked("job.py", tmp_path) == []
    lines = (PROGRAMS / "slips.py").read_text("utf-8").splitlines()
    meant = {number for number, line in enumerate(lines, 1) if "# slip" in line}
    told = [
        re.match(r"slips\.py:(\d+): error: .*\[([a-z-]+)\]$", line)
        for line in checked("slips.py", tmp_path)
    ]
    assert {int(found[1]) for found in told if found} == meant
    for found in filter(None, told):
        code = lines[int(found[1]) - 1].partition("# slip: ")[2]
        assert code in {"", found[2]}, lines[int(found[1]) - 1]
