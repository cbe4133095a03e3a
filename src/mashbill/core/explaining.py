"""What a wrong key or value of a recipe is told as: file, key, what was found, what to write."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import RecipeError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_NOBODY: Mapping[str, str] = MappingProxyType({})
# pydantic's type of error -> what TOML wants; {key} is the key, {found} what stands there
_WRITE = {
    "string_type": 'write text, in quotes: {key} = "{found}"',
    "dict_type": "write a table: {key} = {{ NAME = VALUE }}",
    "model_type": "write a table: {key} = {{ NAME = VALUE }}",
    "tuple_type": "write a list: {key} = [...]",
    "list_type": "write a list: {key} = [...]",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false, without quotes",
    "int_type": "write a whole number, without quotes",
    "int_parsing": "write a whole number, without quotes",
    "float_type": "write a number, without quotes",
    "float_parsing": "write a number, without quotes",
}


def near(name: str, known: Iterable[str]) -> str:
    """Return what else was meant, as a question behind a semicolon; empty if nothing is near."""
    spelt = {str(item).lower(): str(item) for item in known}
    found = difflib.get_close_matches(name.lower(), spelt, n=1)
    return f"; did you mean {spelt[found[0]]!r}?" if found else ""


def check_columns(named: Iterable[tuple[str, str]], known: Collection[str] | None, of: str) -> None:
    """See that the columns that keys name are there.

    Args:
        named: each key, as it is told, with the column that it names; nothing if that is empty.
        known: the columns that there are, or may be; None if that is not known.
        of: whose they are.

    Raises:
        RecipeError: naming the first key whose column is not there.
    """
    if known is None:
        return
    for key, name in named:
        if name and name not in known:
            # Those that a stage would move out of the way of its own are there only if it has to.
            shown = [each for each in known if not each.startswith("original_")]
            listed = f"; it has at most {', '.join(shown)}" if shown else ", which has no columns"
            msg = f"{key} = {name!r} is no column of {of}{near(name, known) or listed}"
            raise RecipeError(msg)


def explain(
    path: Path,
    key: str,
    model: type[BaseModel],
    error: ValidationError,
    set_by: Mapping[str, str] = _NOBODY,
) -> list[str]:
    """Return a line for each thing that is wrong with a table of a recipe.

    Args:
        path: the recipe.
        key: the table, such as ``stages.NAME``.
        model: what it is read as.
        error: how that failed.
        set_by: key -> the table that sets it, where that is another one.
    """
    # A list is said to be too short too, where what stands in it is none of what may.
    found = error.errors()
    within = {item["loc"][:size] for item in found for size in range(len(item["loc"]))}
    told = [i for i in found if i["type"] != "too_short" or i["loc"] not in within]
    return [
        _line(path, set_by.get(str(item["loc"][0]), key) if item["loc"] else key, model, item)
        for item in told
    ]


def _line(path: Path, key: str, model: type[BaseModel], item: Any) -> str:
    parts = [str(part) for part in item["loc"]]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"])
    where, kind = f"{key}{place}", item["type"]
    if kind == "extra_forbidden":
        known = list(model.model_fields) if len(parts) == 1 else []
        remedy = near(parts[-1], known).removeprefix("; ")
        if not remedy:
            remedy = f"known keys: {', '.join(known)}" if known else "remove it, or correct it"
        return f"{path}: {where} = {item['input']!r:.60} is an unknown key; {remedy}"
    if kind == "missing":
        return f"{path}: {where} is missing; add it{_what(model, parts)}"
    head = f"{path}: {where} = {item['input']!r:.60}"
    if kind in _WRITE:
        found = str(item["input"]) if isinstance(item["input"], (int, float)) else "..."
        named = parts[-1] if parts else key
        write = _WRITE[kind].format(key=named, found=found)
        if item["loc"] and isinstance(item["loc"][-1], int):  # an item of a list has no name
            write = write.replace(f"{named} = ", "", 1)
        return f"{head}; {write}"
    if kind == "literal_error":
        expected = item["ctx"]["expected"]
        return f"{head} is not one of {expected}{near(str(item['input']), _words(expected))}"
    if kind == "value_error":
        said = f"{item['ctx']['error']}"
        is_table = isinstance(item["input"], dict | list)  # what is wrong with it, it says itself
        return f"{path}: {where}: {said}" if is_table else f"{head}: {said}"
    return f"{head}: {item['msg']}"


def _what(model: type[BaseModel], parts: Sequence[str]) -> str:
    """Return what a key is, as its own description says, behind a colon."""
    field = model.model_fields.get(parts[0]) if len(parts) == 1 else None
    return f": {' '.join(field.description.split())}" if field and field.description else ""


def _words(expected: str) -> list[str]:
    """Return the values of pydantic's ``'a', 'b' or 'c'``."""
    return expected.replace(" or ", ", ").replace("'", "").split(", ")
