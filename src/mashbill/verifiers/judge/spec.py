"""``judge``: one or several teachers score an output by a rubric, written as a prompt.

What they say is read in one of three ways: the probability of each word of a scale, whose mean
value is the score; one of these words, written; or a number, written. What cannot be read strictly
is undecided, and what was not answered failed; neither is 0.

A judge that compares is asked which is better, the output or the reference, both ways round.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from mashbill.core.errors import RecipeError
from mashbill.core.verifier import Rules, VerifierSpec
from mashbill.prompts.prompt import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.teacher import Answer
    from mashbill.verifiers.judge.scoring import Judge

_WORDS = 32  # of a scale
_JUDGES = 16
_ALONE = ("output", "reference")
_COMPARED = ("first", "second")


class JudgeSpec(VerifierSpec):
    """``kind = "judge"``."""

    kind: Literal["judge"] = "judge"
    teachers: tuple[str, ...] = Field(min_length=1, max_length=_JUDGES)
    """which of [teachers.*] judge"""
    prompt: str
    """Jinja file beside the recipe: the rubric, with {{ output }}, {{ reference }} and {{ COLUMN }}
    for each of columns; with {{ first }} and {{ second }} where it compares"""
    columns: tuple[str, ...] = ()
    """columns of a row that the prompt shows, such as the question"""
    question: str = ""
    """which of columns holds the question, for negative controls; the first if empty"""
    answer: Literal["choice", "word", "number"] = "choice"
    """choice: the mean value of the words of scale, by their probabilities; word: the teacher
    writes one of them; number: it writes a number from low to high"""
    scale: dict[str, float] = Field(default={" yes": 1.0, " no": 0.0}, max_length=_WORDS)
    """what it would write next -> what that is worth, from 0 to 1; with their leading space"""
    low: float = Field(default=0.0, allow_inf_nan=False)
    """number that is worth 0"""
    high: float = Field(default=10.0, allow_inf_nan=False)
    """number that is worth 1"""
    mark: str = Field(default="Score:", min_length=1, max_length=40)
    """begins the line with the word or number, in an answer that says more"""
    compares: bool = False
    """whether it is asked which of output and reference is better, both ways round; the words of
    scale are worth 1 if they say the first"""
    together: Literal["mean", "median", "lowest"] = "mean"
    """what several judges come to"""
    needs: int | None = Field(default=None, gt=0)
    """judges that must have answered; all if absent"""
    max_chars: int = Field(default=32000, gt=0)
    """longer texts are cut for the judge"""
    gold: str = ""
    """column with what people say of an output, a number or true and false: how far judges agree
    with it is measured. No judge sees it"""
    gold_right: float = Field(default=0.5, allow_inf_nan=False)
    """gold from which an output counts as right"""
    accepts: str = Field(default="", max_length=400)
    """in words, why a judge is asked that fails its negative controls, such as a small model that
    is measured; it is kept in the manifest"""

    @field_validator("scale")
    @classmethod
    def _is_a_scale(cls, scale: dict[str, float]) -> dict[str, float]:
        values = list(scale.values())
        if len(scale) < 2 or len(set(values)) < 2 or not all(0 <= v <= 1 for v in values):
            msg = "scale has two words at least, each worth from 0 to 1, and not all the same"
            raise ValueError(msg)
        bare = [word.strip().casefold() for word in scale]
        if "" in bare or len(set(bare)) < len(bare):
            msg = "the words of scale are texts that differ in more than space and capitals"
            raise ValueError(msg)
        return scale

    @model_validator(mode="after")
    def _is_sound(self) -> JudgeSpec:
        if len(set(self.teachers)) < len(self.teachers):
            msg = "each of teachers is named once"
            raise ValueError(msg)
        if self.low >= self.high:
            msg = f"low = {self.low:g} must be below high = {self.high:g}"
            raise ValueError(msg)
        if self.compares and self.answer == "number":
            msg = 'compares asks which is better: set answer = "choice" or "word"'
            raise ValueError(msg)
        if self.needs is not None and self.needs > len(self.teachers):
            msg = f"needs = {self.needs} judges, and there are {len(self.teachers)}"
            raise ValueError(msg)
        if self.question and self.question not in self.columns:
            msg = f"question = {self.question!r} is none of columns, {list(self.columns)}"
            raise ValueError(msg)
        own = {*_ALONE, *_COMPARED, "row"}
        if strange := [name for name in self.columns if name in own]:
            msg = f"columns: {strange[0]!r} is a word of the prompt's own; rename the column"
            raise ValueError(msg)
        if self.gold in self.columns:
            msg = f"gold = {self.gold!r} is among columns, and no judge may see it"
            raise ValueError(msg)
        return self

    @property
    def components(self) -> tuple[str, ...]:  # type: ignore[override]
        """A part for each of several judges."""
        return self.teachers if len(self.teachers) > 1 else ()

    @property
    def needs_reference(self) -> bool:  # type: ignore[override]
        """Whether it compares with what is known to be right."""
        return self.compares

    @property
    def rules(self) -> Rules:
        """What a run has to know: some of several judges may say nothing."""
        some = self.needs is not None and self.needs < len(self.teachers)
        return replace(super().rules, may_leave_out=some)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words of the scale, the best first."""
        return tuple(sorted(self.scale, key=lambda word: (-self.scale[word], word)))

    @property
    def question_column(self) -> str:
        """The column with the question; empty if the judge sees none."""
        return self.question or (self.columns[0] if self.columns else "")

    @property
    def most_chars(self) -> int | None:
        """Characters of a text at most that judges are sent."""
        return self.max_chars

    @property
    def rests_on_one_answer(self) -> bool:
        """Whether there is one judge, asked once."""
        return len(self.teachers) == 1 and not self.compares

    def says_again(self, answers: Sequence[Answer | None], choices: tuple[str, ...]) -> list[Any]:
        """Return the score that follows from each answer; None too if other words were weighed."""
        from mashbill.verifiers.judge.scoring import read

        if choices != (self.choices if self.answer == "choice" else ()):
            return [None] * len(answers)
        return [None if one is None else read(self, "", one).value for one in answers]

    @property
    def accepted(self) -> str:
        """Why it is asked although it fails its negative controls; empty if it is not."""
        return self.accepts.strip()

    @property
    def asks_to_write(self) -> bool:
        """Whether its teachers write what they think."""
        return self.answer != "choice"

    def asks(self) -> tuple[str, ...]:
        """Each judge, twice where it compares."""
        return tuple(name for name in self.teachers for _ in range(1 + self.compares))

    def reads(self) -> tuple[str, ...]:
        """The columns that the prompt shows, and gold."""
        return (*self.columns, *([self.gold] if self.gold else []))

    def files(self) -> tuple[str, ...]:
        """The prompt."""
        return (self.prompt,)

    @classmethod
    def renamed(cls, table: dict[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
        """Return the keys with judges renamed; one in whose place nobody stands is left out."""
        told = [names.get(name, name) for name in table.get("teachers", [])]
        return {**table, "teachers": list(dict.fromkeys(name for name in told if name))}

    def check(self, folder: Path) -> None:
        """See that the prompt shows what is judged, and nothing that is not there.

        Raises:
            RecipeError: naming file and variable.
        """
        prompt = Prompt(folder / self.prompt)
        slots = _COMPARED if self.compares else _ALONE
        prompt.check([*slots, *self.columns, "row"])
        for name in slots if self.compares else slots[:1]:
            if name not in prompt.variables:
                msg = (
                    f"{prompt.path} has no {{{{ {name} }}}}, so a judge would not see what it "
                    "judges"
                )
                raise RecipeError(msg)

    def load(self, folder: Path, cache: Path, threads: int) -> Judge:
        """Read the prompt; teachers are given with the outputs."""
        from mashbill.verifiers.judge.scoring import Judge

        del cache, threads
        return Judge(self, Prompt(folder / self.prompt))
