"""A small real chain: a fake teacher, a real classifier, a real language model, real files."""

from __future__ import annotations

import os

import pytest
from tests_support import run_toy, write_recipe


@pytest.fixture(autouse=True)
def _own_key(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("MASHBILL_KEY_FILE", str(folder / "key.pem"))


@pytest.fixture
def recipe_file(tmp_path):
    return write_recipe(tmp_path / "recipe")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A store in which the toy recipe was run; tests copy it before they alter anything."""
    folder = tmp_path_factory.mktemp("finished")
    os.environ["MASHBILL_KEY_FILE"] = str(tmp_path_factory.getbasetemp() / "key.pem")
    recipe = write_recipe(folder / "recipe")
    store, done = run_toy(recipe, folder / "store")
    return store.root, recipe, done
