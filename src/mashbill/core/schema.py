"""A JSON Schema that an answer must satisfy, as a value."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Schema:
    """A JSON Schema. Two are the same if they are written alike: 1 and true are not, nor 1.0."""

    value: Mapping[str, Any] = field(compare=False)
    """as JSON has it, keys in order at every level"""
    _text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Write it once: questions of a stage share one, and each of their digests needs it."""
        text = json.dumps(self.value, ensure_ascii=False, sort_keys=True)
        object.__setattr__(self, "_text", text)
        object.__setattr__(self, "value", json.loads(text))

    def to_json(self) -> str:
        """Return it as a journal, a prompt and a request's digest have it: keys in order."""
        return self._text

    @classmethod
    def from_json(cls, text: str) -> Schema | None:
        """Read what :meth:`to_json` wrote; nothing for an empty text.

        Raises:
            InputError: if it is no JSON object.
        """
        if not text:
            return None
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            msg = f"a JSON Schema is a JSON object; this is none: {text:.60}"
            raise InputError(msg) from error
        if not isinstance(value, dict):
            msg = f"a JSON Schema is a JSON object; this is none: {text:.60}"
            raise InputError(msg)
        return cls(value)
