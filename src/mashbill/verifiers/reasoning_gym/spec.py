"""``reasoning-gym``: what a task's own generator says of an answer, of generators that can be told.

A generator scores by its own rules, some of which pay for anything: those are refused by name, by
the list that their controls made (:mod:`mashbill.verifiers.reasoning_gym.allowed`), and each is
tried again at plan. Only a full score counts, unless ``partial`` lets the parts count.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from mashbill.core.errors import RecipeError
from mashbill.core.shown import shown
from mashbill.core.source import Source
from mashbill.core.verifier import Case, Control, Rules, Score, VerifierSpec
from mashbill.verifiers.kept_apart import RaisedError, TookTooLongError
from mashbill.verifiers.reasoning_gym.allowed import against, release
from mashbill.verifiers.reasoning_gym.asking import EXTRA, Gym
from mashbill.verifiers.reasoning_gym.trying import FULL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FEW = 6  # tasks that a generator is tried on at plan, and with a row's own config
_TRYING = 60.0  # seconds that this may take
_LONGEST = 100_000  # characters of an answer
_MOST = 4 << 20  # characters of a task
_LOOKED = 400_000  # characters that are looked through, from the end
_NUMBER = re.compile(r"(?<![\w.])[-\u2212]?\d+(?:,\d{3})*(?:\.\d+)?(?!\w)")
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)


class ReasoningGymSpec(VerifierSpec):
    """``kind = "reasoning-gym"``."""

    repeats: ClassVar[bool] = True

    kind: Literal["reasoning-gym"] = "reasoning-gym"
    generators: tuple[str, ...] = Field(min_length=1, max_length=128)
    """generators whose tasks are scored; each is tried on its controls before"""
    task: str = "task"
    """column with the task, as reasoning-gym gives it: JSON with question, answer and metadata"""
    find: Literal["tags", "last-line", "last-number"] = "tags"
    """where in an output its answer stands: in its last <answer> tags, and without any it is all
    of it; else its last line or number, where there are no tags"""
    partial: bool = False
    """whether a part of a score counts; without it all that is not full is 0"""
    seconds: float = Field(default=5.0, gt=0, le=60, allow_inf_nan=False)
    """that a generator may take for an answer; what takes longer failed"""

    @field_validator("generators", mode="after")
    @classmethod
    def _once_each(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names))

    @model_validator(mode="after")
    def _all_passed(self) -> ReasoningGymSpec:
        reasons = [against(name, partial=self.partial) for name in self.generators]
        if told := [reason for reason in reasons if reason]:
            msg = f"{'; '.join(told)}; take another generator"
            raise ValueError(msg)
        return self

    @property
    def rules(self) -> Rules:
        """Those of the package's version."""
        return Rules(f"{self.release} reasoning-gym {release()}", (), self.repeats, False)  # noqa: FBT003

    @property
    def source(self) -> Source:
        """The package, whose rules score."""
        return Source(
            name="verifier reasoning-gym",
            what="program",
            kind="program",
            route="in-process",
            version=self.rules.release,
            license="Apache-2.0",
        )

    @property
    def extras(self) -> tuple[str, ...]:
        """The package is an extra."""
        return (EXTRA,)

    def reads(self) -> tuple[str, ...]:
        """The task."""
        return (self.task,)

    def controls(self) -> tuple[Control, ...]:
        """The right answer of a task of each generator, and junk; all of them were tried before.

        Raises:
            RecipeError: naming a generator that does not pass here, whatever the list says.
        """
        gym, found = Gym(), []
        try:
            for name in self.generators:
                if faults := _faults(gym, name, {}, partial=self.partial):
                    msg = f"generator {name} does not pass its controls: it {faults}"
                    raise RecipeError(f"kind 'reasoning-gym': {msg}; take another generator")
                item = gym.ask(_TRYING, "task", generator=name, size=1, seed=1, at=0)
                row = {self.task: json.dumps(item)}
                right, junk = Case(item["answer"], row=row), Case("qzx vbk wjpt zzkq", row=row)
                found += [
                    Control(f"the right answer of {name}", right, is_right=True),
                    Control(f"letters without sense for {name}", junk, is_right=False),
                ]
        except (RaisedError, TookTooLongError) as error:
            msg = f"kind 'reasoning-gym': {self.generators[0]} cannot be tried: {error}"
            raise RecipeError(msg) from error
        finally:
            gym.close()
        return tuple(found)

    def load(self, folder: Path, cache: Path, threads: int) -> ReasoningGym:
        """Return it; the package is loaded when it is first needed."""
        del folder, cache, threads
        return ReasoningGym(self)


def _faults(gym: Gym, name: str, config: Any, *, partial: bool) -> str:
    """Return what a generator gets wrong of its controls; empty if nothing."""
    found = gym.ask(_TRYING, "try", generator=name, config=config, items=_FEW)
    return "; ".join([*found["faults"], *(found["partly"] if partial else [])][:2])


class ReasoningGym:
    """Puts answers to the generators of their tasks."""

    def __init__(self, spec: ReasoningGymSpec) -> None:
        """Prepare to ask."""
        self._spec = spec
        self._gym = Gym()
        self._tried: dict[tuple[str, str], str] = {}
        """generator and config -> what it gets wrong"""

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return what the generators say; undecided of what they raise at."""
        return [self._one(case) for case in cases]

    def _one(self, case: Case) -> Score:
        told = self._task(case.row.get(self._spec.task))
        if isinstance(told, Score):
            return told
        name, config, item = told
        output = answer_in(case.output, self._spec.find)
        if not output:
            return Score(0.0, "it gives no answer")
        if len(output) > _LONGEST:
            return Score.undecided(f"its answer has {len(output):,} characters, above {_LONGEST:,}")
        try:
            if faults := self._faults(name, config):
                return Score.failed(f"{name} with this config pays for junk: it {faults}"[:300])
            value = self._gym.ask(
                self._spec.seconds, "score", generator=name, config=config, output=output, item=item
            )
        except TookTooLongError as error:
            return Score.failed(f"{name}: {error}")
        except RaisedError as error:
            return Score.undecided(f"{name} raised {error}"[:300])
        if value >= FULL:
            return Score(1.0, f"right, says {name}")
        if not self._spec.partial:
            return Score(0.0, f"{value:.2f} of 1, says {name}")
        return Score(value, f"{value:.2f} of 1, says {name}")

    def _faults(self, name: str, config: Any) -> str:
        """Try a generator with the config of a row, once: controls of a plan know no rows."""
        key = name, json.dumps(config, sort_keys=True)
        if key not in self._tried:
            self._tried[key] = _faults(self._gym, name, config, partial=self._spec.partial)
        return self._tried[key]

    def _task(self, cell: Any) -> tuple[str, dict[str, Any], dict[str, Any]] | Score:
        """Return generator, config and task of a row; what is wrong with it otherwise."""
        column = self._spec.task
        try:
            if not isinstance(cell, str) or len(cell) > _MOST:
                raise ValueError  # noqa: TRY301 - as any other that is no task
            item = json.loads(cell)
            name, config = item["metadata"]["source_dataset"], item.get("config") or {}
            if not isinstance(name, str) or not isinstance(config, dict):
                raise TypeError  # noqa: TRY301 - the same
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return Score.undecided(f"column {column!r} holds no task of reasoning-gym")
        if name not in self._spec.generators:
            return Score.failed(f"{shown(name, 60)!r} is none of the verifier's generators")
        return name, config, item


def answer_in(output: str, find: str = "tags") -> str:
    """Return the answer of an output: what its last answer tags hold, or else as ``find`` says."""
    output = output[-_LOOKED:]
    if tagged := _TAGGED.findall(output):
        return str(tagged[-1]).strip()
    if find == "last-number":
        numbers = _NUMBER.findall(output)
        return numbers[-1].replace(",", "").replace("\u2212", "-") if numbers else ""
    if find == "last-line":
        return next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "")
    return output.strip()
