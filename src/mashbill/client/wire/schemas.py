"""JSON Schemas as each provider takes them: all document a part of the standard.

What is sent may ask for less than the schema does, since every answer is held to the whole of it
when it is read. Sources: OpenAI's and Anthropic's guides to structured outputs, and the reference
of Gemini's ``responseJsonSchema``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mashbill.client.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

_NAMED = ("properties", "$defs", "definitions")
"""keywords whose value is a schema for each name"""
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")
_ALL = frozenset(
    {
        "type", "title", "description", "enum", "properties", "required", "additionalProperties",
        "items", "minItems", "anyOf", "$ref", "$defs", "format",
    }
)  # fmt: skip
"""keywords that all three take"""
_OPENAI = _ALL | {
    "const", "definitions", "pattern", "multipleOf", "minimum", "exclusiveMinimum", "maximum",
    "exclusiveMaximum", "maxItems",
}  # fmt: skip
_ANTHROPIC = _ALL | {"const", "definitions", "default", "pattern", "allOf"}
_GEMINI = _ALL | {"$id", "$anchor", "prefixItems", "maxItems", "minimum", "maximum", "oneOf"}
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
_NO_PATTERN = re.compile(r"\(\?[=!<]|\\[1-9bBpPkA]")
"""what their patterns lack: looking around, going back to a group, bounds of words, classes"""
_MOST_PROPERTIES, _MOST_VALUES, _DEEPEST = 5000, 1000, 10  # of a strict schema, OpenAI's guide
_NESTED = 100  # levels of any schema
_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def for_openai(schema: Mapping[str, Any], *, loosened: bool = True) -> tuple[dict[str, Any], bool]:
    """Return a schema as it is sent, and whether it may be strict.

    Strict schemas name every property as required and allow no other; one that does not is sent as
    it is, and not strictly: to change that would refuse answers that satisfy it.

    Args:
        schema: the schema.
        loosened: whether keywords that OpenAI does not list are left out for the sake of it.
    """
    strict = _mapped(dict(schema), _as_openai)
    if not loosened and strict != schema:
        return dict(schema), False
    nodes = list(_nodes(strict))
    fits = (
        strict.get("type") == "object"
        and "anyOf" not in strict
        and all(map(_is_strict, (node for node, _ in nodes)))
        and max(depth for _, depth in nodes) <= _DEEPEST
        and sum(len(node.get("properties", ())) for node, _ in nodes) <= _MOST_PROPERTIES
        and sum(len(node.get("enum", ())) for node, _ in nodes) <= _MOST_VALUES
    )
    return (strict, True) if fits else (dict(schema), False)


def for_anthropic(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema as it is sent: each object has its declared properties and no other.

    Raises:
        WireError: for what cannot be said so: objects of any properties, and schemas that contain
            themselves.
    """
    made: dict[str, Any] = _mapped(dict(schema), _as_anthropic)
    if _contains_itself(made):
        raise _cannot("a schema that contains itself")
    return made


def for_gemini(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema as it is sent."""
    made: dict[str, Any] = _mapped(dict(schema), _as_gemini)
    return made


def _mapped(node: Any, change: Callable[[dict[str, Any]], dict[str, Any]], depth: int = 0) -> Any:
    """Return a schema whose parts, and then itself, went through a function.

    Raises:
        WireError: if it is nested deeper than any service takes.
    """
    if not isinstance(node, dict):
        return node
    if depth > _NESTED:
        msg = f"a schema is nested more than {_NESTED} levels deep, which no service takes"
        raise WireError(msg, retry=False)
    made = dict(node)
    for key in _NAMED:
        if isinstance(made.get(key), dict):
            made[key] = {name: _mapped(sub, change, depth + 1) for name, sub in made[key].items()}
    for key in _LISTED:
        if isinstance(made.get(key), list):
            made[key] = [_mapped(sub, change, depth + 1) for sub in made[key]]
    for key in _SINGLE:
        if key in made:
            made[key] = _mapped(made[key], change, depth + 1)
    return change(made)


def _taken(node: Mapping[str, Any], keywords: Collection[str]) -> dict[str, Any]:
    """Return the keywords of a node that a provider takes; a reference stands by itself."""
    if "$ref" in node:
        keywords = {key for key in keywords if key.startswith("$") or key == "definitions"}
    return {key: value for key, value in node.items() if key in keywords}


def _without_odd_text(node: dict[str, Any], formats: Collection[str] = _FORMATS) -> None:
    if node.get("format") not in formats:
        node.pop("format", None)
    if _NO_PATTERN.search(str(node.get("pattern", ""))):
        del node["pattern"]


def _as_openai(node: dict[str, Any]) -> dict[str, Any]:
    made = _taken(node, _OPENAI)
    _without_odd_text(made)
    values = made.get("enum", [made["const"]] if "const" in made else [])
    kinds = sorted({_JSON_TYPES.get(type(value), "object") for value in values})
    if kinds and "type" not in made:  # which it wants beside them
        made["type"] = kinds[0] if len(kinds) == 1 else kinds
    return made


def _is_strict(node: Mapping[str, Any]) -> bool:
    """Return whether a node is what OpenAI's guide asks of each in a strict schema."""
    if "$ref" in node:
        return str(node["$ref"]).startswith("#")
    kinds = node.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "object" in kinds:
        named = node.get("properties", {})
        if node.get("additionalProperties") is not False:
            return False
        if set(node.get("required", ())) != set(named):
            return False
    parts = [*node.get("properties", {}).values(), *node.get("anyOf", ())]
    parts += [node["items"]] if "items" in node else []
    if "array" in kinds and "items" not in node:
        return False
    return all(isinstance(part, dict) for part in parts) and ("anyOf" in node or bool(kinds))


def _as_anthropic(node: dict[str, Any]) -> dict[str, Any]:
    if "oneOf" in node and "anyOf" not in node:
        node = {**node, "anyOf": node["oneOf"]}
    made = _taken(node, _ANTHROPIC)
    _without_odd_text(made, _FORMATS | {"uri"})
    if made.get("minItems", 0) > 1:
        made["minItems"] = 1
    if any(isinstance(value, dict | list) for value in made.get("enum", ())):
        del made["enum"]
    kinds = made.get("type", "object" if "properties" in made else ())
    if "object" in ([kinds] if isinstance(kinds, str) else kinds):
        if not made.get("properties") and node.get("additionalProperties") is not False:
            raise _cannot("an object of any properties")
        made["additionalProperties"] = False
    return made


def _cannot(what: str) -> WireError:
    msg = f"anthropic cannot be held to {what}; set structured = 'prompt' for this teacher"
    return WireError(msg, retry=False)


def _as_gemini(node: dict[str, Any]) -> dict[str, Any]:
    if "const" in node:
        node = {**node, "enum": [node["const"]]}
    if "definitions" in node:
        node = {**node, "$defs": {**node["definitions"], **node.get("$defs", {})}}
    made = _taken(node, _GEMINI)
    if "$ref" in made:
        made["$ref"] = str(made["$ref"]).replace("#/definitions/", "#/$defs/")
    if not all(type(value) in {str, int, float} for value in made.get("enum", ())):
        del made["enum"]
    return made


def _parts(node: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the schemas that a node is made of; definitions are reached by references."""
    for key, value in node.items():
        if key == "properties" and isinstance(value, dict):
            yield from value.values()
        elif key in _LISTED and isinstance(value, list):
            yield from value
        elif key in _SINGLE:
            yield value


def _nodes(schema: Any) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield every node of a schema, with the number of objects and lists that it is in."""
    waiting: list[tuple[Any, int]] = [(schema, 0)]
    while waiting:
        node, depth = waiting.pop()
        if not isinstance(node, dict):
            continue
        yield node, depth
        waiting += [(part, depth + 1) for part in _parts(node)]
        for key in ("$defs", "definitions"):
            waiting += [(part, depth) for part in node.get(key, {}).values()]


def _contains_itself(schema: Mapping[str, Any]) -> bool:
    """Return whether a reference leads, through parts and references, to itself."""
    leads: dict[str, set[str]] = {}  # reference -> those in what it stands for
    waiting = list(_references(schema))
    while waiting:
        reference = waiting.pop()
        if reference not in leads:
            found: Any = schema
            for name in reference.removeprefix("#").strip("/").split("/"):
                found = found.get(name) if isinstance(found, dict) and name else found
            leads[reference] = _references(found)
            waiting += leads[reference]
    while True:  # what leads nowhere is let go, until nothing is left, or a circle
        ends = {reference for reference, behind in leads.items() if not behind}
        if not ends:
            return bool(leads)
        leads = {r: behind - ends for r, behind in leads.items() if r not in ends}


def _references(node: Any) -> set[str]:
    """Return what a node and its parts refer to; definitions are reached by references only."""
    found, waiting = set(), [node]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            continue
        reference = part.get("$ref")
        if isinstance(reference, str):
            found.add(reference)
        else:
            waiting += _parts(part)
    return found
