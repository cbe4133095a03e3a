"""Holding values to a stranger's JSON Schema, with a bound on what that takes.

The library's own patterns are ``re``'s, which can take for ever; so can alternatives within
alternatives, and lists whose items must differ. Here patterns are those of
:mod:`mashbill.core.patterns`, items are compared by what they hash to, and each step is counted.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jsonschema
from jsonschema.exceptions import ValidationError

from mashbill.core.patterns import found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STEPS = 50_000  # keywords that one value is held to: some seconds
_PLAIN = jsonschema.Draft202012Validator


class SpentError(Exception):
    """Holding a value to a schema takes too many steps."""


class _Left(threading.local):
    steps: int | None = None


_LEFT = _Left()


@contextmanager
def bounded() -> Iterator[None]:
    """Give what is held to a schema within a number of steps.

    Raises:
        SpentError: when they are used up.
    """
    _LEFT.steps = _STEPS
    try:
        yield
    finally:
        _LEFT.steps = None


def _spend(steps: int) -> None:
    if _LEFT.steps is None:
        return
    _LEFT.steps -= steps
    if _LEFT.steps < 0:
        msg = f"holding a value to it takes more than {_STEPS:,} steps"
        raise SpentError(msg)


def _counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def holding(validator: Any, given: Any, value: Any, schema: Any) -> Iterator[Any]:
        _spend(1 + (len(value) // 16 if isinstance(value, list | dict | str) else 0))
        yield from keyword(validator, given, value, schema) or ()

    return holding


def _pattern(validator: Any, given: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "string") and not found(given, value):
        yield ValidationError(f"{value!r:.100} does not match {given!r:.100}")


def _pattern_properties(
    validator: Any, given: dict[str, Any], value: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(value, "object"):
        return
    for pattern, below in given.items():
        for name, each in value.items():
            _spend(1)
            if found(pattern, name):
                yield from validator.descend(each, below, path=name, schema_path=pattern)


def _additional(
    validator: Any, given: Any, value: Any, schema: dict[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(value, "object"):
        return
    named, patterns = schema.get("properties", {}), list(schema.get("patternProperties", {}))
    extra = [
        name
        for name in value
        if name not in named and not any(found(pattern, name) for pattern in patterns)
    ]
    if validator.is_type(given, "object"):
        for name in extra:
            yield from validator.descend(value[name], given, path=name)
    elif not given and extra:
        listed = ", ".join(repr(name) for name in sorted(extra)[:5])
        told = f"Additional properties are not allowed ({listed}): there may be no more than named"
        yield ValidationError(told)


def _unique(validator: Any, given: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if given and validator.is_type(value, "array"):
        keys = [_key(item) for item in value]
        if len(set(keys)) < len(keys):
            yield ValidationError(f"{value!r:.100} has non-unique elements")


def _key(value: Any) -> Any:
    """Return something that is equal, and hashes alike, for values that JSON Schema holds equal."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, list):
        return ("list", tuple(map(_key, value)))
    if isinstance(value, dict):
        return ("object", frozenset((name, _key(each)) for name, each in value.items()))
    return ("number", value)


_OWN = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "uniqueItems": _unique,
}
VALIDATOR = jsonschema.validators.extend(
    _PLAIN, {name: _counted(_OWN.get(name, keyword)) for name, keyword in _PLAIN.VALIDATORS.items()}
)
"""Draft 2020-12, counted"""
