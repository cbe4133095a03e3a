"""Rollouts of tool use: the tools that are declared, a call of one, a rollout as it grows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core.chat import Conversation, Tool, Turn, tools_from_json, tools_to_json
from mashbill.core.errors import InputError, RecipeError
from mashbill.core.parsing import json_value, read_json
from mashbill.core.teacher import Question
from mashbill.prompts.schema import Structure, flaw
from mashbill.stages.writing.candidate import turn_of, whole
from mashbill.stages.writing.tool_calls import mended_calls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.core.teacher import Answer
    from mashbill.prompts.prompt import Prompt
    from mashbill.stages.writing.candidate import Candidate

_NEEDED = ("name", "description", "parameters")


@dataclass(frozen=True)
class DeclaredTool:
    """A tool that is declared."""

    told: Tool
    """what the teacher is told of it"""
    arguments: Structure
    result: Structure | None
    """what its results are like, where that is said"""


def declared_tools(path: Path) -> dict[str, DeclaredTool]:
    """Read a file of tools; return each by name.

    Raises:
        RecipeError: naming file, tool and place.
    """
    listed = read_json(path, error=RecipeError, what="a list of tools in JSON")
    if flawed := flaw(listed):
        msg = f"{path}: {flawed}"
        raise RecipeError(msg)
    if not isinstance(listed, list) or not listed:
        msg = f"{path}: a list of tools is needed, with {', '.join(_NEEDED)}"
        raise RecipeError(msg)
    found: dict[str, DeclaredTool] = {}
    for place, tool in enumerate(listed):
        has = set(tool) if isinstance(tool, dict) else set()
        if not has >= set(_NEEDED):
            lacking = ", ".join(sorted(set(_NEEDED) - has))
            msg = f"{path}: tool {place} lacks {lacking}"
            raise RecipeError(msg)
        name, where = tool["name"], f"{path}: tool {tool['name']!r}"
        wrong = [key for key in ("name", "description") if not isinstance(tool[key], str)]
        if wrong or not name or name in found or has - {*_NEEDED, "returns"}:
            msg = (
                f"{where}: each has a name of its own and a description, both text, parameters, "
                f"and may have returns; this one has {', '.join(sorted(has))}"
            )
            raise RecipeError(msg)
        for key in ("parameters", "returns"):
            if not isinstance(tool.get(key, {}), dict):
                msg = f"{where}: {key} is {tool[key]!r:.60}; a JSON Schema is an object"
                raise RecipeError(msg)
        returns = Structure(tool["returns"], f"{where}, returns") if "returns" in tool else None
        found[name] = DeclaredTool(_in_order(tool), Structure(tool["parameters"], where), returns)
    return found


def _in_order(tool: dict[str, Any]) -> Tool:
    """Return what a teacher is told of a tool, its schema's keys in the order of the digest."""
    (told,) = tools_from_json(tools_to_json((Tool.of(tool),)))
    return told


@dataclass
class Call:
    """One call of a tool."""

    id: str
    tool: DeclaredTool
    arguments: Any
    result: str = ""
    """JSON text"""
    problem: str = ""
    """why the last answer of whoever stands in is no result"""

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.tool.told.name

    def simulated_by(self, prompt: Prompt, sample: int) -> Question:
        """Return the question for whoever stands in for the tool."""
        values = {
            "name": self.name,
            "description": self.tool.told.description,
            "arguments": canonical_text(self.arguments),
        }
        said = prompt.render(values, f"a call of {self.name}")
        schema = self.tool.result.asked if self.tool.result else None
        return Question("", said.user, system=said.system, schema=schema, sample=sample)

    def takes(self, answer: Answer) -> str:
        """Take an answer as the result; return why it is none, empty if it is one."""
        text, self.problem = answer.text.strip(), ""
        if (unfinished := answer.unfinished()) or not text:
            self.problem = f"is lacking: {unfinished or 'nothing was written'}"
        elif flawed := flaw(text):
            self.problem = f"is {flawed}"
        elif self.tool.result is None:
            self.result = _as_json(text)
        else:
            read = self.tool.result.read(text, may_mend=answer.says_whole)
            self.problem = f"does not fit its schema: {read.problem}" if read.problem else ""
            self.result = "" if read.problem else json.dumps(read.value, ensure_ascii=False)
        return self.problem


@dataclass
class Rollout:
    """One rollout as it grows."""

    item: Candidate
    pending: list[Call] = field(default_factory=list)
    """calls of the last answer"""
    calls: int = 0
    invalid: int = 0
    mended: int = 0
    """calls that a server wrote without arguments or by an id twice, and that are whole here"""
    lacks: str = ""
    """which result could not be had"""

    def __post_init__(self) -> None:
        """Begin with the task."""
        self.item.said = Conversation((Turn("user", self.item.first),))

    def takes_calls(self, declared: Mapping[str, DeclaredTool]) -> bool:
        """Read the calls of the last answer; False if there are none, or one is of no tool."""
        answer = self.item.answer
        if answer is None or not answer.tool_calls:
            return False
        turn = turn_of(self.item)
        self.item.said = self.item.said.then(turn)
        self.pending = []
        self.calls += len(turn.tool_calls)
        self.mended += mended_calls(answer)
        for raw in turn.tool_calls:
            if raw.name not in declared:
                self.item.reason = f"it calls {raw.name!r}, which is no declared tool"
                return False
            tool = declared[raw.name]
            read = tool.arguments.read(raw.arguments)
            call = Call(raw.id, tool, read.value)
            self.pending.append(call)
            # Mended JSON is none: the turn that is learned from holds what the teacher wrote.
            problem = read.problem or ("not JSON as it stands" if read.repaired else "")
            if problem:
                self.refuse(call, f"the arguments do not fit: {problem}")
        return True

    def refuse(self, call: Call, why: str) -> None:
        """Give a call an error in place of a result."""
        self.invalid += 1
        call.result = json.dumps({"error": why}, ensure_ascii=False)

    def goes_on(self, most: int) -> bool:
        """Put the results in; False if one is lacking, or too many calls were wrong."""
        results = [
            Turn("tool", call.result, tool_call_id=call.id, name=call.name)
            for call in self.pending
            if call.result
        ]
        self.item.said = self.item.said.then(*results)
        if self.lacks:
            self.item.reason = self.lacks
        elif self.invalid > most:
            self.item.reason = f"{self.invalid} calls had wrong arguments or no known result"
        return self.item.reason is None

    def question(self) -> Question:
        """Return the question that goes on from the results."""
        asked = self.item.question
        return Question(
            "", "", system=asked.system, turns=self.item.said.without_reasoning(),
            tools=asked.tools, sample=self.item.sample,
        )  # fmt: skip

    def close(self) -> None:
        """Set the columns of the rollout's row: what there is, where it failed too."""
        if self.item.reason is None:
            self.item.said = self.item.said.then(turn_of(self.item))
        self.item.columns |= {
            "messages_json": whole(self.item.question.system, self.item.said).to_json(),
            "calls": self.calls,
            "tools_json": tools_to_json(self.item.question.tools),
        }


def canonical_text(arguments: Any) -> str:
    """Return arguments as they are looked up: JSON, keys in order."""
    return json.dumps(arguments, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _as_json(text: str) -> str:
    """Return a result as JSON: what is none is put in quotes."""
    try:
        json_value(text, "a result")
    except InputError:
        return json.dumps(text, ensure_ascii=False)
    return text
