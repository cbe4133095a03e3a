"""Literals of a recipe: what is written in a table, as the identity of what it makes.

A key that came after a release must not change what an older recipe is. So its default means what
was done before there was the key, and while it holds that default it is no part of the literals:
a store that was made before takes the rerun of the same recipe as done.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Literals(BaseModel):
    """A table of a recipe, frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    added: ClassVar[frozenset[str]] = frozenset()
    """keys that came after the first release: left out of the literals at their defaults"""

    @classmethod
    def later(cls) -> frozenset[str]:
        """Return the keys that came after the first release: its own, and those of what it is."""
        return frozenset().union(*(vars(base).get("added", ()) for base in cls.__mro__))

    @model_serializer(mode="wrap")
    def _without_added_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        for key in type(self).later():
            default = fields[key].get_default(call_default_factory=True)
            if getattr(self, key) == default:
                written.pop(key, None)
        return written
