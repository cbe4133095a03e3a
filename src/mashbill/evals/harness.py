"""``harness``: models on tasks of lm-evaluation-harness or inspect-ai, in an environment of theirs.

The suite is a program of others, and what its tasks say runs in it: so it runs where the user names
an environment (:mod:`mashbill.evals.suites.environments`), task files are run where the user allows
them by name, and the network is asked for nothing. What comes back is figures by task, with their
standard errors and the versions of all that made them.
"""

from __future__ import annotations

import math
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.errors import InputError, RecipeError
from mashbill.core.folder import is_the_users
from mashbill.core.paired import spread_of
from mashbill.core.proportions import Z, wilson
from mashbill.core.record import BILL
from mashbill.core.source import Channel, Purpose, Source
from mashbill.core.stage import StageSpec, Uses
from mashbill.evals.models import stages_of
from mashbill.evals.suites.environments import SUITES, SuiteName, interpreter, run, version_of
from mashbill.evals.suites.results import Figure, of_inspect, of_lm_eval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mashbill.core.stage import StageContext

_CODE = (".py", ".yaml", ".yml")
_DAY = 86_400


class HarnessSpec(StageSpec):
    """``kind = "harness"``."""

    streams = False
    references: ClassVar[tuple[str, ...]] = ("models",)

    kind: Literal["harness"] = "harness"
    suite: SuiteName
    """lm-eval or inspect-ai"""
    models: dict[str, str | tuple[str, ...]] = Field(min_length=1)
    """system -> model that writes: a stage that trains one, or a [models.*] table; or one a seed"""
    tasks: tuple[str, ...] = Field(min_length=1, max_length=100)
    """task files beside the recipe, .yaml for lm-eval and .py for inspect-ai, whose code is run and
    which the user allows by name; or names of tasks that the suite brings, whose data lie in the
    user's cache"""
    data: tuple[str, ...] = ()
    """files beside the recipe that tasks read, by the names that they read them by"""
    limit: int | None = Field(default=None, gt=0)
    """items of each task; all if absent"""
    fewshot: int | None = Field(default=None, ge=0)
    """examples before each item, of lm-eval; as the task says if absent"""
    chat: bool = False
    """whether lm-eval asks by the model's chat template; inspect-ai always does"""
    max_tokens: int | None = Field(default=None, gt=0)
    """of an answer, of inspect-ai; as the task says if absent"""
    batch: int = Field(default=1, gt=0)
    """items that lm-eval computes together"""
    seconds: float = Field(default=3600, gt=0, le=7 * _DAY, allow_inf_nan=False)
    """that a model's run may take"""

    @model_validator(mode="after")
    def _keys_have_a_use(self) -> HarnessSpec:
        own, other = ("fewshot", "chat", "batch"), ("max_tokens",)
        strange = other if self.suite == "lm-eval" else own
        fields = type(self).model_fields
        told = [key for key in strange if getattr(self, key) != fields[key].default]
        if told:
            msg = f"{', '.join(told)} is not for {self.suite}: leave it out"
            raise ValueError(msg)
        for name in (*self.tasks, *self.data):
            if not name.strip() or name.startswith("-") or set(name) & set(",\0\n"):
                msg = f"{name!r} is no name of a task or a file"
                raise ValueError(msg)
        if len(set(self.tasks)) < len(self.tasks):
            msg = "tasks names each once"
            raise ValueError(msg)
        return self

    @classmethod
    def renamed(cls, table: dict[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
        """Go into lists of seeds, too."""
        told: dict[str, Any] = {}
        for system, made in table.get("models", {}).items():
            new = [names.get(name, name) for name in stages_of(made)]
            if left := [name for name in new if name is not None]:
                told[system] = left if isinstance(made, list) else left[0]
        return {**table, "models": told}

    def uses(self) -> tuple[Uses, ...]:
        """The models, which are judged."""
        made = [name for system in self.models.values() for name in stages_of(system)]
        return tuple(
            Uses(name, "base", Channel.JUDGEMENT, purpose=Purpose.VERIFYING)
            for name in dict.fromkeys(made)
        )

    def sources(self, folder: Path) -> tuple[Source, ...]:
        """The suite, a program; which version it was stands in what was measured."""
        del folder
        return (
            Source(
                name=SUITES[self.suite].name, what="program", kind="program", route="in-process",
                license=SUITES[self.suite].license,
            ),
        )  # fmt: skip

    def files(self) -> tuple[str, ...]:
        """Task files, and what they read."""
        named = (name.partition("@")[0] for name in self.tasks)
        return tuple(dict.fromkeys([*(name for name in named if _is_file(name)), *self.data]))

    def check(self, folder: Path) -> None:
        """See that files of tasks are of their suite, and that the user allows what they run."""
        ends = (".py",) if self.suite == "inspect-ai" else (".yaml", ".yml")
        for name in (task.partition("@")[0] for task in self.tasks):
            if _is_file(name) and not name.endswith(ends):
                msg = f"tasks names {name!r}, and a file of a task of {self.suite} is {ends[0]}"
                raise RecipeError(msg)
        for name in self.files():
            if name.endswith(_CODE) and not is_the_users(folder, folder / name):
                msg = (
                    f"{name!r} is run as code by {self.suite} (templates and functions are): read "
                    f"it, and if you trust it add --allow {name}"
                )
                raise RecipeError(msg)
            if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
                msg = f"{name!r}: tasks and their data lie beside the recipe, or below"
                raise RecipeError(msg)

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """Nobody knows how many figures a task has."""
        del inputs
        return None

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield a row a figure; measure each system's by task and metric.

        Raises:
            InputError: if no environment is named, or the suite failed, with what it said.
        """
        del records
        suite = SUITES[self.suite]
        python = interpreter(suite)
        version = version_of(suite, python)
        total = sum(len(stages_of(made)) for made in self.models.values())
        rows: list[dict[str, Any]] = []
        systems: dict[str, Any] = {}
        done = 0
        for system, made in self.models.items():
            seeds: list[list[Figure]] = []
            for seed, name in enumerate(stages_of(made)):
                ctx.progress(done, total, f"{name} in {self.suite}")
                seeds.append(self._figures(name, python, ctx))
                done += 1
                rows += [
                    _row(system, seed, name, one, f"{suite.name} {version}") for one in seeds[-1]
                ]
            systems[system] = {"tasks": _told(seeds)}
        ctx.measures |= {
            "metric": "suite", "by": f"{suite.name} {version}", "systems": systems, "compare": [],
        }  # fmt: skip
        table = pa.Table.from_pylist(rows, _SCHEMA)
        table = table.append_column(BILL, pa.array([0] * len(rows), pa.int32()))
        yield from table.combine_chunks().to_batches()

    def _figures(self, name: str, python: Path, ctx: StageContext) -> list[Figure]:
        """Run the suite on a model; return what it found."""
        who = f"stages.{ctx.name}: {self.suite} with {name}"
        place = ctx.work / "suite"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for file in self.files():
            target = place / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ctx.recipe_folder / file, target)
        model = ctx.base(name).folder
        if not (model / "config.json").is_file() or not (model / "tokenizer.json").is_file():
            msg = f"{who}: its files are none that transformers loads; name a model that writes"
            raise InputError(msg)
        # A name without commas and equals signs, which arguments of suites are parted by.
        (place / "model").symlink_to(model.resolve(), target_is_directory=True)
        try:
            run(self._command(python, ctx.seed), place, self.seconds, ctx.threads, who)
            found = (of_lm_eval if self.suite == "lm-eval" else of_inspect)(place / "out", who)
        finally:
            with suppress(OSError):
                shutil.rmtree(place)
        return found

    def _command(self, python: Path, seed: int) -> Sequence[str]:
        if self.suite == "lm-eval":
            return [
                str(python), "-m", "lm_eval", "run", "--model", "hf",
                "--model_args", "pretrained=./model,dtype=float32,trust_remote_code=False",
                "--tasks", ",".join(f"./{task}" if _is_file(task) else task for task in self.tasks),
                "--batch_size", str(self.batch), "--seed", str(seed), "--output_path", "out",
                *(["--num_fewshot", str(self.fewshot)] if self.fewshot is not None else []),
                *(["--limit", str(self.limit)] if self.limit is not None else []),
                *(["--apply_chat_template"] if self.chat else []),
            ]  # fmt: skip
        return [
            str(python), "-m", "inspect_ai", "eval", *self.tasks, "--model", "hf/local",
            "-M", "model_path=./model", "--seed", str(seed), "--log-format", "json",
            "--log-dir", "out", "--no-log-samples", "--display", "plain", "--ctl-server", "false",
            *(["--limit", str(self.limit)] if self.limit is not None else []),
            *(["--max-tokens", str(self.max_tokens)] if self.max_tokens is not None else []),
        ]  # fmt: skip


_SCHEMA = pa.schema(
    [
        ("system", pa.string()), ("seed", pa.int64()), ("model", pa.string()),
        ("task", pa.string()), ("metric", pa.string()), ("value", pa.float64()),
        ("stderr", pa.float64()), ("samples", pa.int64()), ("higher_is_better", pa.bool_()),
        ("task_version", pa.string()), ("suite", pa.string()),
    ]
)  # fmt: skip


def _is_file(name: str) -> bool:
    return name.partition("@")[0].endswith(_CODE)


def _row(system: str, seed: int, name: str, one: Figure, suite: str) -> dict[str, Any]:
    return {
        "system": system, "seed": seed, "model": name, "task": one.task, "metric": one.metric,
        "value": one.value, "stderr": one.stderr, "samples": one.samples,
        "higher_is_better": one.higher_is_better, "task_version": one.version, "suite": suite,
    }  # fmt: skip


def _told(seeds: Sequence[Sequence[Figure]]) -> dict[str, Any]:
    """Return figures by task and metric; of several seeds their mean and its spread."""
    by_key: dict[tuple[str, str], list[Figure]] = {}
    for figures in seeds:
        for one in figures:
            by_key.setdefault((one.task, one.metric), []).append(one)
    told: dict[str, Any] = {}
    for (task, metric), own in by_key.items():
        interval = own[0].interval if len(own) == 1 else _over_seeds(own)
        told.setdefault(task, {})[metric] = {
            "value": math.fsum(one.value for one in own) / len(own),
            "stderr": own[0].stderr if len(own) == 1 else None,
            "low": interval[0] if interval else None,
            "high": interval[1] if interval else None,
            "samples": own[0].samples,
            "higher_is_better": own[0].higher_is_better,
            "version": own[0].version,
            **({"seeds": _spread(own)} if len(seeds) > 1 else {}),
        }
    return told


def _spread(own: Sequence[Figure]) -> dict[str, Any]:
    values = [one.value for one in own]
    return {"values": values, **spread_of(values).as_json()}


def _over_seeds(own: Sequence[Figure]) -> tuple[float, float] | None:
    """Return the interval of a mean over seeds that all had the same items.

    Items vary in all seeds alike, so that their variance is not divided by the seeds; what seeds
    add to it is. Of shares it is no narrower than Wilson's; of items that are all alike under all
    seeds there is none.
    """
    errors = [one.stderr for one in own if one.stderr is not None]
    if len(errors) < len(own):
        return None
    mean = math.fsum(one.value for one in own) / len(own)
    items = math.fsum(error**2 for error in errors) / len(own)
    seeds = spread_of([one.value for one in own]).sd ** 2 / len(own)
    half = Z * math.sqrt(items + seeds)
    if all(one.is_share for one in own):
        low, high = wilson(min(mean, 1.0), min(one.samples or 0 for one in own))
        return min(low, mean - half), max(high, mean + half)
    return (mean - half, mean + half) if half else None
