"""Where a suite runs: an environment that the user made and names, by a variable of the shell.

A suite brings its own torch and transformers, and runs what tasks say: templates, functions,
modules. So no recipe names the interpreter; whoever runs one does, and nothing of a suite is run
where nobody did.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mashbill.core.errors import InputError
from mashbill.core.shown import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SuiteName = Literal["lm-eval", "inspect-ai"]
_TAIL = 4000  # characters of what a suite said last
_VERSION = 120.0  # seconds to say its version
_PASSED_ON = frozenset(
    {
        "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "HF_HOME", "HF_HUB_CACHE",
        "HF_DATASETS_CACHE", "XDG_CACHE_HOME", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
        "NLTK_DATA", "INSPECT_CACHE_DIR",
    }
)  # fmt: skip
"""variables of the shell that a suite sees: no key of a service is among them"""
_OFFLINE = {
    "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONHASHSEED": "0",
    "NO_COLOR": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Suite:
    """A suite that is known."""

    name: SuiteName
    distribution: str
    variable: str
    """of the shell: the interpreter of its environment"""
    packages: tuple[str, ...]
    """of the environment, as pip takes them: the versions that it was tried with"""
    license: str


SUITES: dict[str, Suite] = {
    "lm-eval": Suite(
        "lm-eval", "lm_eval", "MASHBILL_LM_EVAL",
        ("torch==2.13.0", "lm-eval==0.4.13", "transformers==5.23.0", "accelerate==1.15.0"), "MIT",
    ),
    "inspect-ai": Suite(
        "inspect-ai", "inspect_ai", "MASHBILL_INSPECT_AI",
        ("torch==2.13.0", "inspect-ai==0.3.285", "transformers==5.23.0", "accelerate==1.15.0"),
        "MIT",
    ),
}  # fmt: skip


def how_to_make(suite: Suite, folder: str = "") -> list[str]:
    """Return the commands that make an environment of a suite and name it.

    Args:
        suite: which.
        folder: of the environment.
    """
    place = folder or f"~/.venvs/{suite.name}"
    python = f"{place}/bin/python"
    first, *others = suite.packages
    # torch by itself, so that nothing else chooses another build of it
    return [
        f"{shlex.quote(sys.executable)} -m venv {place}",
        f"{python} -m pip install {first}",
        f"{python} -m pip install {' '.join(others)}",
        f"export {suite.variable}={python}",
    ]


def interpreter(suite: Suite) -> Path:
    """Return the interpreter of a suite's environment, as the user names it.

    Raises:
        InputError: if none is named, or it is no program, with what to do.
    """
    named = os.environ.get(suite.variable, "").strip()
    remedy = f"`mashbill harness {suite.name}` says how to make one"
    if not named:
        msg = (
            f"{suite.name} runs in an environment of its own, and {suite.variable} names none: set "
            f"it to the python of one; {remedy}"
        )
        raise InputError(msg)
    path = Path(named).expanduser()
    if not path.is_file() or not os.access(path, os.X_OK):
        msg = f"{suite.variable} names {shown(named, 200)}, which is no program; {remedy}"
        raise InputError(msg)
    return path.absolute()


def version_of(suite: Suite, python: Path) -> str:
    """Return the version of a suite in its environment.

    Raises:
        InputError: if it is not there.
    """
    asked = f"import importlib.metadata as m; print(m.version({suite.distribution!r}))"
    try:
        done = subprocess.run(
            [str(python), "-c", asked], capture_output=True, timeout=_VERSION, check=False,
            env=surroundings(1), stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"{suite.variable}: {python} did not start: {error!s:.200}"
        raise InputError(msg) from error
    found = done.stdout.decode(errors="replace").strip()
    if done.returncode or not found:
        msg = (
            f"{suite.variable} names {python}, and {suite.name} is not installed there; "
            f"`mashbill harness {suite.name}` says how to make an environment"
        )
        raise InputError(msg)
    return shown(found, 60)


def surroundings(threads: int) -> Mapping[str, str]:
    """Return the variables that a suite sees: those of the shell that it may, and no network."""
    own = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    return {**own, **_OFFLINE, "OMP_NUM_THREADS": str(threads)}


def run(command: Sequence[str], folder: Path, seconds: float, threads: int, who: str) -> None:
    """Run a suite until it ends; it and all that it started is ended after so many seconds.

    Args:
        command: of its environment.
        folder: where it runs; what it says goes to a file there.
        seconds: that it may take.
        threads: that it computes with.
        who: is told in errors.

    Raises:
        InputError: with the end of what it said, if it failed or took too long.
    """
    told = folder / "said.txt"
    with told.open("wb") as said:
        process = subprocess.Popen(
            list(command), cwd=folder, env=surroundings(threads), stdin=subprocess.DEVNULL,
            stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            msg = f"{who} took longer than {seconds:g} s and was ended; raise seconds, or set limit"
            raise InputError(msg) from error
        finally:
            _end(process)
    if code:
        msg = f"{who} failed (exit code {code}): {_last(told)}"
        raise InputError(msg)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last(path: Path) -> str:
    """Return the end of what was said, in a line."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL, 0))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    told = [line for line in lines if line]
    return shown(" | ".join(told[-6:]) or "it said nothing", 800)
