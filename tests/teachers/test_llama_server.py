"""A recipe against a real llama.cpp server, by chat and by completions, with log-probabilities."""

import importlib.util
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tests_support import rows_of, run_toy

from mashbill import Store, load_recipe
from mashbill.calls.journal import Journal
from mashbill.core.cache import default_cache
from mashbill.core.errors import LosingError
from mashbill.workspace.recipes import recipe_path

pytestmark = [
    pytest.mark.engines,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.allow_hosts(["127.0.0.1"]),
]
SERVER = Path(__file__).parents[1] / "llama_server.py"
PORT = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def gguf():
    recipe = load_recipe(recipe_path("grey_area"))
    spec = recipe.teachers["smollm2"]
    if not (default_cache() / "registry" / spec.sha256).exists():
        pytest.skip("the teacher's file is fetched by `make test`, which was not used")
    return spec.gguf(recipe.folder, default_cache())


@pytest.fixture(scope="module")
def address(gguf):
    """Start the server; it ends with this module, at the latest after three minutes."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed: pip install xllamacpp")
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(gguf)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    end = threading.Timer(180, process.kill)
    end.start()
    try:
        yield next(line.split()[1] for line in process.stdout if line.startswith("address"))
    finally:
        end.cancel()
        process.kill()
        process.wait()


def recipe(folder, address, **changed):
    """The shipped recipe, at this address, with some of its text changed."""
    shipped = recipe_path("llama_server")
    text = shipped.read_text().replace(PORT, address)
    for old, new in changed.values():
        assert old in text
        text = text.replace(old, new)
    folder.mkdir()
    for name in ("data", "prompts"):
        shutil.copytree(shipped.parent / name, folder / name)
    (folder / "r.toml").write_text(text)
    return folder / "r.toml"


def test_the_shipped_recipe_labels_and_writes(tmp_path, address, gguf):
    path = recipe(tmp_path / "r", address)
    store, _ = run_toy(path, tmp_path / "s")
    moods, lines = rows_of(store, "moods"), rows_of(store, "lines")
    assert len(moods) > 20
    assert {row["label"] for row in moods} == {"positive", "negative"}
    assert len(lines) > 8
    assert all(len(row["text"].split()) > 2 for row in lines)
    # The same weights in this process, asked the same: the prompt goes as it is.
    loaded = load_recipe(path)
    own = load_recipe(recipe_path("grey_area")).teachers["smollm2"]
    engine = own.load(loaded.folder, default_cache(), 2)
    questions = loaded.stages["moods"].questions(loaded.folder, [row["text"] for row in moods])
    here = np.array([answer.logprobs for answer in engine.answer(questions)])
    calls = [row["_call"].hex() for row in moods]
    answers = Journal.of(store).answered(calls)
    there = np.array([answers[call].logprobs for call in calls])
    assert np.corrcoef(here[:, 0] - here[:, 1], there[:, 0] - there[:, 1])[0, 1] > 0.98
    assert np.abs(here - there).mean() < 0.3


def test_labels_by_chat_too(tmp_path, address):
    instruction = tmp_path / "r" / "ask.txt"
    path = recipe(
        tmp_path / "r",
        address,
        wire=('wire = "openai-completions"\n', ""),
        prompt=("prompts/sentiment.txt", "ask.txt"),
    )
    instruction.write_text(
        "Is this line positive or negative?\nLine: {{ text }}\nAnswer with one word:"
    )
    store, _ = run_toy(path, tmp_path / "s")
    moods = rows_of(store, "moods")
    assert len(moods) > 20
    assert {row["label"] for row in moods} <= {"positive", "negative"}


def test_a_few_shot_prompt_by_chat_stops_with_its_cause(tmp_path, address):
    path = recipe(tmp_path / "r", address, wire=('wire = "openai-completions"\n', ""))
    with pytest.raises(LosingError, match=r"(?s)all of the first 20.*wire = .openai-completion"):
        run_toy(path, tmp_path / "s")
    calls, _, _ = Journal.of(Store(tmp_path / "s")).totals()
    with pytest.raises(LosingError, match="none was bought now"):
        run_toy(path, tmp_path / "s")
    assert Journal.of(Store(tmp_path / "s")).totals()[0] == calls


def test_a_schema_is_held_to(tmp_path, address):
    path = recipe(
        tmp_path / "r",
        address,
        keep=("keep_cut = true", 'schema = "s.json" #'),
        tokens=("max_tokens = 48", "max_tokens = 64"),
    )
    (tmp_path / "r" / "s.json").write_text(
        '{"type": "object", "additionalProperties": false, "required": ["mood"], '
        '"properties": {"mood": {"type": "string", "enum": ["good", "bad"]}}}'
    )
    store, _ = run_toy(path, tmp_path / "s")
    assert {row["mood"] for row in rows_of(store, "lines")} <= {"good", "bad"}
