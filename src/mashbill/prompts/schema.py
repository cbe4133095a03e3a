"""Structured output: reading an answer as JSON that satisfies a schema, or saying why it does not.

The schema is a file beside the recipe: JSON Schema (draft 2020-12), or ``FILE.py:NAME``, a pydantic
model in a Python file of one's own, whose validators hold too. That file is executed, as soon as a
recipe that names it is read.

``jsonschema`` is loaded once there is a schema: where its parsers of formats are installed, as
Jupyter does, that takes a second and a half, and most runs have none.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import json_repair
import pyarrow as pa
from pydantic import BaseModel, ValidationError

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import RecipeError
from mashbill.core.folder import code_file
from mashbill.core.letters import half_a_character
from mashbill.core.parsing import check_utf8, foreign, read_json
from mashbill.core.patterns import PatternError, compiled
from mashbill.core.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

_TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}
_MOST = 2**63 - 1
_DEEPEST = 64  # lists and objects in one another: no answer needs more, and a stack holds them
_LARGEST = 1 << 20  # bytes of a schema
_PARTS = 10_000  # objects and lists in one
_MENDED = 50_000_000  # characters times quotes and brackets of an answer: mending takes squares


@dataclass(frozen=True)
class Read:
    """An answer as a schema has it: a value, or what is wrong with it."""

    value: Any = None
    problem: str = ""
    repaired: bool = False
    """whether its JSON had to be mended: a fence taken off, a comma or a bracket put in"""


class Structure:
    """A JSON Schema, checked."""

    def __init__(
        self, schema: dict[str, Any], where: str, model: type[BaseModel] | None = None
    ) -> None:
        """Check the schema.

        Args:
            schema: the schema.
            where: the file, for errors.
            model: the pydantic model that it is of; what satisfies the schema must satisfy it too.

        Raises:
            RecipeError: naming the file and the place in it.
        """
        from jsonschema.exceptions import SchemaError
        from referencing import Registry

        from mashbill.prompts.holding import VALIDATOR, SpentError, bounded

        if flawed := flaw(schema):
            msg = f"{where}: {flawed}"
            raise RecipeError(msg)
        self.asked = Schema(schema)
        """as questions have it"""
        text = self.asked.to_json()
        if text.count("{") + text.count("[") > _PARTS:
            msg = f"{where}: a schema of more than {_PARTS:,} objects and lists; make it smaller"
            raise RecipeError(msg)
        with foreign(where, "a JSON Schema", error=RecipeError, remedy="correct it"):
            try:
                VALIDATOR.check_schema(schema)
            except SchemaError as error:
                place = "/".join(str(part) for part in error.absolute_path) or "its root"
                msg = f"{where}: not a JSON Schema, at {place}: {error.message:.300}"
                raise RecipeError(msg) from error
            _check_parts(schema, where)
        self.schema = schema
        self.where = where
        self._model = model
        # A registry of its own: what is not in the schema is not looked for in the network.
        self._validator = VALIDATOR(schema, registry=Registry())
        try:
            with bounded():
                any(self._validator.iter_errors({}))
        except RecursionError as error:
            msg = f"{where}: it refers to itself without end, so that no value can be held to it"
            raise RecipeError(msg) from error
        except SpentError as error:
            msg = f"{where}: {error}, for an empty object already; write it with fewer alternatives"
            raise RecipeError(msg) from error

    @classmethod
    def of(cls, folder: Path, name: str) -> Structure:
        """Read the schema that a recipe names.

        Raises:
            RecipeError: naming the file, what was found and what to do.
        """
        file, colon, attribute = name.partition(":")
        if colon:
            model = _model_of(code_file(folder, file), attribute)
            try:
                return cls(model.model_json_schema(), name, model)
            except Exception as error:
                if isinstance(error, RecipeError):
                    raise
                msg = f"{folder / file}: {attribute} has no JSON Schema: {error}"
                raise RecipeError(msg) from error
        schema = read_json(folder / file, error=RecipeError, most=_LARGEST, what="a schema in JSON")
        if not isinstance(schema, dict):
            msg = f"{folder / file}: a JSON Schema is an object; this is {schema!r:.60}"
            raise RecipeError(msg)
        return cls(schema, str(folder / file))

    def read(self, text: str, *, may_mend: bool = True) -> Read:
        """Read an answer; where its JSON is broken, mend it if it then satisfies the schema.

        Args:
            text: the answer.
            may_mend: whether it is known to be whole. What ends within a text is cut, whatever its
                teacher says, and is not mended: the half would pass for the whole.
        """
        try:
            value, repaired = json.loads(text), False  # as lenient as ever: flaw() is behind it
        except (ValueError, RecursionError) as error:
            if not may_mend or _ends_within_text(text):
                return Read(problem=f"not JSON, and perhaps cut off: {error}")
            value, repaired = _mended(text), True
            if value is None:
                return Read(problem=f"not JSON: {error}")
        problem = flaw(value) or self._unlike_schema(value) or self._unlike_model(value)
        return Read(problem=problem) if problem else Read(value, repaired=repaired)

    def _unlike_schema(self, value: Any) -> str:
        from jsonschema.exceptions import best_match

        from mashbill.prompts.holding import bounded

        try:
            with bounded():
                found = best_match(self._validator.iter_errors(value))
        except RecursionError:
            return "too many lists and objects in one another"
        except Exception as error:  # noqa: BLE001 - a stranger's schema: what it makes fail is a no
            return f"it cannot be held to its schema: {error!s:.300}"
        if found is None:
            return ""
        place = "/".join(str(part) for part in found.absolute_path) or "its root"
        return f"at {place}: {found.message:.300}"

    def _unlike_model(self, value: Any) -> str:
        if self._model is None:
            return ""
        try:
            self._model.model_validate_json(json.dumps(value))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = "/".join(str(part) for part in first["loc"]) or "its root"
            return f"at {place}: {first['msg']:.300}"
        except Exception as error:  # noqa: BLE001 - a stranger's validator: what it raises is a no
            return f"{self._model.__name__} does not take it: {error!r:.300}"
        return ""

    def columns(self) -> dict[str, pa.DataType]:
        """Return a column for each property of an object; what is no plain value is JSON text."""
        properties = self.schema.get("properties", {})
        return {name: _TYPES.get(_plain(sub), pa.string()) for name, sub in properties.items()}

    def json_columns(self) -> frozenset[str]:
        """Return which of those columns are JSON text."""
        properties = self.schema.get("properties", {})
        return frozenset(name for name, sub in properties.items() if not _plain(sub))

    def check_columns(self, taken: Collection[str]) -> None:
        """Check that each property can have a column of its name.

        Raises:
            RecipeError: naming the property.
        """
        for name in self.columns():
            if name in taken or name.startswith("_"):
                msg = (
                    f"{self.where}: the property {name!r} cannot have a column of its own: rows "
                    f"have {', '.join(sorted(taken))} already, and names that begin with _ are "
                    "mashbill's; give the property another name"
                )
                raise RecipeError(msg)

    def arrays(self, values: Sequence[Any]) -> dict[str, pa.Array]:
        """Return those columns of values, None where a value is none."""
        made, as_json = {}, self.json_columns()
        for name, kind in self.columns().items():
            cells = [value.get(name) if isinstance(value, dict) else None for value in values]
            is_plain = name not in as_json
            made[name] = pa.array([_cell(cell, kind, is_plain) for cell in cells], kind)
        return made


def flaw(value: Any) -> str:
    """Return why a value cannot be kept as JSON in UTF-8, empty if it can."""
    left = [(value, 0)]
    while left:
        part, depth = left.pop()
        if depth > _DEEPEST:
            return f"more than {_DEEPEST} lists and objects in one another"
        if isinstance(part, dict):
            left += [(each, depth + 1) for item in part.items() for each in item]
        elif isinstance(part, list):
            left += [(each, depth + 1) for each in part]
        elif isinstance(part, str) and half_a_character(part):
            return "not valid Unicode: it holds half of a surrogate pair, such as \\ud83d alone"
        elif isinstance(part, float) and not math.isfinite(part):
            return "a number that JSON does not have: NaN, or one that is infinite"
    return ""


def _plain(schema: Any) -> str:
    """Return which plain type a property has, null aside; empty if it has none or several."""
    if not isinstance(schema, dict):
        return ""
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if not kinds:  # as pydantic writes what may be null
        parts = [part if isinstance(part, dict) else {} for part in schema.get("anyOf", ())]
        kinds = [str(part.get("type")) for part in parts]
    found = set(kinds) - {"null"}
    if found == {"integer", "number"}:
        return "number"
    return found.pop() if len(found) == 1 and found <= _TYPES.keys() else ""


def _check_parts(schema: dict[str, Any], where: str) -> None:
    """Check that whatever a schema refers to is in it, and that its patterns can be used.

    Raises:
        RecipeError: naming the reference or the pattern.
    """
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    root = DRAFT202012.create_resource(schema)
    left = [(root, Registry().resolver_with_root(root))]
    while left:
        part, resolver = left.pop()
        contents = part.contents if isinstance(part.contents, dict) else {}
        for key in ("$ref", "$dynamicRef"):
            if key not in contents:
                continue
            try:
                resolver.lookup(contents[key])
            except Unresolvable as error:
                msg = (
                    f"{where}: {key} {contents[key]!r} leads nowhere; put what it names into "
                    "$defs of the same file"
                )
                raise RecipeError(msg) from error
        for pattern in (contents.get("pattern"), *contents.get("patternProperties", ())):
            try:
                compiled(pattern or "")
            except PatternError as error:
                msg = f"{where}: pattern {pattern!r:.80}: {error}"
                raise RecipeError(msg) from error
        if "unevaluatedProperties" in contents and '"patternProperties"' in json.dumps(schema):
            msg = (
                f"{where}: unevaluatedProperties beside patternProperties is not read here; use "
                "additionalProperties, or name the properties"
            )
            raise RecipeError(msg)
        left += [(sub, resolver.in_subresource(sub)) for sub in part.subresources()]


def _cell(cell: Any, kind: pa.DataType, is_plain: bool) -> Any:
    if cell is None:
        return None
    if not is_plain:
        return json.dumps(cell, ensure_ascii=False, sort_keys=True)
    if kind == pa.int64():
        return int(cell) if -_MOST <= cell <= _MOST else None
    if kind == pa.float64():
        return float(cell) if -sys.float_info.max <= cell <= sys.float_info.max else None
    return cell


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"|[][{}"]', re.DOTALL)
_CLOSED = ("}", "]", "`")


def _ends_within_text(text: str) -> bool:
    """Return whether the first object or list of a text ends within a text: it was cut off.

    A quotation mark too many within it, with brackets that close it behind, is none.
    """
    depth = 0
    for token in _TOKENS.finditer(text, min(at for at in _begins(text))):
        if token[0] == '"':
            return not text.rstrip().endswith(_CLOSED)
        depth += (token[0] in "[{") - (token[0] in "]}")
        if depth <= 0:
            return False
    return False


def _begins(text: str) -> list[int]:
    found = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    return found or [len(text)]


def _mended(text: str) -> Any:
    """Return the one object or list in a broken text, or None: prose is not made into a value."""
    begun = text.count("{") + text.count("[")
    if not begun or len(text) * (begun + text.count('"')) > _MENDED:
        return None
    try:
        value = json_repair.loads(text)
    except Exception:  # noqa: BLE001 - whatever mending raises, it is not mended
        return None
    return value if isinstance(value, dict | list) and value else None


def _model_of(path: Path, attribute: str) -> type[BaseModel]:
    """Execute a Python file and return its pydantic model of a name.

    Raises:
        RecipeError: naming the file, and what was found.
    """
    if not path.is_file():
        msg = (
            f"{path}: there is no such Python file; schema = 'FILE.py:NAME' names a pydantic model"
        )
        raise RecipeError(msg)
    data = path.read_bytes()
    check_utf8(data, path, error=RecipeError)  # else another encoding may be said in the file
    name = f"_recipe_{digest_bytes(str(path).encode() + data)[:32]}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        msg = f"{path}: schema = 'FILE.py:NAME' names a pydantic model in a file that ends in .py"
        raise RecipeError(msg)
    try:
        if name not in sys.modules:
            # Where pydantic looks up the names that annotations are written in.
            sys.modules[name] = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(sys.modules[name])
        model = getattr(sys.modules[name], attribute)
    except Exception as error:
        sys.modules.pop(name, None)
        msg = f"{path}: {attribute!r} cannot be loaded: {error!r}"
        raise RecipeError(msg) from error
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        msg = f"{path}: {attribute} is {model!r:.60}; a pydantic model is needed"
        raise RecipeError(msg)
    return model
