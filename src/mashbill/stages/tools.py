"""``tools``: rollouts of tool use against declared tools.

The teacher calls tools until it answers. Arguments are held to each tool's schema; what does not
fit goes back to the teacher as the tool's result, and too much of it ends the rollout. Results come
from a file of known ones, or from a teacher that stands in for the tools: nothing is run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.errors import RecipeError
from mashbill.core.parsing import json_value, read_text
from mashbill.core.source import Channel
from mashbill.core.stage import Uses
from mashbill.prompts.prompt import Prompt, shipped_prompt
from mashbill.prompts.schema import flaw
from mashbill.stages.judging import FileName
from mashbill.stages.writing.candidate import Candidate, needs_column, once_more
from mashbill.stages.writing.rollouts import RolloutSpec
from mashbill.stages.writing.tool_rollout import Call, Rollout, canonical_text, declared_tools
from mashbill.stages.writing.work import Work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.chat import Tool


class ToolsSpec(RolloutSpec):
    """``kind = "tools"``."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher", "judge", "simulator")
    takes_schema: ClassVar[bool] = False
    as_json: ClassVar[frozenset[str]] = frozenset({"messages_json", "tools_json"})

    kind: Literal["tools"] = "tools"
    column: str = "text"
    """column of the tasks"""
    tools: FileName
    """JSON file: a list of tools with name, description, parameters (JSON Schema), and, for the
    simulator, returns (JSON Schema)"""
    results: FileName = ""
    """JSONL file of known results: name, arguments, result"""
    simulator: str = ""
    """which of [teachers.*] stands in for the tools where no result is known"""
    simulator_prompt: FileName = ""
    """Jinja file for it, with {{ name }}, {{ description }}, {{ arguments }}; the stage's own if
    empty"""
    max_steps: int = Field(default=6, gt=0, le=64)
    """rounds of calls in a rollout at most"""
    max_invalid: int = Field(default=2, ge=0)
    """calls in a rollout at most that have wrong arguments, or for which no result is known"""

    @model_validator(mode="after")
    def _somebody_answers(self) -> ToolsSpec:
        if not self.results and not self.simulator:
            msg = "name results, simulator, or both: a call needs a result from somewhere"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """Beside what every writing stage uses, who stands in for the tools: content, too."""
        if not self.simulator:
            return super().uses()
        stands_in = Uses(self.simulator, "actor", Channel.CONTENT, is_teacher=True)
        return (*super().uses(), stands_in)

    def files(self) -> tuple[str, ...]:
        """Tools and results too."""
        named = (self.tools, self.results, self.simulator_prompt)
        return (*super().files(), *(name for name in named if name))

    def own_files(self) -> dict[str, Path]:
        """The shipped prompt of the simulator."""
        own = super().own_files()
        if self.simulator and not self.simulator_prompt:
            own["simulator"] = shipped_prompt("simulator")
        return own

    def check(self, folder: Path) -> None:
        """Read tools and results."""
        super().check(folder)
        declared_tools(folder / self.tools)
        self.known(folder)
        if self.simulator:
            self._standing_in(folder).check(("name", "description", "arguments"))

    def dialogue(self, folder: Path) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
        """Return who is asked; how many calls of tools a step has, nothing limits."""
        del folder
        steps = (self.teacher,) * (1 + self.max_steps)
        return (self.teacher,), None if self.simulator else steps

    def _standing_in(self, folder: Path) -> Prompt:
        own = shipped_prompt("simulator")
        return Prompt(folder / self.simulator_prompt if self.simulator_prompt else own)

    def known(self, folder: Path) -> dict[tuple[str, str], str]:
        """Return known results as JSON text, by name and canonical arguments.

        Raises:
            RecipeError: naming file and line.
        """
        if not self.results:
            return {}
        path, found = folder / self.results, {}
        # At "\n" alone: a JSON string may hold line separators of Unicode.
        for number, line in enumerate(read_text(path, error=RecipeError).split("\n"), 1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            row = json_value(line, where, error=RecipeError)
            if not isinstance(row, dict) or not {"name", "arguments", "result"} <= row.keys():
                msg = f"{where}: name, arguments and result are needed; found {row!r:.100}"
                raise RecipeError(msg)
            if flawed := flaw(row):
                msg = f"{where}: {flawed}"
                raise RecipeError(msg)
            key = (str(row["name"]), canonical_text(row["arguments"]))
            found[key] = json.dumps(row["result"], ensure_ascii=False)
        return found

    def told_tools(self, folder: Path) -> tuple[Tool, ...]:
        """Return the tools as the teacher is told of them."""
        return tuple(tool.told for tool in declared_tools(folder / self.tools).values())

    def prompt_text(self, row: dict[str, Any], user: str) -> str:
        """The task."""
        return user or needs_column(row, self.column, self.input)

    def judged(self, candidate: Candidate, row: dict[str, Any]) -> dict[str, str]:
        """The task with the calls and their results, and the last answer."""
        return {"prompt": candidate.said.transcript(), "text": row["text"]}

    def further(self) -> dict[str, pa.DataType]:
        """The whole rollout, its calls, and the tools that were declared."""
        return {"messages_json": pa.string(), "calls": pa.int64(), "tools_json": pa.string()}

    def go_on(self, items: Sequence[Candidate], work: Work) -> None:
        """Answer calls until the teacher answers; what goes wrong rejects the rollout."""
        folder = work.ctx.recipe_folder
        declared, known = declared_tools(folder / self.tools), self.known(folder)
        rollouts = [Rollout(item) for item in items]
        left = rollouts
        for _ in range(self.max_steps):
            left = [rollout for rollout in left if rollout.takes_calls(declared)]
            if not left:
                break
            self._answer(left, known, work)
            left = [rollout for rollout in left if rollout.goes_on(self.max_invalid)]
            teacher = work.ctx.teacher(self.teacher)
            work.ask(teacher, [(rollout.item, rollout.question()) for rollout in left])
            left = [rollout for rollout in left if rollout.item.reason is None]
        work.counts["invalid_calls"] = work.counts.get("invalid_calls", 0)
        for rollout in rollouts:
            answer = rollout.item.answer
            if rollout.item.reason is None and answer is not None and answer.tool_calls:
                rollout.item.reason = f"it still calls tools after {self.max_steps} steps"
            work.counts["invalid_calls"] += rollout.invalid
            if rollout.mended:  # only where there are any: they are rare, and a server's doing
                work.counts["mended_calls"] = work.counts.get("mended_calls", 0) + rollout.mended
            rollout.close()

    def _answer(
        self, rollouts: Sequence[Rollout], known: dict[tuple[str, str], str], work: Work
    ) -> None:
        """Give each call its result: a known one, or one of whoever stands in for the tools."""
        asked: list[tuple[Rollout, Call]] = []
        for rollout in rollouts:
            for call in rollout.pending:
                if call.result:
                    continue
                call.result = known.get((call.name, canonical_text(call.arguments)), "")
                if not call.result and self.simulator:
                    asked.append((rollout, call))
                elif not call.result:
                    rollout.refuse(call, "no result is known for these arguments")
        if asked:
            self._simulate(asked, work)

    def _simulate(self, asked: Sequence[tuple[Rollout, Call]], work: Work) -> None:
        prompt = self._standing_in(work.ctx.recipe_folder)
        left = [
            (rollout, call, call.simulated_by(prompt, rollout.item.sample))
            for rollout, call in asked
        ]
        for _ in range(self.retries + 1):
            answers = work.ctx.teacher(self.simulator).ask([question for _, _, question in left])
            again = []
            for (rollout, call, question), (_, answer) in zip(left, answers, strict=True):
                problem = call.takes(answer)
                if problem and not answer.failed:
                    again.append((rollout, call, once_more(question, answer, problem)))
                elif problem:
                    rollout.lacks = f"the result of {call.name} {problem}"
            left = again
            if not left:
                break
        for rollout, call, _ in left:
            rollout.lacks = f"the result of {call.name} {call.problem}"
