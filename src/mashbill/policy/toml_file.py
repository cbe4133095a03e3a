"""Reading a TOML file into a model, with errors that name the file and the key."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

Model = TypeVar("Model", bound=BaseModel)


def read_toml(file: Path | Traversable, model: type[Model]) -> tuple[str, Model]:
    """Return the text of a file, and what it says.

    Raises:
        InputError: naming the file, and each key that is wrong.
    """
    try:
        text = file.read_text("utf-8")
        return text, model.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{file}: cannot be read as TOML: {error}"
        raise InputError(msg) from error
    except ValidationError as error:
        lines = [
            f"{file}: {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        raise InputError("\n".join(lines)) from error
