"""What the embedded teacher's table says, without loading it."""

import pytest

from mashbill import load_recipe
from mashbill.plan import build
from mashbill.workspace.recipes import recipe_path

WRITING = ("max_tokens", "temperature", "top_p", "seed")


@pytest.fixture(scope="module")
def recipe():
    return load_recipe(recipe_path("grey_area"))


def changed(recipe, **keys):
    spec = recipe.teachers["smollm2"]
    return type(spec).model_validate({**spec.model_dump(exclude_unset=True), **keys})


def test_keys_of_writing_that_are_not_set_change_no_fingerprint(recipe):
    literals = recipe.literals("labelled")["teachers"]["smollm2"]
    assert set(literals) == {
        "kind", "name", "provider", "license", "file", "member", "sha256", "engine", "precision",
        "batch",
    }  # fmt: skip


@pytest.mark.parametrize("key", WRITING)
def test_keys_of_writing_that_are_set_are_identity(recipe, key):
    spec = changed(recipe, **{key: 1})
    assert spec.model_dump()[key] == 1
    assert spec.identity[key] == 1
    assert not set(WRITING) - {key} & spec.identity.keys()


def test_a_plan_expects_writing_to_take_longer_than_choosing(recipe):
    spec = recipe.teachers["smollm2"]
    assert spec.writing_pace < spec.pace
    stages = {stage.name: stage for stage in build(load_recipe(recipe_path("structured"))).stages}
    written = stages["questions"]
    assert written.calls > 0
    assert written.seconds == written.projected.least.calls / spec.writing_pace
    chosen = next(stage for stage in build(recipe).stages if stage.name == "labelled")
    assert chosen.calls > 0
    assert chosen.seconds == chosen.calls / spec.pace
