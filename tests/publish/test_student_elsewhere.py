"""A student that sft trained, asked by others' programs: its own files, and what was exported."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("xllamacpp")
pytest.importorskip("openvino_genai")

from tests_llama_cpp import llama_cpp  # noqa: E402
from tests_support import run_stages  # noqa: E402
from tests_tiny_base import make_base  # noqa: E402
from tests_training import BASE, ROWS, SFT, digest_of, rows  # noqa: E402

import mashbill as mb  # noqa: E402
from mashbill.core.canonical import digest_file  # noqa: E402
from mashbill.core.model import Decoding  # noqa: E402
from mashbill.core.teacher import Question  # noqa: E402
from mashbill.models.gguf_writing import write_gguf  # noqa: E402
from mashbill.teachers.embedded import EmbeddedTeacherSpec  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.engines,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.allow_hosts(["127.0.0.1"]),
]
MOST = 10
BODIES = ("what is red?", "a name, a place?", "Say yes or no: 1 2 3", "日本語")


@pytest.mark.parametrize("merge", [True, False], ids=["merged", "adapter"])
def test_everybody_who_can_ask_a_student_gets_its_answers(tmp_path, merge):
    first = tmp_path / "first"
    base = make_base(first / "base")
    kept = SFT + "steps = 6\n" + ("" if merge else "merge = false\n")
    stages = BASE.replace("DIGEST", digest_of(base)) + ROWS + kept
    store = run_stages(first, stages, {"rows.jsonl": rows()})
    student = mb.open(store.root)["student"]
    asked = [Question("", body) for body in BODIES]
    own = [answer.text for answer in student.writer().answer(asked, Decoding(MOST))]

    student.publish(str(tmp_path / "out"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    plain = []
    for body in BODIES:
        turns = [{"role": "user", "content": body}]
        ids = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        made = model.generate(**ids, max_new_tokens=MOST, do_sample=False)
        plain.append(tokenizer.decode(made[0, ids.input_ids.shape[1] :], skip_special_tokens=True))
    assert plain == own

    exact = student.write_model("gguf", tmp_path / "exact.gguf", "f32").paths[0]
    with llama_cpp(exact) as ask:
        said = [
            ask(
                "/v1/chat/completions",
                messages=[{"role": "user", "content": body}],
                max_tokens=MOST,
                temperature=0,
            )["choices"][0]["message"]["content"]
            for body in BODIES
        ]
    # of letters that are not whole at the end llama.cpp keeps what is whole
    assert [text.rstrip("\ufffd") for text in said] == [text.rstrip("\ufffd") for text in own]

    small = tmp_path / "small.gguf"  # without our keys: with them it is named as a student
    write_gguf(store.folder("model", student.manifest.ref), small, "f16", {})
    embedded = EmbeddedTeacherSpec(
        name="student", provider="us", file="small.gguf", sha256=digest_file(small), max_tokens=MOST
    ).load(tmp_path, tmp_path / "cache", 1)
    found = [answer.text for answer in embedded.answer(asked)]
    assert sum(a == b for a, b in zip(found, own, strict=True)) >= len(own) - 1
