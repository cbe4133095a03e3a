"""A small real chain: a fake teacher, a real classifier, a real language model, real files."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
import tests_cores  # noqa: F401 - before numpy and torch are loaded, which read what it sets
import tests_few
import tests_laws  # loads the profile by which laws are tried, before any is read
import uvloop  # noqa: F401 - imported while a test forbids sockets, it would keep what forbids them
from tests_support import execute, run_toy, write_recipe

from mashbill import Signer, Store, load_recipe
from mashbill.plan import build
from mashbill.run.executor import Execution

CHANNELS = Path(__file__).parents[1] / "recipes" / "channels.toml"
MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of the user's own in it
ROOM = 4 << 30
"""bytes that must be free in memory; the whole suite leaves some 0.4 GiB"""


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell begins what runs in the background so, and programs that tests interrupt inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Keep the files of tests in memory, where there is room, and name the suite's own marks.

    A store syncs each step of a run to the disk, half of the time of a small one, and whether a
    disk kept it shows no test. `TMPDIR`, if it is set, and `--basetemp` say otherwise.
    """
    is_fit = (
        "TMPDIR" not in os.environ
        and MEMORY.is_dir()
        and os.access(MEMORY, os.W_OK)
        and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC  # some tests run what they write
        and shutil.disk_usage(MEMORY).free >= ROOM
    )
    if is_fit:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    for marker in (
        "few(count): `make test` runs so many of its cases, `make slow` the rest",
        "law: hypothesis gives its examples; `make test` tries a tenth of them, `make slow` all",
    ):
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    """Mark what `make test` leaves to `make slow`: cases of long tables, most examples of laws."""
    tests_few.mark_the_rest(items)
    for item in items:
        if tests_laws.is_law(getattr(item, "obj", None)):
            item.add_marker("law")


@pytest.fixture(scope="session")
def _kept(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    return {"MASHBILL_KEY_FILE": str(base / "key.pem"),
            "MASHBILL_CHECKPOINTS": str(base / "checkpoints")}  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def _own_key(_kept):
    """Sign with a key of the tests' own from before the first fixture that outlives a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _kept.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def _own_key_again(_kept, monkeypatch):
    """Undo what a test did to its environment and left behind."""
    for name, value in _kept.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def recipe_file(tmp_path):
    return write_recipe(tmp_path / "recipe")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A store in which the toy recipe was run; tests copy it before they alter anything."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = write_recipe(folder / "recipe")
    store, done = run_toy(recipe, folder / "store")
    return store.root, recipe, done


@pytest.fixture(scope="session")
def channels(tmp_path_factory):
    """A store in which recipes/channels.toml was run: every channel and shape of step."""
    folder = tmp_path_factory.mktemp("channels")
    store = Store(folder / "store", Signer.default())
    recipe = load_recipe(CHANNELS)
    execute(build(recipe, store), store, Execution(folder / "cache", threads=1))
    return store.root


@pytest.fixture
def short_samples(monkeypatch):
    """Let students answer in a third of the tokens: more than what counts as repeating.

    For tests whose runs stay in this process: what is sampled is part of what a model is.
    """
    from mashbill.train import sampling

    monkeypatch.setattr(sampling, "_TOKENS", sampling._OVER_AND_OVER + 4)
