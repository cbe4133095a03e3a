"""``tools``: traces of tool use against declared tools.

The teacher calls tools until it answers. Arguments are held to each tool's schema; what does not
fit goes back to the teacher as the tool's result, and too much of it ends the trace. Results come
from a file of known ones, or from a teacher that stands in for the tools: nothing is run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.errors import RecipeError
from mashbill.core.source import Channel
from mashbill.core.stage import Question, Uses
from mashbill.stages.prompting import Prompt, shipped_prompt
from mashbill.stages.structure import Structure
from mashbill.stages.writing import Candidate, Work, WritingSpec, needs_column

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ToolsSpec(WritingSpec):
    """``kind = "tools"``."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher", "judge", "simulator")

    kind: Literal["tools"] = "tools"
    column: str = "text"
    """column of the tasks"""
    tools: str
    """JSON file: a list of tools with name, description and parameters (JSON Schema)"""
    results: str = ""
    """JSONL file of known results: name, arguments, result"""
    simulator: str = ""
    """which of [teachers.*] stands in for the tools where no result is known"""
    max_steps: int = Field(default=6, gt=0, le=64)
    """rounds of calls in a trace at most"""
    max_invalid: int = Field(default=2, ge=0)
    """calls with wrong arguments in a trace at most"""

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
        return (*super().files(), self.tools, *((self.results,) if self.results else ()))

    def own_files(self) -> dict[str, Path]:
        """The shipped prompt of the simulator."""
        own = super().own_files()
        return {**own, "simulator": shipped_prompt("simulator")} if self.simulator else own

    def check(self, folder: Path) -> None:
        """Read tools and results."""
        super().check(folder)
        self.declared(folder)
        self.known(folder)

    def declared(self, folder: Path) -> dict[str, tuple[dict[str, Any], Structure]]:
        """Return each tool by name, with the schema of its arguments.

        Raises:
            RecipeError: naming file, tool and place.
        """
        path = folder / self.tools
        try:
            listed = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            msg = f"{path}: the tools cannot be read as JSON: {error}"
            raise RecipeError(msg) from error
        if not isinstance(listed, list) or not listed:
            msg = f"{path}: a list of tools is needed, with name, description and parameters"
            raise RecipeError(msg)
        found: dict[str, tuple[dict[str, Any], Structure]] = {}
        for place, tool in enumerate(listed):
            lacking = {"name", "description", "parameters"} - set(
                tool if isinstance(tool, dict) else ()
            )
            if lacking:
                msg = f"{path}: tool {place} lacks {', '.join(sorted(lacking))}"
                raise RecipeError(msg)
            where = f"{path}: tool {tool['name']!r}"
            found[tool["name"]] = (tool, Structure(tool["parameters"], where))
        return found

    def known(self, folder: Path) -> dict[tuple[str, str], str]:
        """Return known results as JSON text, by name and canonical arguments.

        Raises:
            RecipeError: naming file and line.
        """
        if not self.results:
            return {}
        path, found = folder / self.results, {}
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                key = (row["name"], _canonical(row["arguments"]))
                found[key] = json.dumps(row["result"], ensure_ascii=False)
            except (ValueError, KeyError, TypeError) as error:
                msg = f"{path}, line {number}: name, arguments and result are needed: {error!r}"
                raise RecipeError(msg) from error
        return found

    def tools_text(self, folder: Path) -> str:
        """Return the tools as the teacher is told of them."""
        tools = [tool for tool, _ in self.declared(folder).values()]
        return json.dumps(tools, ensure_ascii=False, sort_keys=True)

    def prompt_text(self, row: dict[str, Any], user: str) -> str:
        """The task."""
        return user or needs_column(row, self.column, self.input)

    def further(self) -> dict[str, pa.DataType]:
        """The whole trace, its calls, and the tools that were declared."""
        return {"messages_json": pa.string(), "calls": pa.int64(), "tools_json": pa.string()}

    def go_on(self, items: Sequence[Candidate], work: Work) -> None:
        """Answer calls until the teacher answers; what goes wrong rejects the trace."""
        traces = [_Trace(item) for item in items]
        declared, known = self.declared(work.ctx.recipe_folder), self.known(work.ctx.recipe_folder)
        left = traces
        for _ in range(self.max_steps):
            left = [t for t in left if t.item.reason is None and t.takes_calls(declared)]
            if not left:
                break
            self._answer([c for t in left for c in t.pending], known, work)
            going = [t for t in left if t.reasonable(self.max_invalid)]
            work.ask(
                work.ctx.teacher(self.teacher),
                [(trace.item, trace.question()) for trace in going],
            )
            left = going
        for trace in traces:
            if trace.item.reason is None and trace.item.answer and trace.item.answer.tool_calls:
                trace.item.reason = f"it still calls tools after {self.max_steps} steps"
            trace.close(self.tools_text(work.ctx.recipe_folder))

    def _answer(self, calls: list[_Call], known: dict[tuple[str, str], str], work: Work) -> None:
        """Give each call its result."""
        asked = []
        for call in calls:
            if call.result:
                continue
            call.result = known.get((call.name, _canonical(call.arguments)), "")
            if not call.result and self.simulator:
                asked.append(call)
            elif not call.result:
                call.result = json.dumps({"error": "no result is known for these arguments"})
        if not asked:
            return
        prompt = Prompt(shipped_prompt("simulator"))
        questions = []
        for call in asked:
            values = {
                "name": call.name, "description": call.tool["description"],
                "arguments": _canonical(call.arguments),
            }  # fmt: skip
            said = prompt.render(values, f"a call of {call.name}")
            questions.append(Question("", said.user, system=said.system))
        answers = work.ctx.teacher(self.simulator).ask(questions)
        for call, (_, answer) in zip(asked, answers, strict=True):
            call.result = answer.text.strip() or json.dumps({"error": answer.failed or "nothing"})


class _Call:
    """One call of a tool."""

    def __init__(self, raw: dict[str, str], tool: dict[str, Any], arguments: Any) -> None:
        self.id, self.name, self.tool, self.arguments = raw["id"], raw["name"], tool, arguments
        self.result = ""


class _Trace:
    """One trace as it grows."""

    def __init__(self, item: Candidate) -> None:
        self.item = item
        item.first = item.first or item.question.body
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": item.first}]
        self.pending: list[_Call] = []
        self.calls = self.invalid = 0

    def takes_calls(self, declared: dict[str, tuple[dict[str, Any], Structure]]) -> bool:
        """Read the calls of the last answer; False if there are none, or one is of no tool."""
        answer = self.item.answer
        if answer is None or not answer.tool_calls:
            return False
        raw = json.loads(answer.tool_calls)
        turn: dict[str, Any] = {"role": "assistant", "content": self.item.text, "tool_calls": raw}
        if answer.opaque:
            turn["opaque"] = json.loads(answer.opaque)
        self.messages.append(turn)
        self.pending = []
        for one in raw:
            if one["name"] not in declared:
                self.item.reason = f"it calls {one['name']!r}, which is no declared tool"
                return False
            tool, structure = declared[one["name"]]
            read = structure.read(one["arguments"] or "{}")
            call = _Call(one, tool, read.value)
            if read.problem:
                self.invalid += 1
                call.result = json.dumps({"error": f"the arguments do not fit: {read.problem}"})
            self.pending.append(call)
        self.calls += len(raw)
        return True

    def reasonable(self, most: int) -> bool:
        """Put the results into the trace; False if too many arguments were wrong."""
        self.messages += [
            {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": call.result}
            for call in self.pending
        ]
        if self.invalid > most:
            self.item.reason = f"{self.invalid} calls had arguments that do not fit"
            return False
        return True

    def question(self) -> Question:
        """Return the question that goes on from the results."""
        asked = self.item.question
        return Question(
            "", "", system=asked.system, turns=json.dumps(self.messages, ensure_ascii=False),
            tools=asked.tools, sample=self.item.sample,
        )  # fmt: skip

    def close(self, tools: str) -> None:
        """Set the columns of the trace's row."""
        if self.item.reason is None:
            self.messages.append({"role": "assistant", "content": self.item.text})
        shown = [{k: v for k, v in turn.items() if k != "opaque"} for turn in self.messages]
        self.item.columns |= {
            "messages_json": json.dumps(shown, ensure_ascii=False),
            "calls": self.calls,
            "tools_json": tools,
        }


def _canonical(arguments: Any) -> str:
    return json.dumps(arguments, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
