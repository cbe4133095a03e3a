"""Training recipes in shell scripts and in the commands of Markdown pages, with their lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value
from mashbill.policy.importers.imported import from_address
from mashbill.policy.importers.recipes import Mention, Recipe, mentions_of, part_of, phase_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_SET = re.compile(
    r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)=(?:\"([^\"$`]*)\"|'([^']*)'|([^\s\"'$`;|&]+))",
    re.MULTILINE,
)
_USED = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")
_Words = list[tuple[str, int]]
"""words with the lines that they stand on"""
_FENCE = re.compile(r"^\s*(```+|~~~+)\s*([\w-]*)")
_SHELLS = frozenset(["", "bash", "sh", "shell", "console", "zsh"])
_LINK = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/[^\s)\]\"'>,]+")
_ENDS = (";", "&&", "||", "|", "&")
MOST = 1_000_000  # characters of a script


def read_commands(text: str, shown: str, first: int = 1) -> list[Recipe]:
    """Return the recipes of a shell script: commands that name what training starts from.

    Args:
        text: the script; what is longer than :data:`MOST` is not looked at.
        shown: its name, which may tell the phase.
        first: line of the file at which the text begins.
    """
    if len(text) > MOST:
        return []
    values: dict[str, _Words] = {}
    for match in _SET.finditer(text):
        value = next((group for group in match.groups()[1:] if group is not None), "")
        begin = first + text.count("\n", 0, match.end() - len(value) - 1)
        values[match[1]] = [
            (word, begin + number)
            for number, line in enumerate(value.split("\n"))
            for word in line.split()
        ]
    found = []
    for words in _commands(text, first):
        recipe = _recipe(words, values, shown)
        if recipe is not None:
            found.append(recipe)
    return found


def read_page(text: str, shown: str) -> list[Recipe]:
    """Return the recipes of the fenced commands of a Markdown page.

    What the one model is that a heading and the text below it link to is what the command makes.
    """
    found: list[Recipe] = []
    near: list[str] = []
    fence, begin, block = "", 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        mark = _FENCE.match(line)
        if fence:
            if mark and line.strip().startswith(fence):
                for recipe in read_commands("\n".join(block), shown, begin):
                    models = tuple(dict.fromkeys(near))
                    found.append(
                        Recipe(recipe.line, recipe.mentions, recipe.phase, models, recipe.name)
                    )
                fence = ""
            else:
                block.append(line)
        elif mark:
            fence, begin = mark[1], number + 1
            block = [] if mark[2].lower() in _SHELLS else ["# another language"]
        elif line.startswith("#"):
            near = _models(line)
        else:
            near += _models(line)
    return found


def _models(line: str) -> list[str]:
    found = [from_address(link) for link in _LINK.findall(line)]
    return [item[0] for item in found if item is not None and item[1] == "model"]


def _commands(text: str, first: int) -> Iterator[_Words]:
    """Give each command as words with their lines; a backslash at an end of line goes on."""
    words: _Words = []
    word, quote, line, at = "", "", first, 0
    begun = False
    while at < len(text):
        char = text[at]
        if quote:
            if char == quote:
                quote = ""
            elif char == "\\" and quote == '"' and text[at + 1 : at + 2] in '"\\$`\n':
                at += 1
                word += text[at : at + 1].replace("\n", "")
                line += text[at : at + 1] == "\n"
            else:
                word += char
                line += char == "\n"
        elif char in "\"'":
            quote, begun = char, True
        elif char == "\\" and at + 1 < len(text):
            at += 1
            line += text[at] == "\n"
            word += "" if text[at] == "\n" else text[at]
        elif char == "#" and not begun and not word:
            at = text.find("\n", at)
            at = len(text) if at < 0 else at
            continue
        elif char.isspace() or char in ";|&":
            if word or begun:
                words.append((word, line))
            word, begun = "", False
            if char == "\n" or char in ";|&":
                if words:
                    yield words
                words = []
            line += char == "\n"
        else:
            word += char
        at += 1
    if word or begun:
        words.append((word, line))
    if words:
        yield words


def _recipe(words: _Words, values: dict[str, _Words], shown: str) -> Recipe | None:
    found: list[Mention] = []
    name, at = "", 0
    while at < len(words):
        flag, line = words[at]
        at += 1
        if not flag.startswith("--") or len(flag) < 4:
            continue
        key, equals, value = flag[2:].partition("=")
        given = [(value, line)] if equals else []
        while not equals and at < len(words) and not words[at][0].startswith("--"):
            given.append(words[at])
            at += 1
        filled = [one for text, place in given for one in _filled(text, place, values)]
        if key in ("exp_name", "run_name") and filled:
            name = filled[0][0]
        part = part_of((key,))
        if part is not None:
            for text, place in filled if part == "data" else filled[:1]:
                found += _named(part, text, place)
    if not any(mention.part == "base" for mention in found):
        return None
    programs = [text for text, _ in words if text.endswith((".py", ".sh"))]
    return Recipe(words[0][1], tuple(found), phase_of(*programs[-1:], name, shown), name=name)


def _filled(text: str, line: int, values: dict[str, _Words]) -> _Words:
    """Return a word with variables put in; one that is a variable is the words of its value."""
    whole = _USED.fullmatch(text)
    if whole and whole[1] in values:
        return values[whole[1]]
    known = {name: " ".join(word for word, _ in words) for name, words in values.items()}
    return [(_USED.sub(lambda match: known.get(match[1], match[0]), text), line)]


def _named(part: str, text: str, line: int) -> list[Mention]:
    """Return what a value of a flag names; of data it may be a JSON object of weights."""
    if part == "data" and text.lstrip().startswith("{"):
        try:
            weights = json_value(text, "")
        except InputError:
            weights = {}
        return [
            mention
            for name, weight in weights.items()
            if isinstance(weight, int | float)
            for mention in mentions_of("data", name, line, note=f"weight {weight:g}")
        ]
    return mentions_of(part, text, line)  # type: ignore[arg-type]  # part comes from KEYS
