"""What is learned of a row: reasoning beside it, turns that weigh nothing, and its first token."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tiny_base import CHATML, make_base
from tokenizers import Tokenizer, processors

from mashbill.core.chat import Conversation, Turn
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.learned_rows import LearnedRows, NotLearnedError
from mashbill.train.sft import SftSpec

# Nothing at all stands before the first answer, or one token does.
NAKED = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content + '<|im_end|>' }}{% endif %}"
    "{% endfor %}"
)
ONE_MARK = NAKED.replace("{% for", "{{ '<|im_start|>' }}{% for")
NO_END = (
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)
TEMPLATES = {"chatml": CHATML, "naked": NAKED, "one mark": ONE_MARK, "no end": NO_END, "bare": ""}


def begin_with_a_token(folder):
    """Let a tokenizer begin each text with a token of its own, as Llama's does."""
    path = str(folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A",
        special_tokens=[("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))],
    )
    tokenizer.save(path)
    return folder


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    root = tmp_path_factory.mktemp("bases")
    found = {
        name: ConversationTokens(make_base(root / name, template=template))
        for name, template in TEMPLATES.items()
    }
    found["begins"] = ConversationTokens(
        begin_with_a_token(make_base(root / "begins", template=CHATML))
    )
    return found


def rows_of(own, folder, **keys):
    return LearnedRows(SftSpec(kind="sft", inputs=("said",), base="b", **keys), own, folder)


def told(own, found):
    """What is learned of each sequence."""
    return [
        own.tokenizer.decode(
            [i for i, is_it in zip(one.ids, one.learned, strict=True) if is_it],
            skip_special_tokens=False,
        )
        for one in found.sequences
    ]


THOUGHT = "<think>\na name\n</think>\n\n"
ROW = {"prompt": "what", "text": "good", "reasoning_content": "a name"}
MESSAGES = [{"role": "user", "content": "what"}, {"role": "assistant", "content": "good"}]
CHAT = {"text": "good", "messages_json": json.dumps(MESSAGES), "reasoning_content": "a name"}
OWN = [MESSAGES[0], MESSAGES[1] | {"reasoning_content": "a place"}]


@pytest.mark.parametrize("prompt", ["", "ask.jinja"])
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW, f"{THOUGHT}good"),
        (CHAT, f"{THOUGHT}good"),
        (CHAT | {"messages_json": json.dumps(OWN)}, "<think>\na place\n</think>\n\ngood"),
        (ROW | {"text": "<think>a place</think>good"}, "<think>\na place\n</think>\n\ngood"),
        (ROW | {"reasoning_content": None}, "good"),
        (ROW | {"reasoning_content": float("nan")}, "good"),
        (ROW | {"reasoning_content": " \n"}, "good"),
    ],
)
def test_reasoning_in_a_column_is_its_answer_s(tokens, tmp_path, prompt, row, expected):
    if prompt:
        (tmp_path / prompt).write_text("{{ text }}")
        if "messages_json" in row and "place" in row["messages_json"]:
            expected = f"{THOUGHT}good"  # of such rows the columns are asked, and no turns are read
    own = tokens["chatml"]
    found = rows_of(own, tmp_path, prompt=prompt).row(row, "row 0")
    assert told(own, found) == [f"{expected}<|im_end|>"]
    assert found.thought == (own.count(expected.split("\n")[1]) if "<think>" in expected else 0)
    without = rows_of(own, tmp_path, prompt=prompt, reasoning="leave-out").row(row, "row 0")
    assert told(own, without) == ["good<|im_end|>"]
    assert without.thought == 0


def test_only_the_last_turn_has_a_row_s_reasoning(tokens, tmp_path):
    turns = [*MESSAGES, MESSAGES[0], {"role": "assistant", "content": "bad"}]
    row = CHAT | {"text": "bad", "messages_json": json.dumps(turns)}
    own = tokens["chatml"]
    found = rows_of(own, tmp_path).row(row, "row 0")
    assert told(own, found) == [f"good<|im_end|>{THOUGHT}bad<|im_end|>"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (ROW | {"reasoning_content": "a name " * 9}, "longer than reasoning_tokens = 8"),
        (ROW | {"text": "<think>a name"}, "cut off before it said anything"),
        (ROW | {"text": "<think>a</think>"}, "it reasons, and says nothing"),
        (ROW | {"finish": "length"}, "its answer was cut off"),
    ],
)
def test_reasoning_in_a_column_has_the_bounds_of_all_reasoning(tokens, tmp_path, row, says):
    with pytest.raises(NotLearnedError, match=says):
        rows_of(tokens["chatml"], tmp_path, reasoning_tokens=8).row(row, "row 0")


def weighed(*weights):
    """A conversation whose answers have weights, as OpenAI's files for fine-tuning have them."""
    answers = ["good", "bad", "fair"]
    turns = []
    for answer, weight in zip(answers, weights, strict=False):
        turns += [{"role": "user", "content": "what"}, {"role": "assistant", "content": answer}]
        turns[-1] |= {} if weight is None else {"weight": weight}
    return {"text": answers[len(weights) - 1], "messages_json": json.dumps(turns)}


@pytest.mark.parametrize(
    ("turns", "weights", "expected"),
    [
        ("all", (None, 1, 1.0), "good<|im_end|>bad<|im_end|>fair<|im_end|>"),
        ("all", (0, 1, None), "bad<|im_end|>fair<|im_end|>"),
        ("all", (1, 0, 1), "good<|im_end|>fair<|im_end|>"),
        ("all", (1, 1, 0), "good<|im_end|>bad<|im_end|>"),
        ("all", (0.0, 0, 1), "fair<|im_end|>"),
        ("last", (1, 0, 1), "fair<|im_end|>"),
        ("last", (1, 1, 0), None),
        ("all", (0, 0, 0), None),
        ("all", (1, 0.5, 1), None),
        ("all", (1, "0", 1), None),
    ],
)
def test_a_turn_of_weight_0_is_read_and_not_learned(tokens, tmp_path, turns, weights, expected):
    own = tokens["chatml"]
    rows = rows_of(own, tmp_path, turns=turns)
    if expected is None:
        with pytest.raises(NotLearnedError, match="weight"):
            rows.row(weighed(*weights), "row 0")
        return
    found = rows.row(weighed(*weights), "row 0")
    assert told(own, found) == [expected]
    whole = rows_of(own, tmp_path).row(weighed(*[1] * len(weights)), "row 0").sequences[0].ids
    ids = found.sequences[0].ids
    assert ids == whole[: len(ids)]


def test_an_end_that_no_prompt_has_ends_a_sequence(tokens):
    """Where a template ends no turn, the next one stands behind what the model is asked."""
    own = tokens["no end"]
    said = Conversation(
        (Turn("user", "what"), Turn("assistant", "good"),
         Turn("user", "and"), Turn("assistant", "bad"))
    )  # fmt: skip
    found = own.conversation(said)
    asked = "<|im_start|>user\nwhat\n<|im_start|>assistant\n"
    again = f"{asked}good\n<|im_start|>user\nand\n<|im_start|>assistant\n"
    assert [own.tokenizer.decode(one.ids, skip_special_tokens=False) for one in found] == [
        f"{asked}good\n<|im_end|>", f"{again}bad\n<|im_end|>"
    ]  # fmt: skip
    assert [sum(one.learned) for one in found] == [
        own.count("good\n") + 1, own.count("bad\n") + 1
    ]  # fmt: skip


TEXTS = st.text(min_size=1, max_size=6).filter(lambda text: bool(text.strip()))


@law(60)
@given(st.sampled_from([*TEMPLATES, "begins"]), TEXTS, st.booleans())
def test_no_first_token_is_learned_whatever_stands_there(tokens, name, text, has_turns):
    """A span that begins at token 0 or 1 ends where its answer ends (transformers#47325)."""
    own = tokens[name]
    if name == "bare" or not has_turns:
        one = own.text(text)
        start = len(own._begin)
    else:
        said = Conversation((Turn("user", "what"), Turn("assistant", text), Turn("user", "and")))
        (one,) = own.conversation(said)
        begun = own.chat.filled([own.chat.value(said[0], [])], begins=True)
        start = len(own._begin_of(begun, ())) + len(own.chat.ids_of(begun, ()))
    assert start == {"naked": 0, "one mark": 1}.get(name, start) or not has_turns
    assert len(one.ids) == len(one.learned)
    assert not one.learned[0]
    assert one.learned == [place >= max(1, start) for place in range(len(one.ids))]
    assert one.ids[-1] in own.ends
