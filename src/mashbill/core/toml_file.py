"""Reading a TOML file into a model, with errors that name the file and the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from mashbill.core import plain_toml
from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

Model = TypeVar("Model", bound=BaseModel)
_TOLD = 20


def read_toml(file: Path | Traversable, model: type[Model]) -> tuple[str, Model]:
    """Return the text of a file, and what it says.

    Raises:
        InputError: naming the file, and each key that is wrong.
    """
    text, value = plain_toml.read_toml(file)
    return text, read_table(value, model, file)


def read_table(value: object, model: type[Model], shown: object) -> Model:
    """Return what a table says that was read already.

    Args:
        value: it.
        model: of what it says.
        shown: where it is from, for messages.

    Raises:
        InputError: naming each key that is wrong.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors()
        lines = [
            f"{shown}: {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in found[:_TOLD]
        ]
        if len(found) > _TOLD:
            lines.append(f"{shown}: and {len(found) - _TOLD:,} more")
        raise InputError("\n".join(lines)) from error
