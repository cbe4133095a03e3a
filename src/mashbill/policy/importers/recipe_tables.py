"""Tables of a page that say what each model was made from: a column of models, one of their base.

Read are Markdown's tables with a column headed *base model* or so (``base-weights``) or *training
data* or so (``trained-on``), where each cell links to the hub; the model is what the other cells of
the row link to, if they link to one model only.
"""

from __future__ import annotations

import re

from mashbill.policy.importers.card_names import Named
from mashbill.policy.importers.imported import from_address
from mashbill.policy.importers.recipes import Mention, Part, Recipe

_BASE = re.compile(
    r"(base|backbone|foundation|pre-?trained|initial)( model)?s?"
    r"|(initiali[sz]ed|trained|tuned) from"
)
_COLUMNS: list[tuple[re.Pattern[str], Part]] = [
    (_BASE, "base"),
    (re.compile(r"(sft|dpo|rl|training|fine-?tuning|train)[ -]data(set)?s?"), "data"),
    (re.compile(r"teacher( model)?s?"), "teacher"),
]
_LINK = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/[^\s)\]\"'>,]+")
_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$")
_MANY = 5_000  # rows of one page


def read_tables(text: str) -> list[Recipe]:
    """Return a recipe of each row that names one model and what it was made from."""
    found: list[Recipe] = []
    parts: dict[int, Part] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if "|" not in line:
            parts = {}
        elif number > 1 and _RULE.match(line):
            parts = _heads(_cells(lines[number - 2]))
        elif parts and not _RULE.match(line) and len(found) < _MANY:
            recipe = _row(_cells(line), parts, number)
            if recipe is not None:
                found.append(recipe)
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _heads(cells: list[str]) -> dict[int, Part]:
    found: dict[int, Part] = {}
    for place, cell in enumerate(cells):
        plain = re.sub(r"[*_`]", "", cell).strip().lower()
        for pattern, part in _COLUMNS:
            if pattern.fullmatch(plain):
                found[place] = part
    return found


def _row(cells: list[str], parts: dict[int, Part], line: int) -> Recipe | None:
    mentions: list[Mention] = []
    models: list[str] = []
    for place, cell in enumerate(cells):
        linked = [item for item in map(from_address, _LINK.findall(cell)) if item is not None]
        part = parts.get(place)
        if part is None:
            models += [name for name, what in linked if what == "model"]
            continue
        wanted = "dataset" if part == "data" else "model"
        mentions += [Mention(part, Named(name), line) for name, what in linked if what == wanted]
        if cell and not linked:
            reason = f"{cell[:80]!r} links to nothing on the hub"
            mentions.append(Mention(part, Named(reason=reason), line))
    if not mentions or not models:
        return None
    return Recipe(line, tuple(mentions), near=tuple(dict.fromkeys(models)))
