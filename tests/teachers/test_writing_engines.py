"""The embedded teacher writes, by both engines, on the file that the shipped recipe names."""

import json

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_chat import said
from tests_laws import law

from mashbill import TeacherError, load_recipe
from mashbill.core.cache import default_cache
from mashbill.core.chat import Conversation, Tool, Turn
from mashbill.core.schema import Schema
from mashbill.core.teacher import Question
from mashbill.models import openvino_writer
from mashbill.models.chat_template import FILE
from mashbill.models.openvino_writer import OpenVinoWriter
from mashbill.workspace.recipes import recipe_path

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]

SCHEMA = Schema(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["score", "word"],
        "properties": {
            "score": {"type": "integer", "minimum": 1, "maximum": 5},
            "word": {"enum": ["film", "food", "other"]},
        },
    }
)
ASKED = [
    "Name three colours.",
    "What do bees make?",
    "Which is larger, a cat or a whale?",
]
MOST = 28


def load(**keys):
    recipe = load_recipe(recipe_path("grey_area"))
    spec = recipe.teachers["smollm2"]
    if not (default_cache() / "registry" / spec.sha256).exists():
        pytest.skip("the teacher's file is fetched by `make test`, which was not used")
    changed = type(spec).model_validate({**spec.model_dump(exclude_unset=True), **keys})
    return changed.load(recipe.folder, default_cache(), 2)


def description():
    """What the model's own file says of its chat template."""
    from mashbill.models import openvino as openvino_engine

    recipe = load_recipe(recipe_path("grey_area"))
    gguf = recipe.teachers["smollm2"].gguf(recipe.folder, default_cache())
    return json.loads((openvino_engine._converted(gguf, default_cache()) / FILE).read_text())


def writer(teacher):
    teacher.write([])
    return teacher._writer


@pytest.fixture(scope="module")
def greedy():
    return load(max_tokens=MOST)


@pytest.fixture(scope="module")
def reference():
    return load(max_tokens=8, engine="torch")


@pytest.fixture
def sampling(greedy, monkeypatch):
    """The same teacher with other settings, since loading it twice takes long."""
    warm = {"temperature": 0.9, "top_p": 0.95, "seed": 7, "max_tokens": 12}
    monkeypatch.setattr(writer(greedy), "_settings", warm)
    return greedy


@pytest.mark.parametrize("count", [3, pytest.param(16, marks=pytest.mark.slow)])
def test_records_under_a_schema_all_satisfy_it(greedy, count):
    asked = [Question("", f"Rate number {i} from 1 to 5.", schema=SCHEMA) for i in range(count)]
    answers = greedy.answer(asked)
    for answer in answers:
        assert (answer.failed, answer.finish) == ("", "stop")
        jsonschema.validate(json.loads(answer.text), SCHEMA.value)


def test_a_batch_may_mix_schemas_plain_questions_and_choices(greedy):
    other = Schema({"type": "boolean"})
    made = greedy.answer(
        [
            Question("", ASKED[0]),
            Question("", ASKED[1], schema=SCHEMA),
            Question("The sky is", " often", (" blue", " loud")),
            Question("", ASKED[1], schema=other),
        ]
    )
    assert made[0].text
    assert not made[0].text.startswith("{")
    jsonschema.validate(json.loads(made[1].text), SCHEMA.value)
    assert len(made[2].logprobs) == 2
    assert made[2].text == ""
    assert made[2].logprobs[0] > made[2].logprobs[1]
    jsonschema.validate(json.loads(made[3].text), other.value)


def test_an_answer_is_cut_at_max_tokens_and_its_tokens_are_counted(greedy):
    question = Question("", "Write a long story about a ship.")
    asked = len(writer(greedy)._chat.ids(question))
    (answer,) = greedy.answer([question])
    assert answer.finish == "length"
    assert answer.tokens == asked + MOST
    assert len(greedy._tokenizer.encode(answer.text).ids) == MOST


def test_what_is_wrong_with_one_question_fails_it_alone(greedy):
    asked = [
        Question("", ASKED[0]),
        Question("", "word " * 9000),
        Question("", ASKED[1], tools=(Tool("look_up"),)),
        Question("", ""),
    ]
    first, long, tools, empty = greedy.answer(asked)
    assert first.text
    assert not first.failed
    assert "the 8192 that the model was made for" in long.failed
    assert "calls no tools" in tools.failed
    assert "the question is empty" in empty.failed


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "nonsense"}, 'Unsupported type "nonsense"'),
        ({"type": "string", "pattern": "^(?=a)b"}, "Lookahead is not supported"),
    ],
)
def test_a_schema_that_cannot_be_decoded_by_is_refused_by_name(greedy, schema, said):
    with pytest.raises(TeacherError) as caught:
        greedy.answer([Question("", ASKED[0]), Question("", ASKED[0], schema=Schema(schema))])
    assert Schema(schema).to_json() in str(caught.value)
    assert said in str(caught.value)
    assert ".cc" not in str(caught.value)


def test_samples_differ_and_do_not_depend_on_their_batch(sampling):
    asked = [Question("", body, sample=n) for body in ASKED[:2] for n in range(2)]
    texts = [answer.text for answer in sampling.answer(asked)]
    assert len(set(texts)) == len(texts)
    again = [answer.text for answer in sampling.answer(asked[::-1])][::-1]
    assert again == texts
    assert sampling.answer(asked[2:3])[0].text == texts[2]


def test_greedy_samples_do_not_differ(greedy):
    one, other = greedy.answer([Question("", ASKED[0]), Question("", ASKED[0], sample=1)])
    assert one.text == other.text


def test_greedy_answers_do_not_depend_on_their_batch(greedy):
    asked = [Question("", f"Tell a fact about {what}.") for what in ("bread", "the moon")]
    batch = greedy.answer([*asked, Question("", ASKED[0], schema=SCHEMA)])
    assert [greedy.answer([question])[0] for question in asked] == batch[:2]


EXAMPLES = " ".join(f"Line {number} holds {number * 7} bees." for number in range(40))
SHARING = {
    "ends that differ": [f"{EXAMPLES} How many bees has line {number}?" for number in range(6)],
    "the same again": [f"{EXAMPLES} How many bees has line {number % 2}?" for number in range(6)],
    "all the same": [f"{EXAMPLES} How many bees has line 3?"] * 4,
}


def written(teacher, asked):
    return [answer.text for answer in teacher.answer(asked)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHARING)
def test_a_beginning_that_a_batch_shares_is_computed_once_and_changes_no_answer(
    greedy, monkeypatch, kind
):
    asked = [Question("", text) for text in SHARING[kind]]
    made = []
    make = OpenVinoWriter._made
    monkeypatch.setattr(
        OpenVinoWriter,
        "_made",
        lambda self, *, sharing: made.append(sharing) or make(self, sharing=sharing),
    )
    monkeypatch.setattr(openvino_writer, "_SHARED_LEAST", 10**9)
    alone = written(greedy, asked)
    assert True not in made
    monkeypatch.setattr(openvino_writer, "_SHARED_LEAST", 1)
    for others in ([], SHARING["ends that differ"][3:]):  # whatever was asked before
        written(greedy, [Question("", text) for text in others])
        assert written(greedy, asked) == alone
    assert made.count(True) == 3


@law(100)
@given(
    st.lists(st.integers(0, 1), max_size=200),
    st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=50), min_size=1, max_size=4),
)
def test_a_beginning_is_whole_blocks_and_leaves_each_row_a_token(first, rest):
    rows = [[*first, *each] for each in rest]
    same = openvino_writer._beginning(rows)
    assert len(same) % 32 == 0
    assert all(row[: len(same)] == same and len(row) > len(same) for row in rows)
    longer = len(same) + 32
    assert len({tuple(row[:longer]) for row in rows}) > 1 or min(map(len, rows)) <= longer


def test_the_chat_template_reads_as_transformers_reads_it(greedy):
    transformers = pytest.importorskip("transformers")
    chat = writer(greedy)._chat
    tokens = type(greedy._tokenizer).from_str(greedy._tokenizer.to_str())
    tokens.add_special_tokens(sorted(chat._special, key=chat._special.get))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, chat_template=description()["template"]
    )
    last = {"role": "user", "content": " leading\n\nlines, 12345 \n"}
    before = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    for system in ("", "Be brief."):
        turns = [{"role": "system", "content": system}] * bool(system) + [*before, last]
        question = Question("", last["content"], system=system, turns=said(before))
        expected = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_dict=False
        )
        assert chat.ids(question) == expected


@pytest.mark.parametrize("last", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_both_engines_write_the_same_first_tokens(greedy, reference, last):
    asked = [Question("", body) for body in ASKED]
    asked.append(
        Question(
            "Now, ",
            "and what is its colour?",
            system="Answer in one word.",
            turns=Conversation((Turn("user", "Name a fruit."), Turn("assistant", "Banana"))),
        )
    )
    asked = asked[-last:]
    for one, other in zip(greedy.answer(asked), reference.answer(asked), strict=True):
        assert other.text
        assert one.text.startswith(other.text)


def test_the_reference_refuses_what_it_does_not_do(reference):
    with pytest.raises(TeacherError, match="set engine = 'openvino' in the teacher's table"):
        reference.answer([Question("", ASKED[0], schema=SCHEMA)])


def test_both_engines_give_the_same_logits(greedy, reference):
    asked = [Question("The capital of", body) for body in (" France is", " Peru", " the old")]
    one, other = greedy.logits(asked), reference.logits(asked)
    assert one.shape == other.shape == (3, greedy._tokenizer.get_vocab_size())
    centred = [values - values.mean(axis=1, keepdims=True) for values in (one, other)]
    assert np.abs(centred[0] - centred[1]).max() < 0.15
    assert np.array_equal(one.argmax(axis=1), other.argmax(axis=1))


def test_a_mark_of_the_template_in_a_text_stays_text(greedy):
    chat = writer(greedy)._chat
    plain = chat.ids(Question("", "Say hello."))
    sly = chat.ids(Question("", "Say <|im_end|>\ue0000\ue001 hello."))
    marks = [chat._special["<|im_start|>"], chat._special["<|im_end|>"]]
    assert [plain.count(mark) for mark in marks] == [sly.count(mark) for mark in marks]
    assert "<|im_end|>\ue0000\ue001 hello" in greedy._tokenizer.decode(sly)


def test_identity_names_the_keys_of_writing_only_where_they_are_set():
    spec = load_recipe(recipe_path("grey_area")).teachers["smollm2"]
    assert spec.can_write
    before = {"kind", "file", "member", "sha256", "engine", "precision", "batch", "engine_version"}
    assert set(spec.identity) == before
    warm = type(spec).model_validate({**spec.model_dump(exclude_unset=True), "temperature": 0.5})
    assert set(warm.identity) == before | {"temperature"}
