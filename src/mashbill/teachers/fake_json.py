"""JSON values that satisfy a schema, drawn by a hash: what the fake teacher writes under one.

Objects, lists, text, numbers, enums, constants, anyOf and references are known; patterns and
formats are not.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEEPEST = 8


class Drawer:
    """Draws values; the same key and schema give the same one."""

    def __init__(self, key: str, words: Sequence[str]) -> None:
        """Draw texts from these words."""
        self._draw = random.Random(digest_bytes(key.encode()))  # noqa: S311 - repeatable, no secret
        self._words = list(words) or ["word"]

    def value(self, schema: Any, root: Mapping[str, Any] | None = None, depth: int = 0) -> Any:
        """Return a value that satisfies a schema."""
        if not isinstance(schema, dict):
            return self._text({})
        root = schema if root is None else root
        if "$ref" in schema:
            found: Any = root
            for part in str(schema["$ref"]).removeprefix("#/").split("/"):
                found = found.get(part, {}) if isinstance(found, dict) else {}
            return self.value(found, root, depth + 1) if depth < _DEEPEST else None
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._draw.choice(schema["enum"])
        for several in ("anyOf", "oneOf"):
            if schema.get(several):
                return self.value(schema[several][0], root, depth)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        match kind:
            case "object":
                properties = schema.get("properties", {})
                return {k: self.value(sub, root, depth + 1) for k, sub in properties.items()}
            case "array":
                low = max(int(schema.get("minItems", 1)), 0)
                count = self._draw.randint(
                    low, max(low, min(int(schema.get("maxItems", 3)), low + 2))
                )
                return [self.value(schema.get("items", {}), root, depth + 1) for _ in range(count)]
            case "integer" | "number":
                return self._number(schema, whole=kind == "integer")
            case "boolean":
                return bool(self._draw.randrange(2))
            case "null":
                return None
            case _:
                return self._text(schema)

    def _number(self, schema: Mapping[str, Any], *, whole: bool) -> float:
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 10))
        if whole:
            low += "exclusiveMinimum" in schema
            high -= "exclusiveMaximum" in schema
            return self._draw.randint(int(low), int(high))
        return round(float(low + (high - low) * (0.25 + self._draw.random() / 2)), 3)

    def _text(self, schema: Mapping[str, Any]) -> str:
        text = " ".join(self._draw.choices(self._words, k=self._draw.randint(3, 8)))
        least = int(schema.get("minLength", 0))
        while len(text) < least:
            text += f" {self._draw.choice(self._words)}"
        most = schema.get("maxLength")
        return text if most is None else text[: int(most)].strip().ljust(least, "x")
