"""JSON values that satisfy a schema, drawn by a hash: what the fake teacher writes under one.

Objects, lists, text, numbers, enums, constants, the first of anyOf and oneOf, all of allOf, and
references within the schema are known; patterns and formats are not.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEEPEST = 6  # a schema may name itself: below this only what is required is written
_MOST_ITEMS = 3
_MISQUOTED = 0.15  # share of quotes that are not right: what checks them is to be seen at work


class Drawer:
    """Draws values; the same key and schema give the same one."""

    def __init__(self, key: str, words: Sequence[str], document: Sequence[str] = ()) -> None:
        """Draw texts from these words; what is to be word for word, from the document's."""
        self._draw = random.Random(digest_bytes(key.encode()))  # noqa: S311 - repeatable, no secret
        self._words = list(words) or ["word"]
        self._document = list(document)

    def value(self, schema: Any, root: Mapping[str, Any] | None = None, depth: int = 0) -> Any:
        """Return a value that satisfies a schema."""
        if not isinstance(schema, dict):
            return self._text({})
        root = schema if root is None else root
        schema = _resolved(schema, root)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._draw.choice(schema["enum"])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        match kind:
            case "object":
                return self._object(schema, root, depth)
            case "array":
                least, most = int(schema.get("minItems", 0)), schema.get("maxItems", _MOST_ITEMS)
                high = max(least, min(int(most), _MOST_ITEMS))
                low = min(max(least, 1), high)
                count = least if depth >= _DEEPEST else self._draw.randint(low, high)
                if depth > 2 * _DEEPEST:  # it wants one of itself: there is no such value
                    return []
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
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is None and "exclusiveMinimum" in schema:
            low = schema["exclusiveMinimum"]
            low = math.floor(low) + 1 if whole else low
        if high is None and "exclusiveMaximum" in schema:
            high = schema["exclusiveMaximum"]
            high = math.ceil(high) - 1 if whole else high
        if low is None:
            low = 0 if high is None or high >= 0 else high - 10
        step = int(schema.get("multipleOf", 1)) or 1
        high = low + 10 * step if high is None else high
        if whole:
            first, last = math.ceil(low / step), math.floor(high / step)
            return self._draw.randint(first, max(first, last)) * step
        number = float(low + (high - low) * (0.25 + self._draw.random() / 2))
        rounded = round(number, 3)
        return rounded if low < rounded < high else number

    def _object(
        self, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int
    ) -> dict[str, Any]:
        named, required = schema.get("properties", {}), schema.get("required", ())
        wanted = [name for name in named if depth < _DEEPEST or name in required]
        wanted += [name for name in required if name not in named]
        if depth > 2 * _DEEPEST:  # it requires itself: there is no such value
            return {}
        return {name: self.value(named.get(name, {}), root, depth + 1) for name in wanted}

    def _text(self, schema: Mapping[str, Any]) -> str:
        text = " ".join(self._draw.choices(self._words, k=self._draw.randint(3, 8)))
        if self._document and "word for word" in schema.get("description", ""):
            text = self._quote()
        least = int(schema.get("minLength", 0))
        while len(text) < least:
            text += f" {self._draw.choice(self._words)}"
        most = schema.get("maxLength")
        return text if most is None else text[: int(most)].strip().ljust(least, "x")

    def _quote(self) -> str:
        """Return words that stand one behind the other; now and then, with one that does not."""
        length = self._draw.randint(3, 8)
        start = self._draw.randrange(max(len(self._document) - length, 0) + 1)
        words = self._document[start : start + length]
        if self._draw.random() < _MISQUOTED:
            words.append(self._draw.choice(self._words))
        return " ".join(words)


def _resolved(schema: dict[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with its references and alternatives followed."""
    for _ in range(_DEEPEST):
        parts = [sub for name in ("anyOf", "oneOf") for sub in schema.get(name, ())[:1]]
        parts += schema.get("allOf", ())
        parts += [_referred(str(schema["$ref"]), root)] if "$ref" in schema else []
        if not parts:
            break
        left = {k: v for k, v in schema.items() if k not in {"$ref", "anyOf", "oneOf", "allOf"}}
        for part in (part for part in parts if isinstance(part, dict)):
            both = {**left, **part}
            for name, put in (("properties", dict), ("required", list)):
                if name in left and name in part:
                    both[name] = put([*_items(left[name]), *_items(part[name])])
            left = both
        schema = left
    return schema


def _items(value: Any) -> list[Any]:
    return list(value.items() if isinstance(value, dict) else value)


def _referred(reference: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            found = found.get(part, {}) if isinstance(found, dict) else {}
    return found
