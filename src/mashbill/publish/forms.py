"""Rows in the forms that trainers read: OpenAI's, ShareGPT's, Alpaca's and TRL's, as JSON lines.

What each becomes and loses, docs/formats.md says. Nothing is left out without being counted.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.errors import InputError, StoreError
from mashbill.core.parsing import json_value
from mashbill.core.record import BILL, FROM, ID, user_columns
from mashbill.files.rows.conversations import (
    OthersTurn,
    UnfitError,
    conversation,
    sides_of,
)
from mashbill.files.rows.forms import form_of, made_of
from mashbill.files.rows.pairs import answer_of, sides_in
from mashbill.publish.rollouts import rollout, used_by_rollouts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.files.rows.chat import Role

RowForm = Literal["chat", "sharegpt", "alpaca", "trl-sft", "trl-dpo", "rollouts"]
ROW_FORMS: tuple[RowForm, ...] = get_args(RowForm)
EARLIER: dict[str, RowForm] = {"openai": "chat", "trl": "trl-sft", "trl-preference": "trl-dpo"}
"""what forms were called before, and are still known by"""
_BATCH = 8192
_REASONS = 50
_TOOLS = ("tools", "tools_json", "functions")
_ANSWERING: tuple[RowForm, ...] = ("chat", "sharegpt", "alpaca", "trl-sft")
"""forms of a question with its answer"""
_LABEL = "label"
"""column that `label` and `apply` give a text"""
_AT_ONCE = "parallel_tool_calls"
_REMEDIES = {
    "'rejected'": "a stage `prefer` makes such pairs",
    "'score'": "a stage `verify` by a verifier gives one",
}
_PICTURES = frozenset({"text", "image_url"})


@dataclass
class Shaped:
    """What was written in a form, and what it had no place for."""

    form: RowForm
    receipts: bool
    """whether _id and _bill are wished"""
    roles: Mapping[str, Role] = field(default_factory=dict)
    """what words for roles mean beyond the known ones"""
    ends: tuple[str, ...] = ()
    """columns that say how outputs ended, as stages name them"""
    rows: int = 0
    """rows that were written"""
    seen: int = 0
    """rows that were there"""
    columns: tuple[str, ...] = ()
    """columns that were left out"""
    turns: Counter[str] = field(default_factory=Counter)
    """what was left out of rows that were written -> how often"""
    unfit: dict[str, list[int]] = field(default_factory=dict)
    """why rows were left out -> how many, and the position of the first"""

    @property
    def left_receipts(self) -> tuple[str, ...]:
        """Our own columns that were wished and left out."""
        if not self.receipts:
            return ()
        return (ID, BILL, FROM) if self.form == "chat" else (FROM,)

    def leave(self, reason: str) -> None:
        """Count a row that has no place."""
        if reason not in self.unfit and len(self.unfit) >= _REASONS:
            reason = "other reasons"
        self.unfit.setdefault(reason, [0, self.seen])[0] += 1

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "form": self.form,
            "rows": self.rows,
            "left_out": {
                "columns": list(self.columns),
                "receipts": list(self.left_receipts),
                "turns": dict(sorted(self.turns.items())),
                "rows": [
                    {"reason": reason, "rows": count, "first": first}
                    for reason, (count, first) in self.unfit.items()
                ],
            },
        }


def write_form(shard: Path, to: Path, nodes: Sequence[str], shaped: Shaped) -> None:
    """Write the rows of a store's shard as JSON lines of a form.

    Args:
        shard: Parquet file of a store.
        to: file to write.
        nodes: digest of each node, by number.
        shaped: form and wishes; what is written and left out is counted there.

    Raises:
        InputError: if the dataset lacks a column without which no row has the form.
        StoreError: if the shard cannot be read.
    """
    try:
        with pq.ParquetFile(shard) as opened, to.open("w", encoding="utf-8") as stream:
            names = user_columns(opened.schema_arrow.names)
            maker = _Maker(names, shaped)
            shaped.columns = tuple(name for name in names if name not in maker.used)
            for batch in opened.iter_batches(_BATCH):
                for row in pa.Table.from_batches([batch]).to_pylist():
                    made = maker.row(row)
                    shaped.seen += 1
                    if made is None:
                        continue
                    if shaped.receipts and shaped.form != "chat":
                        made |= {ID: row[ID].hex(), BILL: nodes[row[BILL]]}
                    stream.write(json.dumps(made, ensure_ascii=False, allow_nan=False) + "\n")
                    shaped.rows += 1
    except (pa.ArrowException, OSError) as error:
        msg = f"{shard} could not be written as {shaped.form}: {error}; run `mashbill audit`"
        raise StoreError(msg) from error


class _Maker:
    """Makes rows of a form; all rows of a set get the same keys."""

    def __init__(self, names: Sequence[str], shaped: Shaped) -> None:
        self._shaped, self._form = shaped, shaped.form
        self._names = list(names)
        self._has_chats = "messages_json" in names
        # Of rows that were labelled the text is what is asked, and the label what is answered.
        unasked = _LABEL in names and not {"prompt", "messages_json"} & set(names)
        self._is_labelled = unasked and self._form in _ANSWERING
        self._tools = next((name for name in _TOOLS if name in names), "")
        self._chosen, self._rejected = sides_in(names)
        self._asked: tuple[str, ...] = ()
        if self._form == "alpaca" and not self._has_chats:
            asked = form_of("output", "", names).prompt
            self._asked = asked if "instruction" in asked else ()
        self._check(names)
        used = {"prompt", "messages_json", *self._asked}
        if self._is_labelled:
            used |= {_LABEL}
        used |= {self._chosen or "text", self._rejected} if self._is_pair else {"text"}
        if self._is_pair and self._chosen and self._has_chats:
            used.add("text")  # it is the last answer of the chosen chat
        if self._form != "alpaca":
            used.add(self._tools)
        if self._form == "chat":
            used.add(_AT_ONCE)
        if self._form == "rollouts":
            used |= used_by_rollouts(names, self._shaped.ends)
        self.used = used

    @property
    def _is_pair(self) -> bool:
        return self._form == "trl-dpo"

    def _check(self, names: Sequence[str]) -> None:
        asks = {"prompt", "messages_json"} & set(names)
        lacks = "" if asks or self._is_labelled else "'prompt' or 'messages_json'"
        lacks = lacks or ("" if "text" in names or (self._is_pair and self._chosen) else "'text'")
        if self._is_pair and not self._rejected:
            lacks = "'rejected'"
        if self._form == "rollouts" and "score" not in names:
            lacks = "'score'"
        if lacks:
            remedy = _REMEDIES.get(lacks, "--format jsonl writes the rows as they are")
            msg = (
                f"form {self._form} needs a column {lacks}, and there is none (there are "
                f"{', '.join(map(repr, names)) or 'none'}); {remedy}"
            )
            raise InputError(msg)

    def row(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """Return a row in the form; None if it has none, which is counted with its reason."""
        lost: Counter[str] = Counter()
        try:
            made = self._pair(row, lost) if self._is_pair else self._one(row, lost)
        except UnfitError as error:
            self._shaped.leave(str(error))
            return None
        self._shaped.turns.update(lost)
        return made

    def _one(self, row: dict[str, Any], lost: Counter[str]) -> dict[str, Any]:
        asked, text = row.get("prompt"), row.get("text")
        if self._is_labelled:
            asked, text = text, row.get(_LABEL)
        turns = conversation(row.get("messages_json"), asked, text, self._shaped.roles, lost)
        if self._form != "chat":
            _refuse_parts(turns)
            _count_extras(turns, lost)
        if self._form == "alpaca":
            return self._alpaca(turns, row, lost)
        if self._form == "sharegpt":
            found: dict[str, Any] = {"conversations": [_sharegpt(turn) for turn in turns]}
            _check_sharegpt(turns)
            if self._tools:
                tools = self._declared(row, lost)
                plain = None if tools is None else [tool["function"] for tool in tools]
                found["tools"] = "" if plain is None else json.dumps(plain, ensure_ascii=False)
            return found
        if self._form == "rollouts":
            written = [_openai(turn, lost) for turn in turns]
            made = rollout(row, written, self._names, self._shaped.ends)
            return made | ({"tools": self._declared(row, lost)} if self._tools else {})
        if self._form == "chat":
            tools = self._declared(row, lost)
            own: dict[str, Any] = {} if not tools else {"tools": tools}
            if tools and isinstance(row.get(_AT_ONCE), bool):
                own[_AT_ONCE] = row[_AT_ONCE]
            return {"messages": [_openai(turn, lost) for turn in turns], **own}
        *asked, answer = [_trl(turn) for turn in turns]
        found = {"prompt": asked, "completion": [answer]}
        return found | ({"tools": self._declared(row, lost)} if self._tools else {})

    def _alpaca(
        self, turns: list[OthersTurn], row: dict[str, Any], lost: Counter[str]
    ) -> dict[str, Any]:
        if any(turn.tool_calls or turn.role == "tool" for turn in turns):
            msg = "it calls tools, for which the form has no place"
            raise UnfitError(msg)
        told = turns[0].content if turns[0].role == "system" else ""
        *asked, answer = [turn.content for turn in turns if turn.role != "system"]
        found: dict[str, Any] = {"instruction": asked[-1], "input": "", "output": answer}
        if self._has_chats:
            earlier = [list(pair) for pair in zip(asked[:-1:2], asked[1:-1:2], strict=True)]
            return found | {"system": told, "history": earlier}
        if self._asked:
            cells = {name: row.get(name) for name in self._asked}
            if "history" in cells:
                cells["history"] = _of_json(cells["history"])
            form = form_of("output", "", list(cells))
            read = made_of(form, answer, [cells.get(name) for name in form.prompt])
            if read.prompt == row.get("prompt") and isinstance(cells["instruction"], str):
                empty = {"input": "", "system": "", "history": []}
                return found | {n: empty.get(n) if c is None else c for n, c in cells.items()}
            lost["rows whose prompt is not what its instruction says, and is written"] += 1
            more = {"system": "", "history": []}
            return found | {name: more[name] for name in self._asked if name in more}
        return found

    def _pair(self, row: dict[str, Any], lost: Counter[str]) -> dict[str, Any]:
        roles = self._shaped.roles
        chosen = sides_of(row.get(self._chosen or "text"), roles, lost)
        rejected = sides_of(row.get(self._rejected), roles, lost)
        text = next((turn.content for turn in reversed(chosen) if turn.role == "assistant"), None)
        own = row.get("messages_json")
        text = row.get("text") if own is not None and row.get("text") else text
        *asked, answer = conversation(own, row.get("prompt"), text, roles, lost)
        sides = [answer, answer_of(rejected, asked)]
        if self._chosen:
            sides[0] = answer_of(chosen, asked)
        for turns in (asked, sides):
            _refuse_parts(turns)
            _count_extras(turns, lost)
        found = {"prompt": [_trl(turn) for turn in asked]}
        found |= {n: [_trl(s)] for n, s in zip(("chosen", "rejected"), sides, strict=True)}
        return found | ({"tools": self._declared(row, lost)} if self._tools else {})

    def _declared(self, row: dict[str, Any], lost: Counter[str]) -> list[dict[str, Any]] | None:
        """Return the tools that a row declares, as OpenAI's and TRL's files have them."""
        cell = row.get(self._tools) if self._tools else None
        if cell in (None, ""):
            return None
        tools = _of_json(cell)
        found = []
        for tool in tools if isinstance(tools, list) else [tools]:
            inner = tool.get("function", tool) if isinstance(tool, dict) else None
            if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
                msg = f"column {self._tools!r} holds no list of tools, each with a name"
                raise UnfitError(msg)
            if "returns" in inner:
                lost["key 'returns' of tools"] += 1
            kept = {key: value for key, value in inner.items() if key not in ("returns", "type")}
            found.append({"type": "function", "function": kept})
        return found


def _of_json(cell: Any) -> Any:
    """Return what the JSON of a cell says; the cell itself if it is none."""
    try:
        return json_value(cell, "it") if isinstance(cell, str) else cell
    except InputError:
        return cell


def _refuse_parts(turns: Sequence[OthersTurn]) -> None:
    kinds = [str(part.get("type"))[:40] for turn in turns for part in turn.parts]
    if others := [kind for kind in kinds if kind != "text"]:
        msg = f"a part of a turn is {others[0]}, for which the form has no place"
        raise UnfitError(msg)


def _count_extras(turns: Sequence[OthersTurn], lost: Counter[str]) -> None:
    for turn in turns:
        if turn.weight is not None:
            lost["key 'weight' of turns"] += 1
        if turn.name and turn.role != "tool":
            lost["key 'name' of turns"] += 1


def _openai(turn: OthersTurn, lost: Counter[str]) -> dict[str, Any]:
    if any(part.get("type") not in _PICTURES for part in turn.parts) or (
        turn.parts and turn.role != "user"
    ):
        _refuse_parts([turn])
    found: dict[str, Any] = {"role": turn.role, "content": list(turn.parts) or turn.content}
    if turn.role == "tool":
        return found | {"tool_call_id": turn.tool_call_id}
    if turn.name:
        found["name"] = turn.name
    if turn.tool_calls:
        found["content"] = turn.content or None
        found["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in turn.tool_calls
        ]
    if turn.weight in (0, 1) and turn.role == "assistant":
        found["weight"] = int(turn.weight)
    elif turn.weight is not None:
        lost["key 'weight' of turns"] += 1
    return found


def _trl(turn: OthersTurn) -> dict[str, Any]:
    if turn.role == "tool":
        return {"role": "tool", "name": turn.name, "content": turn.content}
    found: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.tool_calls:
        found["tool_calls"] = [
            {"type": "function",
             "function": {"name": call.name, "arguments": json_value(call.arguments, "arguments")}}
            for call in turn.tool_calls
        ]  # fmt: skip
    return found


_SHAREGPT = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}


def _sharegpt(turn: OthersTurn) -> dict[str, Any]:
    if not turn.tool_calls:
        return {"from": _SHAREGPT[turn.role], "value": turn.content}
    calls = [
        {"name": call.name, "arguments": json_value(call.arguments, "arguments")}
        for call in turn.tool_calls
    ]
    one = calls[0] if len(calls) == 1 else calls
    return {"from": "function_call", "value": json.dumps(one, ensure_ascii=False)}


def _check_sharegpt(turns: Sequence[OthersTurn]) -> None:
    """Raise UnfitError where the form's readers would not find turn and answer by turns."""
    if any(turn.tool_calls and turn.content.strip() for turn in turns):
        msg = "a turn says something and calls a tool, and the form has one turn for each"
        raise UnfitError(msg)
    if any(len(turn.tool_calls) > 1 for turn in turns):
        msg = "a turn calls several tools, whose results the form has no turns for"
        raise UnfitError(msg)
