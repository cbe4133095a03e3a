"""A first recipe, made of a person's own file: what ``mashbill init`` writes.

What is found in the file stands in the recipe, with a comment at each thing that one may want to
change. It runs as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.core.explaining import near
from mashbill.core.store import write_atomically
from mashbill.workspace.first_recipe import recipe_text
from mashbill.workspace.own_file import MOST_LABELS, Looked

if TYPE_CHECKING:
    from collections.abc import Sequence


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


@dataclass(frozen=True)
class Begun:
    """What was written."""

    recipe: Path
    prompt: Path
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
    for column in filter(None, (wish.text, wish.gold)):
        if column not in looked.columns:
            there = ", ".join(looked.columns[:20])
            msg = f"{looked.path} has no column {column!r}; it has {there}"
            raise InputError(msg + near(column, looked.columns))
    labels = wish.labels or _labels_of(looked, wish.gold)
    if not labels and not wish.task:
        msg = "say what is to be made: --labels angry,calm, or --gold COLUMN, or --task TEXT"
        raise InputError(msg)
    if labels and len(labels) < 2:
        msg = f"one label ({labels[0]}) sorts nothing; give two or more"
        raise InputError(msg)
    name = _NAME.sub("-", (wish.name or looked.path.stem).casefold()).strip("-") or "mine"
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
    return Begun(recipe, prompt, labels, looked.rows, tuple(_told(looked, wish)))


def _labels_of(looked: Looked, gold: str) -> tuple[str, ...]:
    if not gold:
        return ()
    if gold not in looked.values:
        msg = (
            f"column {gold!r} of {looked.path} has more than {MOST_LABELS} different values, and "
            "is no column of labels; name the labels: --labels angry,calm"
        )
        raise InputError(msg)
    return tuple(sorted(value for value in looked.values[gold] if value))


def _told(looked: Looked, wish: Wish) -> list[str]:
    told = []
    if looked.has_bad_bytes:
        told.append(f"some rows have bytes that are not {looked.encoding}; they are rejected")
    if wish.teacher == "smollm2":
        told.append(
            "the teacher is a model of 135 million parameters that runs here: free, and weak; "
            "--teacher openai:gpt-4o-mini asks a service"
        )
    if not wish.gold and not wish.task:
        told.append("without --gold COLUMN nothing says how good the labels are")
    return told


def _prompt(wish: Wish, labels: Sequence[str]) -> str:
    if labels:
        *most, last = labels
        return f"Each text is one of: {', '.join(most)} or {last}.\n\nText: {{{{ text }}}}\nIt is:"
    return f"{wish.task}\n\n{{{{ text }}}}\n"
