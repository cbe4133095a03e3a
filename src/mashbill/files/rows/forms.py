"""The forms that rows of training data have: which column is the text, and what was asked for it.

Read are the columns of TRL's, OpenAI's, Alpaca's, ShareGPT's, LLaMA-Factory's, axolotl's,
UltraFeedback's, Nemotron's and distilabel's files (docs/formats.md tells what becomes of each).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mashbill.core.cells import is_missing
from mashbill.core.letters import half_a_character
from mashbill.files.rows.cells import as_text, kind_of
from mashbill.files.rows.chat import Role, flattened, is_chat, is_turn, messages_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEXTS = (
    "text", "messages", "conversations", "conversation", "completion", "output", "response",
    "generation", "chosen", "chosen_messages", "chosen_response", "preferred_output", "answer",
    "segments", "txt",
)  # fmt: skip
"""columns that are the text where a recipe names none, the first that is there"""
EACH = {"completions": "response", "generations": "generations", "answers": "answer"}
"""column of a list of answers, each of which becomes a row -> column of its text then"""
PARALLEL = {
    "generations": (
        "generation_models", "model_names", "grouped_model_name", "ratings", "rationales", "types",
        "rationales-for-ratings", "generation_model",
    ),
}  # fmt: skip
"""column of a list of answers -> columns of lists whose n-th is about the n-th answer"""
GENERATORS = ("generator", "model_name")
"""columns that name who wrote the text, where a recipe names none"""
_GENERATORS_OF = {
    "chosen": ("chosen-model", "chosen_model"),
    "chosen_response": ("chosen-model", "chosen_model"),
    "generations": ("generation_models", "model_names", "grouped_model_name", "generation_model"),
    "completions": ("model",),
    "answers": ("model",),
}
_ASKED: dict[str, tuple[tuple[str, ...], ...]] = {
    "completion": (
        ("system", "prompt"), ("prompt",), ("system", "instruction"), ("instruction",),
        ("system", "question"), ("question",),
    ),
    "completions": (("custom_system_prompt", "instruction"), ("instruction",), ("prompt",)),
    "chosen": (
        ("system", "prompt"), ("prompt",), ("conversations",), ("messages",),
        ("system", "instruction", "input"), ("instruction", "input"), ("instruction",),
        ("system", "question"), ("question",), ("system", "input"), ("input",),
    ),
    "chosen_response": (("system", "instruction"), ("instruction",), ("prompt",)),
    "preferred_output": (("input.messages",), ("input",), ("prompt",)),
    "output": (
        ("system", "history", "instruction", "input"), ("history", "instruction", "input"),
        ("system", "instruction", "input"), ("instruction", "input"), ("instruction",),
        ("system_prompt", "input"), ("input",), ("prompt",), ("question",),
    ),
    "response": (
        ("custom_system_prompt", "instruction"), ("system_prompt", "question"), ("instruction",),
        ("prompt",), ("question",), ("query",), ("input",),
    ),
    "generation": (("system_prompt", "instruction"), ("instruction",), ("prompt",)),
    "generations": (("system_prompt", "instruction"), ("instruction",), ("prompt",)),
    "answer": (("question",), ("prompt",)),
}  # fmt: skip
"""column of a text -> columns that make up what was asked, the first of these that are all there"""
_LINES = frozenset({"instruction", "input"})
"""columns that stand one line below the other in a prompt; others have an empty line between"""


@dataclass(frozen=True)
class Form:
    """Which columns of a set are what."""

    text: str
    """column of the text, or a path into one (``json.answer``)"""
    prompt: tuple[str, ...] = ()
    """columns that make up what was asked; none if the text's own chat holds it, or nothing does"""
    steps: bool = False
    """whether the text is a list of steps of one answer"""
    pairs: bool = False
    """whether the text is a list of segments, of which some were asked and some answered"""
    guessed: bool = False
    """whether that ``prompt`` was asked is a guess by its name alone: only what fits is taken"""


@dataclass(frozen=True)
class Made:
    """What a row becomes."""

    text: str
    prompt: str | None = None
    messages: str | None = None
    """the whole conversation as JSON, where there is one"""
    reason: str | None = None
    """why the row cannot serve"""


def column_of(path: str, names: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """Return the column that a path begins with, and the keys behind it; None if none is there.

    A column whose whole name is the path comes first; else what stands before a full stop.
    """
    if path in names:
        return path, ()
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        if (column := ".".join(parts[:end])) in names:
            return column, tuple(parts[end:])
    return None


def within(value: Any, keys: Sequence[str]) -> Any:
    """Return what an object holds under keys one in the other; None where it does not."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text_column(names: Sequence[str]) -> str | None:
    """Return the column of the text where a recipe names none; None if none is known."""
    if "chosen" in names and "prompt" not in names and {"conversations", "messages"} & set(names):
        return "chosen"  # what they hold is what was asked
    if "completions" in names and "labels" in names and "text" not in names:
        return "completions"  # steps of one answer, each right or wrong
    return next((name for name in TEXTS if name in names), None)


def generators_of(text: str, each: str) -> tuple[tuple[str, ...], ...]:
    """Return the columns that may name who wrote a text: ways to name it, the likeliest first."""
    own = _GENERATORS_OF.get(each or text, ())
    return (own, GENERATORS) if own else (GENERATORS,)


def beside_of(text: str, names: Sequence[str]) -> list[str]:
    """Return the columns that name who wrote the other text of a pair, which stays in the row."""
    if "rejected" not in names and "rejected_response" not in names:
        return []
    return [name for name in _REJECTED if name in names] if text.startswith("chosen") else []


_REJECTED = ("rejected-model", "rejected_model")


def form_of(text: str, prompt: str, names: Sequence[str], each: str = "") -> Form:
    """Return the form of a set.

    Args:
        text: column of the text.
        prompt: column of what was asked, as a recipe names it; ``none`` if there is none, and
            empty if it is to be told by the names.
        names: all columns.
        each: column of a list of answers of which the text is one.
    """
    if prompt == "none":
        asked: tuple[str, ...] = ()
    elif prompt:
        asked = (prompt,)
    else:
        ways = _ASKED.get(each or text, (("prompt",),)) if text != "prompt" else ()
        asked = next((way for way in ways if all(column_of(p, names) for p in way)), ())
    is_stepwise = text == "completions" and "labels" in names and not each
    guessed = not prompt and (each or text) not in _ASKED
    return Form(text, asked, steps=is_stepwise, pairs=text == "segments", guessed=guessed)


def made_of(
    form: Form, value: Any, asked: Sequence[Any], roles: Mapping[str, Role] | None = None
) -> Made:
    """Return what a row becomes.

    Args:
        form: of the set.
        value: the cell of the text.
        asked: the cells of ``form.prompt``.
        roles: see :func:`mashbill.files.rows.chat.flattened`.
    """
    column = form.text
    if is_turn(value):
        value = [value]
    if form.steps and isinstance(value, list) and all(isinstance(step, str) for step in value):
        value = "\n".join(value)
    if form.pairs and isinstance(value, list):
        return _of_segments(value, column)
    turns, prompt, flaw = _asked(form, asked, roles)
    if is_chat(value):
        made = _of_chat(form, value, turns, prompt, roles)
        return made if flaw is None else replace(made, reason=made.reason or flaw)
    if isinstance(value, str):
        messages = None
        if turns:
            messages = messages_json([*turns, {"role": "assistant", "content": value}])
        if half_a_character(value):
            why = f"column {column!r} is not valid Unicode: it holds half of a surrogate pair"
            return Made(as_text(value), prompt, messages, why)
        reason = flaw if value.strip() else f"column {column!r} is empty"
        return Made(value, prompt, messages, reason)
    if is_missing(value):
        return Made("", prompt, None, f"column {column!r} is missing")
    what = "an empty list" if value == [] else kind_of(value)
    return Made(as_text(value), prompt, None, f"column {column!r} holds {what}, and no text")


def _of_chat(
    form: Form,
    own: list[dict[str, Any]],
    turns: list[dict[str, Any]],
    prompt: str | None,
    roles: Mapping[str, Role] | None,
) -> Made:
    """Return what a chat becomes; what was asked stands in it, or in columns of its own."""
    asks = next((turn for turn in own if flattened([turn, _DOT], roles).prompt), None)
    if form.guessed and asks is not None:
        turns, prompt = [], None  # it holds what was asked itself
    if not turns and prompt:
        turns = [{"role": "user", "content": prompt}]
        if asks is not None and flattened([asks, _DOT], roles).prompt == prompt:
            turns = []  # it holds what was asked itself
    if own[: len(turns)] == turns:
        turns = []
    read = flattened([*turns, *own], roles)
    return Made(read.text, read.prompt, messages_json([*turns, *own]), read.reason)


_DOT = {"role": "assistant", "content": "."}


def _asked(
    form: Form, cells: Sequence[Any], roles: Mapping[str, Role] | None
) -> tuple[list[dict[str, Any]], str | None, str | None]:
    """Return the turns of what was asked, if it is a chat, its text, and why it cannot serve."""
    turns: list[dict[str, Any]] = []
    said = ""
    flaw = None
    before = ""
    for column, cell in zip(form.prompt, cells, strict=True):
        if is_missing(cell) or cell in ("", []):
            continue
        if is_turn(cell):
            cell = [cell]  # noqa: PLW2901
        if is_chat(cell):
            found = flattened([*cell, _DOT], roles)
            flaw = flaw or found.reason
            part = found.prompt
            turns += [{"role": "system", "content": said}] if said and not turns else []
            turns += cell
        elif isinstance(cell, list) and all(isinstance(pair, list) and pair for pair in cell):
            part = "\n\n".join(as_text(pair[0]) for pair in cell)  # Alpaca's history
        else:
            if not isinstance(cell, str) and form.guessed:
                continue
            if not isinstance(cell, str):
                what = kind_of(cell)
                flaw = flaw or f"column {column!r} holds {what}, and no text or turns of a chat"
            part = as_text(cell)
        lines = column in _LINES and before in _LINES
        said += ("" if not said else "\n" if lines else "\n\n") + part
        before = column
    return turns, said if form.prompt else None, flaw


def _of_segments(segments: list[Any], column: str) -> Made:
    """Return what axolotl's segments become: those with a true label are what was answered."""
    flawed = not all(isinstance(s, dict) and isinstance(s.get("text"), str) for s in segments)
    if flawed or not segments:
        why = f"column {column!r} holds a list that is none of segments, each with label and text"
        return Made(as_text(segments), None, None, why)
    text = "".join(segment["text"] for segment in segments if segment.get("label"))
    prompt = "".join(segment["text"] for segment in segments if not segment.get("label"))
    reason = None if text.strip() else "no segment of it is an answer"
    if half_a_character(text + prompt):
        reason = f"column {column!r} is not valid Unicode: it holds half of a surrogate pair"
    return Made(as_text(text), as_text(prompt), None, reason)
