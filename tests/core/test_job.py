"""A job is planned once and can be handed to another process, with its folder's rules."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from tests_support import execute, write_recipe

from mashbill import InputError, RecipeError, Signer, Store, load_recipe
from mashbill.core.artifact import fingerprint
from mashbill.core.job import Job
from mashbill.plan import build

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_each_job_of_each_recipe_is_the_same_once_it_was_pickled(path):
    recipe = load_recipe(path)
    for name in recipe.stages:
        job = Job.of(recipe, name)
        job = job.given(dict.fromkeys(job.inputs, DIGEST))
        again = pickle.loads(pickle.dumps(job))  # noqa: S301 - what this test wrote
        assert again == job
        assert again.fingerprint == job.fingerprint
        assert job.fingerprint == fingerprint(recipe.literals(name), dict(job.digests))
        assert again.folder / "README.md" == job.folder / "README.md"
        with pytest.raises(RecipeError):
            _ = again.folder / "../../outside.txt"


def test_another_process_reads_what_the_recipe_may_and_nothing_else(tmp_path):
    job = Job.of(load_recipe(write_recipe(tmp_path / "recipe")), "labelled")
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    code = (
        "import pickle, sys; job = pickle.load(open(sys.argv[1], 'rb')); "
        "print(len((job.folder / 'toy.txt').read_text()) > 0); "
        "job.folder / '../job'"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "job")], capture_output=True, text=True
    )
    assert done.stdout.strip() == "True"
    assert "RecipeError" in done.stderr


def test_a_fingerprint_is_asked_for_once_all_inputs_are_made(tmp_path):
    job = Job.of(load_recipe(write_recipe(tmp_path / "recipe")), "labelled")
    with pytest.raises(ValueError, match="before its inputs are made"):
        _ = job.fingerprint
    assert not job.is_given
    assert job.given({**dict.fromkeys(job.inputs, DIGEST), "other": DIGEST}).is_given


def test_a_prompt_that_is_changed_after_the_plan_was_decided_is_not_used(tmp_path):
    path = write_recipe(tmp_path / "recipe")
    store = Store(tmp_path / "store", Signer.default())
    plan = build(load_recipe(path), store)
    prompt = tmp_path / "recipe" / "toy.txt"
    prompt.write_text(prompt.read_text().replace("kind day", "nice day"))
    with pytest.raises(InputError, match=r"toy\.txt was changed after the plan was made"):
        execute(plan, store)
    assert not [m for m in store.manifests() if m.ref.name == "labelled"]
