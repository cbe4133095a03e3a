"""Structured output: reading an answer as JSON that satisfies a schema, or saying why it does not.

The schema is a file beside the recipe: JSON Schema (draft 2020-12), or ``FILE.py:NAME``, a pydantic
model in a Python file of one's own.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import json_repair
import jsonschema
import pyarrow as pa
from jsonschema.exceptions import SchemaError, best_match
from pydantic import BaseModel

from mashbill.core.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TYPES = {
    "string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(),
}  # fmt: skip
_MOST = 2**63 - 1


@dataclass(frozen=True)
class Read:
    """An answer as a schema has it: a value, or what is wrong with it."""

    value: Any = None
    problem: str = ""
    repaired: bool = False
    """whether its JSON had to be mended: a fence taken off, a comma or a bracket put in"""


class Structure:
    """A JSON Schema, checked."""

    def __init__(self, schema: dict[str, Any], where: str) -> None:
        """Check the schema.

        Raises:
            RecipeError: naming the file and the place in it.
        """
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            place = "/".join(str(part) for part in error.absolute_path) or "its root"
            msg = f"{where}: not a JSON Schema, at {place}: {error.message}"
            raise RecipeError(msg) from error
        self.schema = schema
        self.text = json.dumps(schema, ensure_ascii=False, sort_keys=True)
        self._validator = jsonschema.Draft202012Validator(schema)

    @classmethod
    def of(cls, folder: Path, name: str) -> Structure:
        """Read the schema that a recipe names.

        Raises:
            RecipeError: naming the file, what was found and what to do.
        """
        file, colon, attribute = name.partition(":")
        if colon:
            return cls(_of_model(folder / file, attribute), name)
        try:
            schema = json.loads((folder / file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            msg = f"{folder / file}: the schema cannot be read as JSON: {error}"
            raise RecipeError(msg) from error
        if not isinstance(schema, dict):
            msg = f"{folder / file}: a JSON Schema is an object; this is {schema!r:.60}"
            raise RecipeError(msg)
        return cls(schema, str(folder / file))

    def read(self, text: str) -> Read:
        """Read an answer; where its JSON is broken, mend it if it then satisfies the schema."""
        try:
            value, repaired = json.loads(text), False
        except (ValueError, RecursionError) as error:
            value, repaired = _mended(text), True
            if value is None:
                return Read(problem=f"not JSON: {error}")
        found = best_match(self._validator.iter_errors(value))
        if found is None:
            return Read(value, repaired=repaired)
        place = "/".join(str(part) for part in found.absolute_path) or "its root"
        return Read(problem=f"at {place}: {found.message:.300}")

    def columns(self) -> dict[str, pa.DataType]:
        """Return a column for each property of an object; what is no plain value is JSON text."""
        properties = self.schema.get("properties", {})
        return {
            name: _TYPES.get(sub.get("type", "") if isinstance(sub, dict) else "", pa.string())
            for name, sub in properties.items()
            if not name.startswith("_")
        }

    def arrays(self, values: Sequence[Any]) -> dict[str, pa.Array]:
        """Return those columns of values, None where a value is none."""
        made = {}
        for name, kind in self.columns().items():
            cells = [value.get(name) if isinstance(value, dict) else None for value in values]
            plain = self.schema["properties"][name]
            is_plain = isinstance(plain, dict) and plain.get("type") in _TYPES
            made[name] = pa.array([_cell(cell, kind, is_plain) for cell in cells], kind)
        return made


def _cell(cell: Any, kind: pa.DataType, is_plain: bool) -> Any:
    if cell is None:
        return None
    if not is_plain:
        return json.dumps(cell, ensure_ascii=False, sort_keys=True)
    if kind == pa.int64():
        return int(cell) if -_MOST <= cell <= _MOST else None
    return float(cell) if kind == pa.float64() else cell


def _mended(text: str) -> Any:
    """Return the one object or list in a broken text, or None: prose is not made into a value."""
    if "{" not in text and "[" not in text:
        return None
    value = json_repair.loads(text)
    return value if isinstance(value, dict | list) and value else None


def _of_model(path: Path, attribute: str) -> dict[str, Any]:
    specification = importlib.util.spec_from_file_location(f"_recipe_{path.stem}", path)
    if specification is None or specification.loader is None or not path.exists():
        msg = (
            f"{path}: there is no such Python file; schema = 'FILE.py:NAME' names a pydantic model"
        )
        raise RecipeError(msg)
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
        model = getattr(module, attribute)
    except Exception as error:
        msg = f"{path}: {attribute!r} cannot be loaded: {error!r}"
        raise RecipeError(msg) from error
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        msg = f"{path}: {attribute} is {model!r:.60}; a pydantic model is needed"
        raise RecipeError(msg)
    return model.model_json_schema()
