"""``environment``: what an environment of the package ``verifiers`` pays for an output.

    [verifiers.reward]
    kind = "environment"
    module = "wordle_env"              # an installed package, by the name that it is imported by
    examples = "wordle.jsonl"          # tasks with an output that is known to be right

It runs in a process of its own, one output at a time. An environment that pays nothing for what is
right, as where its parser is missing, is refused by its examples; what it raises at, leaves out or
has no time for is failed, and never 0.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mashbill.core.controls import JUNK
from mashbill.core.errors import InputError, RecipeError
from mashbill.core.parsing import read_text
from mashbill.core.source import Source, SourceKind
from mashbill.core.verifier import Case, Control, Rules, Score, VerifierSpec
from mashbill.verifiers.kept_apart import Apart, RaisedError, TookTooLongError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXTRA = "environments"
_LOADING = 120.0  # seconds that an environment may take to load
_LONGEST = 400_000  # characters of an output
_MOST = 4 << 20  # characters of a task
_EXAMPLES = 16


class EnvironmentSpec(VerifierSpec):
    """``kind = "environment"``."""

    kind: Literal["environment"] = "environment"
    module: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$", max_length=200)
    """package of the environment, as it is imported; it has to be installed"""
    arguments: dict[str, Any] = Field(default={}, max_length=64)
    """that it is loaded with: of load_environment, or of its taskset's config"""
    task: str = "task"
    """column with the task, as the environment has it: JSON, such as a row of its dataset"""
    examples: str
    """file beside the recipe: a JSON object a line, ``task`` and ``right``, an output to be paid"""
    full: float = Field(default=1.0, gt=0, le=1e6, allow_inf_nan=False)
    """its highest reward, which becomes the score 1"""
    judge: str = ""
    """the model that it asks, if it asks one: it is on the bill"""
    judge_provider: str = "unknown"
    """who serves that model"""
    judge_kind: SourceKind = "unknown"
    """who can have it: open-weights, closed-api, unknown"""
    version: str = ""
    """of the environment, for the bill"""
    seconds: float = Field(default=30.0, gt=0, le=600, allow_inf_nan=False)
    """that it may take for an output; what takes longer failed"""

    @property
    def rules(self) -> Rules:
        """Whatever the environment has; nobody knows whether it repeats."""
        return Rules(f"{self.release} {self.module} {self.version}".strip(), (), False, False)  # noqa: FBT003

    @property
    def source(self) -> Source:
        """The environment, or the model that it asks."""
        if self.judge:
            return Source(
                name=self.judge,
                what="model",
                kind=self.judge_kind,
                route=f"environment:{self.module}",
                provider=self.judge_provider,
            )
        return Source(
            name=f"environment {self.module}",
            what="program",
            kind="program",
            route="in-process",
            version=self.rules.release,
        )

    @property
    def extras(self) -> tuple[str, ...]:
        """The package ``verifiers`` is an extra."""
        return (EXTRA,)

    def reads(self) -> tuple[str, ...]:
        """The task."""
        return (self.task,)

    def files(self) -> tuple[str, ...]:
        """The examples."""
        return (self.examples,)

    def controls(self) -> tuple[Control, ...]:
        """White space for no task: a plan tries that, and so loads it, by its examples.

        One that asks a model is loaded in the run, within its budget, before it scores a row.
        """
        if self.judge:
            return ()
        return (Control("white space", Case(" ", row={self.task: ""}), is_right=False),)

    def load(self, folder: Path, cache: Path, threads: int) -> Environment:
        """Load it and try it on its examples.

        Raises:
            RecipeError: naming what it gets wrong.
        """
        del cache, threads
        loaded = Environment(self)
        loaded.hold(_examples(folder, self.examples))
        return loaded


def _examples(folder: Path, name: str) -> list[tuple[str, str]]:
    """Return (task as JSON, right output) of each line of a file.

    Raises:
        InputError: naming the file and the line.
    """
    found = []
    lines = read_text(folder / name).splitlines()[:_EXAMPLES]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
            found.append((json.dumps(row["task"]), row["right"]))
            fits = isinstance(row["task"], dict) and isinstance(row["right"], str)
        except (ValueError, KeyError, TypeError, RecursionError):
            fits = False
        if not fits:
            msg = (
                f"{name}: line {number} is no object with the keys task, an object, and right, a "
                "text; correct it"
            )
            raise InputError(msg)
    if not found:
        msg = f"{name}: it has no example; give a task and an output that is right, as JSON, a line"
        raise InputError(msg)
    return found


class Environment:
    """Puts outputs to an environment."""

    def __init__(self, spec: EnvironmentSpec) -> None:
        """Prepare to ask."""
        self._spec = spec
        self._apart = Apart("mashbill.verifiers.environment.worker", "verifiers", EXTRA)
        self._loaded = False

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return its reward of each, as a share of the full one."""
        return [self._one(case.output, case.row.get(self._spec.task)) for case in cases]

    def hold(self, examples: Sequence[tuple[str, str]]) -> None:
        """Try it on examples: junk is not paid, and what is right is.

        Raises:
            RecipeError: naming what it gets wrong.
        """
        wrong = []
        for task, right in examples:
            for name, output in {"the right output": right, **JUNK}.items():
                score = self._one(output, task)
                is_right = output == right
                if score.value is None and is_right:
                    wrong.append(f"says nothing of the right output ({score.reason:.120})")
                elif score.value is not None and (score.value >= _PAID) != is_right:
                    wrong.append(f"pays {score.value:.2f} for {name}, {output!r:.40}")
        if wrong:
            more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            msg = (
                f"kind 'environment': {self._spec.module} {'; '.join(wrong[:3])}{more}, of the "
                f"examples in {self._spec.examples}. What pays for junk, or not for what is right, "
                "cannot tell them apart: correct its arguments (a parser that is missing pays "
                "nothing for all), or use another environment"
            )
            raise RecipeError(msg)

    def _one(self, output: str, cell: Any) -> Score:
        task = _task(cell)
        if task is None:
            return Score.undecided(f"column {self._spec.task!r} holds no task: a JSON object")
        if len(output) > _LONGEST:
            return Score.undecided(f"it has {len(output):,} characters, above {_LONGEST:,}")
        try:
            self._load()
            told = self._apart.ask(self._spec.seconds, "score", task=task, output=output)
        except (TookTooLongError, RaisedError) as error:
            self._loaded &= isinstance(error, RaisedError)
            return Score.failed(f"{self._spec.module}: {error}"[:300])
        if told["asks"] and not self._spec.judge:
            return Score.failed(
                f"{self._spec.module} asks a model, which the recipe does not name: set judge"
            )
        return self._read(told)

    def _read(self, told: Any) -> Score:
        reward, full = told["reward"], self._spec.full
        if isinstance(reward, bool) or not isinstance(reward, int | float) or math.isnan(reward):
            return Score.failed(f"its reward is {reward!r:.40}, which is no number")
        if not 0 <= reward <= full * (1 + 1e-9):
            return Score.failed(f"its reward is {reward:g}, beyond 0 to {full:g}: see full")
        parts = ", ".join(f"{name} {value:g}" for name, value in told["parts"].items())
        return Score(min(reward / full, 1.0), f"{reward:g} of {full:g} ({parts})"[:300])

    def _load(self) -> None:
        """Load the environment into the process, where it is not."""
        if not self._loaded:
            spec = self._spec
            self._apart.ask(_LOADING, "load", module=spec.module, arguments=spec.arguments)
            self._loaded = True


_PAID = 0.5


def _task(cell: Any) -> dict[str, Any] | None:
    if not isinstance(cell, str) or len(cell) > _MOST:
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
