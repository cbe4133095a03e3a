"""Every kind that a recipe can name, with its keys, as the specs themselves say it.

What a key is, which values it takes and what it is if it is absent stands in the spec, and nowhere
else: ``mashbill stages`` prints it, and ``docs/stages.md`` is made from it.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import tomllib
import types
import typing
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import annotated_types
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from mashbill.core.errors import InputError
from mashbill.core.explaining import near
from mashbill.core.registry import STAGES, TEACHERS, TRAINERS, VERIFIERS, find, kinds

TABLES = {STAGES: "stages", TRAINERS: "stages", VERIFIERS: "verifiers", TEACHERS: "teachers"}
"""group -> the table of a recipe in which a kind of it stands"""
TITLES = {
    STAGES: "Stages",
    TRAINERS: "Stages that train a model",
    VERIFIERS: "Verifiers",
    TEACHERS: "Teachers",
}
_EXAMPLES = "kinds.toml"
_ROLE = re.compile(r":(?:mod|class|func|data|meth):`~?(?:[\w.]*\.)?(\w+)`")
_BOUNDS = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}


@dataclass(frozen=True)
class Key:
    """A key of a kind's table; of a table within it, its path with dots."""

    name: str
    type: str
    """in words"""
    default: str
    """as TOML has it; empty if there is none"""
    required: bool
    says: str


@dataclass(frozen=True)
class Kind:
    """A kind that a recipe can name."""

    name: str
    group: str
    """``mashbill.stages`` and its like: the group of entry points that it is registered in"""
    summary: str
    about: str
    """the rest of what its module says of it; empty if it says no more"""
    keys: tuple[Key, ...]
    example: str
    """TOML of a table that has it; empty for a plugin"""

    def told(self) -> dict[str, Any]:
        """Return it as a value of JSON."""
        return asdict(self)


def every() -> list[Kind]:
    """Return all kinds, group by group."""
    return [kind_of(name, group) for group in TABLES for name in kinds(group)]


def named(name: str) -> list[Kind]:
    """Return the kinds of a name: a stage and a verifier may have the same.

    Raises:
        InputError: if there is none, naming a near one.
    """
    groups = [group for group in TABLES if name in kinds(group)]
    if not groups:
        there = kinds(*TABLES)
        msg = f"{name!r} is no kind of stage, verifier or teacher{near(name, there)}"
        msg += "" if near(name, there) else "; `mashbill stages` lists them"
        raise InputError(msg)
    return [kind_of(name, group) for group in groups]


@cache
def kind_of(name: str, group: str) -> Kind:
    """Return what is known of a kind."""
    spec = find(name, group)
    module = inspect.cleandoc(sys.modules[spec.__module__].__doc__ or "")
    own = inspect.cleandoc(vars(spec).get("__doc__") or "")
    text = own if not own.startswith("``kind = ") and own else module
    summary, _, about = _ROLE.sub(r"\1", text).partition("\n\n")
    summary = re.sub(rf"^``{re.escape(name)}``: ", "", " ".join(summary.split()))
    summary = summary[:1].upper() + summary[1:]
    return Kind(
        name, group, summary, about.strip(), tuple(_keys(spec)), _examples().get((group, name), "")
    )


@cache
def _examples() -> dict[tuple[str, str], str]:
    text = files("mashbill.workspace").joinpath(_EXAMPLES).read_text()
    found = {}
    for part in re.split(r"\n(?=# \w+ \S+$)", text, flags=re.MULTILINE)[1:]:
        head, _, table = part.partition("\n")
        _, group, name = head.split()
        found[f"mashbill.{group}", name] = table.strip() + "\n"
    return found


def example_table(kind: Kind) -> dict[str, Any]:
    """Return the table of a kind's example, as a recipe's reader gets it."""
    tables = tomllib.loads(kind.example)[TABLES[kind.group]]
    found: dict[str, Any] = next(one for one in tables.values() if one["kind"] == kind.name)
    return found


# Keys


def _keys(spec: type[BaseModel], path: str = "", inside: tuple[type, ...] = ()) -> list[Key]:
    found = []
    for name, field in spec.model_fields.items():
        if name == "kind" and not path:
            continue
        key = f"{path}{field.alias or name}"
        default = field.get_default(call_default_factory=True)
        says = _ROLE.sub(r"\1", " ".join((field.description or "").split()))
        bounds = _bounds(field.metadata)
        found.append(
            Key(
                key,
                " ".join([_words(field.annotation), *bounds]),
                "" if default is PydanticUndefined or default is None else _toml(default),
                field.is_required(),
                says,
            )
        )
        for table, below in _tables(field.annotation):
            if table not in inside:
                found += _keys(table, f"{key}{below}.", (*inside, table))
    return found


def _tables(annotation: Any) -> list[tuple[type[BaseModel], str]]:
    """Return tables within an annotation, each with the path from the key to it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, "")]
    origin, given = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is dict:
        return [(table, f".NAME{below}") for table, below in _tables(given[1])]
    if origin is tuple:
        return [(table, f"[]{below}") for table, below in _tables(given[0])]
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        return [one for each in given for one in _tables(each)]
    return []


def _words(annotation: Any, *, many: bool = False) -> str:
    """Return what a key takes, in words."""
    plain = {
        bool: ("true or false", "values true or false"),
        int: ("whole number", "whole numbers"),
        float: ("number", "numbers"),
        str: ("text", "texts"),
        Any: ("any value", "any values"),
    }
    if annotation in plain:
        return plain[annotation][many]
    origin, given = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return " ".join([_words(given[0], many=many), *_bounds(given[1:])])
    if origin is typing.Literal:
        return ("of " if many else "") + " or ".join(json.dumps(one) for one in given)
    if origin in (typing.Union, types.UnionType):
        kept = [one for one in given if one is not type(None)]
        return " or ".join(_words(one, many=many) for one in kept)
    if origin is tuple and given[-1] is not Ellipsis:
        return f"list of {len(given)} {_words(given[0], many=True)}"
    if origin in (tuple, list):
        return f"list{'s' if many else ''} {_of(given[0])}"
    if origin is dict:
        return f"table of names and {_words(given[1], many=True)}"
    return "tables" if many else "table"


def _of(annotation: Any) -> str:
    words = _words(annotation, many=True)
    return words if words.startswith("of ") else f"of {words}"


def _bounds(metadata: typing.Iterable[Any]) -> list[str]:
    found = []
    for one in metadata:
        for name, said in _BOUNDS.items():
            bound = getattr(one, name, None)
            if bound is not None:
                found.append(said.format(f"{bound:g}"))
        if isinstance(one, annotated_types.MinLen) and one.min_length:
            found.append("not empty" if one.min_length == 1 else f"{one.min_length} at least")
        if getattr(one, "metadata", None):
            found += _bounds(one.metadata)
    return [", ".join(found)] if found else []


def _toml(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "its own defaults"
    if isinstance(value, dict):
        inside = ", ".join(f"{key} = {_toml(one)}" for key, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


# As Markdown


def markdown(all_kinds: typing.Sequence[Kind]) -> str:
    """Return kinds as a document: docs/stages.md, if it is of all of them."""
    parts = [_HEAD]
    for group, table in TABLES.items():
        inside = [one for one in all_kinds if one.group == group]
        if inside:
            parts.append(f"## {TITLES[group]}\n\nTables `[{table}.NAME]` of a recipe.\n")
            parts += [_section(one) for one in inside]
    return "\n".join(parts)


_HEAD = """# Stages, verifiers and teachers

Every kind that a recipe can name, with every key. Made by `mashbill stages --markdown` from what
the specs themselves say; `mashbill stages KIND` prints one of them. Keys of a table within a table
are written with dots, `NAME` is a name that you choose, and `[]` is each table of a list. Examples
name stages, teachers and files that a recipe has to have.
"""


def _section(kind: Kind) -> str:
    rows = "\n".join(
        f"| `{key.name}` | {_cell(key.type)} | {_default(key)} | {_cell(key.says)} |"
        for key in kind.keys
    )
    about = f"\n{kind.about}\n" if kind.about else ""
    table = f"\n| key | takes | default | is |\n|---|---|---|---|\n{rows}\n" if rows else ""
    return f"### {kind.name}\n\n{kind.summary}\n{about}\n```toml\n{kind.example}```\n{table}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(key: Key) -> str:
    if key.required:
        return "**needed**"
    return f"`{_cell(key.default)}`" if key.default else "none"
