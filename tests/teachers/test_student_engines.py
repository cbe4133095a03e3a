"""By which engine a student is asked: OpenVINO where it can, and why not where it cannot."""

import json
import logging

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("openvino_genai")

from tests_bases import FILES, ROWS, pin, table  # noqa: E402
from tests_causal import save, tuning  # noqa: E402, F401
from tests_support import rows_of, run_stages  # noqa: E402

from mashbill import TeacherError  # noqa: E402
from mashbill.calls.journal import Journal  # noqa: E402
from mashbill.core.model import Decoding  # noqa: E402
from mashbill.core.schema import Schema  # noqa: E402
from mashbill.core.teacher import Question  # noqa: E402
from mashbill.models.causal_writer import CausalWriter  # noqa: E402
from mashbill.models.engine_choice import is_causal, obstacle  # noqa: E402
from mashbill.models.openvino_student import OpenVinoStudent  # noqa: E402
from mashbill.teachers.student import MadeStudent, StudentSpec  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
KINDS = {"llama": {}, "qwen2": {}, "qwen3": {"head_dim": 16}, "mistral": {"sliding_window": None}}
BODIES = ("Name a colour.", "What do bees make?", "Why?", "日本語の文", "x" * 240)
ASKED = [Question("", body) for body in BODIES]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("engines")
    for kind, keys in KINDS.items():
        save(home / kind, kind, pre="qwen2" if "qwen" in kind else "gpt-2", **keys)
    save(home / "text", chat=False, begins=False)
    save(home / "tied", tie_word_embeddings=True)
    return home


def by_openvino(home, name):
    return OpenVinoStudent(home / name, (name * 64)[:64], home / "cache", 1, 4)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", [*KINDS, "text", "tied"])
def test_openvino_writes_and_weighs_what_transformers_does(home, name):
    own, other = CausalWriter.load(home / name, 1), by_openvino(home, name)
    choices = [Question("", body, (" good", " bad", " 1", " 10")) for body in BODIES[:3]]
    decoding = Decoding(12)
    for one, two in zip(
        own.answer(choices, decoding), other.answer(choices, decoding), strict=True
    ):
        assert np.allclose(one.logprobs, two.logprobs, atol=0.1)  # weights are float16 there
        assert np.argsort(one.logprobs)[-1] == np.argsort(two.logprobs)[-1]
        assert one.tokens >= two.tokens > 0
    pairs = list(zip(own.answer(ASKED, decoding), other.answer(ASKED, decoding), strict=True))
    assert sum(a.text == b.text and a.finish == b.finish for a, b in pairs) >= len(pairs) - 1
    assert [bool(a.failed) for a, _ in pairs] == [bool(b.failed) for _, b in pairs]


def test_it_is_converted_once_and_holds_answers_to_a_schema(home, monkeypatch):
    student = by_openvino(home, "llama")
    schema = Schema({"type": "object", "properties": {"a": {"type": "boolean"}},
                     "required": ["a"], "additionalProperties": False})  # fmt: skip
    (answer,) = student.answer([Question("", "x", schema=schema)], Decoding(60))
    assert answer.text.lstrip().startswith("{")
    monkeypatch.setattr("mashbill.models.gguf_writing.write_gguf", None)
    again = by_openvino(home, "llama")
    warm = Decoding(8, temperature=1.0)
    asked = [Question("", "Go on.", sample=n) for n in range(4)]
    assert len({a.text for a in again.answer(asked, warm)}) > 1
    assert again.answer(asked[2:3], warm)[0].text == again.answer(asked, warm)[2].text


OBSTACLES = {
    "architecture": ({"model_type": "gpt2"}, {}, "this is 'gpt2'"),
    "positions": ({"rope_parameters": {"rope_type": "llama3"}}, {}, "scaled (llama3)"),
    "older positions": ({"rope_parameters": {}, "rope_scaling": {"type": "yarn"}}, {}, "yarn"),
    "activation": ({"hidden_act": "gelu"}, {}, "hidden_act"),
    "biases": ({"attention_bias": True}, {}, "biases are not read"),
    "heads": ({"head_dim": 16}, {}, "head_dim is 16"),
    "window": ({"model_type": "mistral", "sliding_window": 64}, {}, "not looked through"),
    "tokenizer": ({}, {"pre_tokenizer": {"type": "Whitespace"}}, "no name for" ),
}  # fmt: skip


def test_why_openvino_does_not_compute_a_folder_is_told(home, tmp_path):
    assert obstacle(home / "llama") == ""
    assert "this is None" in obstacle(tmp_path)
    assert not is_causal(tmp_path)
    config, tokens = (
        json.loads((home / "llama" / name).read_text())
        for name in ("config.json", "tokenizer.json")
    )
    for name, (changed, cut, said) in OBSTACLES.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({**config, **changed}))
        (folder / "tokenizer.json").write_text(json.dumps({**tokens, **cut}))
        expected = "a name for" if name == "tokenizer" else said
        assert expected in obstacle(folder), name


def made(home, name, **keys):
    return MadeStudent(
        model="tuned", artifact="tuned@1", digest=(name * 64)[:64].encode().hex()[:64],
        trainer="tuned", folder=home / name, **keys,
    )  # fmt: skip


@pytest.mark.usefixtures("tuning")
def test_auto_says_why_and_openvino_refuses(home, tmp_path, caplog):
    save(tmp_path / "gpt2", "gpt2")
    cache = tmp_path / "cache"
    with caplog.at_level(logging.WARNING, "mashbill"):
        student = made(tmp_path, "gpt2").load(tmp_path, cache, 1)
    assert "tuned@1 is asked through transformers, and not through OpenVINO" in caplog.text
    assert "this is 'gpt2'" in caplog.text
    assert student.identity["engine"] == "transformers"
    with pytest.raises(TeacherError, match=r"does not compute tuned@1: .*'gpt2'; set engine"):
        made(tmp_path, "gpt2", engine="openvino").load(tmp_path, cache, 1)
    found = {
        engine: made(home, "llama", engine=engine).identity
        for engine in ("auto", "openvino", "transformers")
    }
    assert found["auto"] == found["openvino"] != found["transformers"]
    assert "engine" not in StudentSpec(model="tuned").model_dump()


CHAIN = """
[stages.tuned]
kind = "tuned"
input = "rows"
base = "tiny"

[teachers.pupil]
kind = "student"
model = "tuned"
max_tokens = 8

[teachers.exact]
kind = "student"
model = "tuned"
max_tokens = 8
engine = "transformers"

[stages.fast]
kind = "generate"
input = "rows"
teacher = "pupil"
prompt = "on.txt"
keep_cut = true

[stages.slow]
kind = "generate"
input = "rows"
teacher = "exact"
prompt = "on.txt"
keep_cut = true
"""


@pytest.mark.usefixtures("tuning")
def test_a_student_of_a_recipe_writes_through_openvino_and_its_calls_say_so(tmp_path):
    save(tmp_path / "tiny")
    stages = table("tiny", pin(tmp_path / "tiny")) + ROWS + CHAIN
    store = run_stages(tmp_path, stages, {**FILES, "on.txt": "Go on: {{ text }}"}, "")
    fast, slow = ([row["text"] for row in rows_of(store, name)] for name in ("fast", "slow"))
    assert len(fast) == len(slow) == len(FILES["rows.jsonl"])
    assert sum(a == b for a, b in zip(fast, slow, strict=True)) >= len(fast) - 1
    journal = Journal.of(store)
    calls = [row["_call"].hex() for name in ("fast", "slow") for row in rows_of(store, name)]
    asked = {json.loads(told)["engine"] for told in journal.teachers(calls)}
    journal.close()
    assert asked == {"openvino", "transformers"}
