"""A key that came after a release leaves what older recipes are as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from mashbill.core import registry
from mashbill.core.base_model import MODELS
from mashbill.core.file_origins import ORIGINS
from mashbill.core.literals import Literals
from mashbill.core.recipe import VERIFIERS

PINNED = Path(__file__).parent / "literals.json"
GROUPS = registry.GROUPS


def tables() -> dict[str, type[BaseModel]]:
    """Return every table that a recipe may have, by the name of its class: kinds, and parts."""
    groups = [group for group in GROUPS if group != registry.SANDBOXES]  # these have no keys
    waiting = [registry.find(kind, group) for group in groups for kind in registry.kinds(group)]
    found: dict[str, type[BaseModel]] = {}
    while waiting:
        model = waiting.pop()
        if model.__name__ in found:
            continue
        found[model.__name__] = model
        waiting += [part for field in model.model_fields.values() for part in parts(field)]
    return found


def parts(field: Any) -> list[type[BaseModel]]:
    seen, waiting = [], [field.annotation]
    while waiting:
        kind = waiting.pop()
        waiting += getattr(kind, "__args__", ())
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            seen.append(kind)
    return seen


def defaults() -> dict[str, dict[str, str]]:
    return {
        name: {
            key: "required"
            if field.is_required()
            else repr(field.get_default(call_default_factory=True))
            for key, field in model.model_fields.items()
            if key not in (model.later() if issubclass(model, Literals) else ())
        }
        for name, model in sorted(tables().items())
    }


def test_no_key_of_the_first_release_is_gone_or_means_something_else_at_its_default():
    """A new key belongs into ``added`` of its class; a new kind needs no entry here."""
    now = defaults()
    for name, keys in json.loads(PINNED.read_text()).items():
        assert now.get(name, {}).keys() == keys.keys(), name
        for key, default in keys.items():  # what was required may have a default by now
            assert default in {"required", now[name][key]}, (name, key)


def test_an_added_key_has_a_default():
    for name, model in tables().items():
        for key in getattr(model, "added", ()):
            assert not model.model_fields[key].is_required(), (name, key)


class Part(Literals):
    added: ClassVar[frozenset[str]] = frozenset({"deep"})
    old: int = 1
    deep: tuple[str, ...] = ()


class Table(Literals):
    added: ClassVar[frozenset[str]] = frozenset({"new", "listed"})
    kind: str = "t"
    part: Part = Part()
    new: str = "as before"
    listed: list[int] = []  # noqa: RUF012 - pydantic copies it


@pytest.mark.parametrize("written", [{}, {"new": "as before"}, {"listed": [], "part": {"old": 1}}])
def test_an_added_key_at_its_default_is_no_part_of_the_literals(written):
    assert Table.model_validate(written).model_dump(mode="json") == {
        "kind": "t",
        "part": {"old": 1},
    }


def test_an_added_key_that_says_something_is():
    table = Table.model_validate({"new": "x", "listed": [1], "part": {"deep": ["a"]}})
    assert table.model_dump(mode="json") == {
        "kind": "t",
        "part": {"old": 1, "deep": ["a"]},
        "new": "x",
        "listed": [1],
    }
    assert Table.model_validate(table.model_dump()) == table


def test_what_a_recipe_adds_to_the_literals_of_a_stage_is_no_key_of_any_kind():
    """Else a stage's own key would be overwritten: ``merge`` has models, and bases."""
    added = {"files", "teachers", VERIFIERS, MODELS, ORIGINS}
    wrong = {
        (kind, key)
        for group in (registry.STAGES, registry.TRAINERS)
        for kind in registry.kinds(group)
        for key in registry.find(kind, group).model_fields
        if key in added
    }
    assert not wrong
