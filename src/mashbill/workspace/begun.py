"""A first recipe, made of a person's own file: what ``mashbill init`` writes.

What is found in the file stands in the recipe, with a comment at each thing that one may want to
change. It runs as it is.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.core.explaining import near
from mashbill.core.letters import half_a_character
from mashbill.core.plain import counted
from mashbill.core.store import write_atomically
from mashbill.workspace.first_recipe import recipe_text
from mashbill.workspace.own_file import MOST_LABELS, Looked

if TYPE_CHECKING:
    from collections.abc import Sequence


_MARK = re.compile(r"\{[{%#]")
_FEW = 10  # rows of a label
_ALIKE = 0.75  # of difflib's ratio
_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Wish:
    """What is to be made of a file."""

    text: str
    """column of the text"""
    labels: tuple[str, ...] = ()
    """that texts are sorted into; those of the column ``gold`` if empty"""
    gold: str = ""
    """column of labels that people gave; what is learned is held to them, on rows held out"""
    task: str = ""
    """or what the teacher is to write of each text, in a sentence"""
    teacher: str = "smollm2"
    """smollm2, fake, PROVIDER:MODEL, or MODEL@http://ADDRESS of a server"""
    name: str = ""
    """of the recipe; the file's if empty"""
    licence: str = ""
    """of the weights of a server, as SPDX writes it"""


@dataclass(frozen=True)
class Begun:
    """What was written."""

    recipe: Path
    prompt: Path | None
    """None where the stage has a prompt of its own"""
    labels: tuple[str, ...]
    rows: int
    told: tuple[str, ...] = ()
    """what one should know before it is run"""


def begin(looked: Looked, wish: Wish, *, replace: bool = False) -> Begun:
    """Write a recipe and its prompt beside the file that it reads.

    Args:
        looked: the file.
        wish: what is to be made of it.
        replace: whether files that are there are written anew.

    Raises:
        InputError: if a column is none of the file's, no labels and no task are given, or a recipe
            of this name is there.
    """
    _check(wish, looked)
    for column in filter(None, (wish.text, wish.gold)):
        if column not in looked.columns:
            there = ", ".join(looked.columns[:20])
            msg = f"{looked.path} has no column {column!r}; it has {there}"
            raise InputError(msg + near(column, looked.columns))
    labels = tuple(dict.fromkeys(wish.labels)) or _labels_of(looked, wish.gold)
    if wish.gold and wish.labels:
        _check_labels(labels, looked, wish.gold)
    if not labels and not wish.task:
        msg = "say what is to be made: --labels angry,calm, or --gold COLUMN, or --task TEXT"
        raise InputError(msg)
    if labels and len(labels) < 2:
        msg = f"one label ({labels[0]}) sorts nothing; give two or more"
        raise InputError(msg)
    name = plain_name(wish.name or looked.path.stem)
    recipe = looked.path.with_name(f"{name}.toml")
    prompt = looked.path.with_name(f"{name}.prompt.txt")
    for path in (recipe, prompt):
        if path.exists() and not replace:
            msg = f"{path} is there already; give another --name, or --replace it"
            raise InputError(msg)
    labelling = {label: f" {label}" for label in labels}
    text = recipe_text(looked, wish, name, labelling, prompt.name)
    write_atomically(prompt, _prompt(wish, labels).encode())
    write_atomically(recipe, text.encode())
    return Begun(recipe, prompt, labels, looked.rows, tuple(_told(looked, wish, labels)))


def plain_name(text: str) -> str:
    """Return a name of letters, digits and dashes: an accent is left out, a letter never."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _NAME.sub("-", plain.casefold()).strip("-") or "mine"


def _check(wish: Wish, looked: Looked) -> None:
    if not wish.text or wish.text == wish.gold:
        there = ", ".join(looked.columns[:20])
        msg = (
            f"name the column of the text: --text COLUMN; {looked.path} has {there}"
            if not wish.text
            else f"column {wish.gold!r} cannot be both the text and its labels; --text says which"
        )
        raise InputError(msg)
    if wish.task and (wish.labels or wish.gold):
        msg = "a task is written, and labels sort: give --task, or --labels and --gold, not both"
        raise InputError(msg)
    if wish.task and not wish.task.strip():
        msg = "--task says nothing; say in a sentence what is to be written of each text"
        raise InputError(msg)
    marked = next((label for label in wish.labels if _MARK.search(label)), None)
    if marked is not None:
        msg = f"label {marked!r} has what a prompt takes for a column; name it otherwise"
        raise InputError(msg)
    for text in (wish.task, *wish.labels):
        if half_a_character(text):
            msg = f"{text!r} is no text of Unicode; write it in UTF-8"
            raise InputError(msg)


def _check_labels(labels: Sequence[str], looked: Looked, gold: str) -> None:
    there = {value for value in looked.values.get(gold, ()) if value}
    lacking = [label for label in labels if there and label not in there]
    if lacking:
        msg = (
            f"column {gold!r} of {looked.path} has no {', '.join(map(repr, lacking))}; it has "
            f"{', '.join(sorted(there)[:20])}{near(lacking[0], sorted(there))}"
        )
        raise InputError(msg)


def _labels_of(looked: Looked, gold: str) -> tuple[str, ...]:
    if not gold:
        return ()
    if gold not in looked.values:
        msg = (
            f"column {gold!r} of {looked.path} has more than {MOST_LABELS} different values, and "
            "is no column of labels; name the labels: --labels angry,calm"
        )
        raise InputError(msg)
    found = tuple(sorted(value for value in looked.values[gold] if value))
    if not found or len(found) > max(2, looked.rows / 2):
        what = "no values" if not found else "a value of its own in most rows"
        msg = f"column {gold!r} of {looked.path} has {what}, and is no column of labels"
        raise InputError(msg)
    return found


def _few(looked: Looked, labels: Sequence[str], gold: str) -> list[str]:
    told = []
    if labels and looked.rows < _FEW * len(labels):
        told.append(
            f"{looked.rows:,} rows are few to learn {len(labels)} labels from: a classifier wants "
            "some examples of each, and what is held out is a fifth of them"
        )
    if gold and looked.is_whole:
        rows = looked.values[gold]
        rare = [label for label in labels if rows[label] < _FEW]
        told += [f"few rows have the label {', '.join(rare)}"] if rare else []
        for label in rare:
            alike = get_close_matches(label, [one for one in labels if one not in rare], 1, _ALIKE)
            if alike:
                told.append(
                    f"{label!r} ({counted(rows[label], 'row')}) may be a slip of the pen for "
                    f"{alike[0]!r}: correct it in the file, or name the labels that count "
                    "(--labels beside --gold), and rows with others are left out"
                )
    by_case: dict[str, list[str]] = {}
    for label in labels:
        by_case.setdefault(label.casefold(), []).append(label)
    told += [
        f"{' and '.join(alike)} differ in case alone, and are labels of their own"
        for alike in by_case.values()
        if len(alike) > 1
    ]
    return told


def _told(looked: Looked, wish: Wish, labels: Sequence[str]) -> list[str]:
    told = []
    if looked.seems_headless:
        told.append(
            "the first line reads like a row and not like names of columns; if it is one, write "
            "names above it and begin again"
        )
    if looked.has_bad_bytes:
        told.append(f"some rows have bytes that are not {looked.encoding}; they are rejected")
    if wish.teacher == "smollm2":
        told.append(
            "the teacher is a model of 135 million parameters that runs here: free, and weak; "
            "--teacher openai:gpt-4o-mini asks a service"
        )
    if "@" in wish.teacher and not wish.licence:
        told.append(
            "a run asks for the licence of the server's weights: write `license` under "
            "[teachers.t], or give --license"
        )
    told += _few(looked, labels, wish.gold)
    if not wish.gold and not wish.task:
        told.append("without --gold COLUMN nothing says how good the labels are")
    return told


def _prompt(wish: Wish, labels: Sequence[str]) -> str:
    if labels:
        *most, last = labels
        return f"Each text is one of: {', '.join(most)} or {last}.\n\nText: {{{{ text }}}}\nIt is:"
    if "{{ text }}" in wish.task:
        return f"{wish.task}\n"
    return f"{_literal(wish.task)}\n\n{{{{ text }}}}\n"


def _literal(text: str) -> str:
    """Return a text as a template says it: what looks like a template is none."""
    return "{{ " + json.dumps(text) + " }}" if _MARK.search(text) else text
