"""What a student learns of a conversation is what it is asked for, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tiny_base import CHATML, make_base

from mashbill.core.chat import Conversation, Turn
from mashbill.core.errors import TeacherError
from mashbill.core.teacher import Question
from mashbill.core.thinking import parted
from mashbill.models.conversation_tokens import ConversationTokens

# The ways of public templates, in small: Qwen3's drops the reasoning of earlier turns and writes an
# empty one for a last turn without; R1's opens the reasoning in the prompt and drops it afterwards;
# SmolLM2's begins with a system text of its own; the last is as many are, and knows nothing of it.
QWEN = (
    "{%- set ns = namespace(last=messages|length - 1) %}"
    "{%- for m in messages %}"
    "{%- if m.role == 'assistant' %}"
    "{%- set thought = m.reasoning_content or '' %}"
    "{%- if loop.index0 == ns.last %}{{ '<|im_start|>assistant\n<think>\n' + thought + '\n</think>\n\n' + m.content }}"
    "{%- else %}{{ '<|im_start|>assistant\n' + m.content }}{%- endif %}{{ '<|im_end|>\n' }}"
    "{%- else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)
R1 = (
    "{%- for m in messages %}"
    "{%- if m.role == 'assistant' %}{{ '<|im_start|>assistant\n' + m.content.split('</think>')[-1] + '<|im_end|>' }}"
    "{%- else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{%- endif %}"
)
DEFAULT_SYSTEM = (
    "{%- if messages[0].role != 'system' %}{{ '<|im_start|>system\nBe good.<|im_end|>\n' }}{%- endif %}"
    + CHATML
)
NO_END = (
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)
MARKED = CHATML.replace(
    "{{ '<|im_start|>' + message['role']", "{% generation %}{{ '<|im_start|>' + message['role']"
).replace("{% endfor %}", "{% endgeneration %}{% endfor %}")
TEMPLATES = {"chatml": CHATML, "qwen": QWEN, "r1": R1, "system": DEFAULT_SYSTEM, "no end": NO_END,
             "marked": MARKED}  # fmt: skip
MARKS = ("<think>", "</think>")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    root = tmp_path_factory.mktemp("bases")
    found = {
        name: ConversationTokens(make_base(root / name, template=template, marks=MARKS))
        for name, template in TEMPLATES.items()
    }
    found["bare"] = ConversationTokens(make_base(root / "bare", template=""))
    return found


def shown(tokens, sequence):
    """What a sequence says, with what is learned between brackets."""
    pieces, learning = [], False
    run: list[int] = []

    def flush():
        if run:
            text = tokens.tokenizer.decode(run, skip_special_tokens=False)
            pieces.append(f"[{text}]" if learning else text)
            run.clear()

    for token, learned in zip(sequence.ids, sequence.learned, strict=True):
        if learned != learning:
            flush()
            learning = learned
        run.append(token)
    flush()
    return "".join(pieces)


def chat(*said):
    return Conversation(tuple(said))


ONE = chat(Turn("user", "what"), Turn("assistant", "good", reasoning="a name"))
TWO = chat(
    Turn("user", "what"), Turn("assistant", "good", reasoning="a name"),
    Turn("user", "and"), Turn("assistant", "bad", reasoning="a place"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("template", "said", "expected"),
    [
        ("chatml", TWO.without_reasoning(), [
            "<|im_start|>user\nwhat<|im_end|>\n<|im_start|>assistant\n[good<|im_end|>]\n"
            "<|im_start|>user\nand<|im_end|>\n<|im_start|>assistant\n[bad<|im_end|>]"]),
        ("marked", ONE.without_reasoning(), [
            "<|im_start|>user\nwhat<|im_end|>\n<|im_start|>assistant\n[good<|im_end|>]"]),
        ("chatml", ONE, [
            "<|im_start|>user\nwhat<|im_end|>\n<|im_start|>assistant\n"
            "[<think>\na name\n</think>\n\ngood<|im_end|>]"]),
        ("qwen", ONE, [
            "<|im_start|>user\nwhat<|im_end|>\n<|im_start|>assistant\n"
            "[<think>\na name\n</think>\n\ngood<|im_end|>]"]),
        ("qwen", TWO, [
            "<|im_start|>user\nwhat<|im_end|>\n<|im_start|>assistant\n"
            "[<think>\na name\n</think>\n\ngood<|im_end|>]",
            "<|im_start|>user\nwhat<|im_end|>\n<|im_start|>assistant\ngood<|im_end|>\n"
            "<|im_start|>user\nand<|im_end|>\n<|im_start|>assistant\n"
            "[<think>\na place\n</think>\n\nbad<|im_end|>]"]),
        ("r1", TWO, [
            "<|im_start|>user\nwhat<|im_end|><|im_start|>assistant\n<think>\n"
            "[a name\n</think>\n\ngood<|im_end|>]",
            "<|im_start|>user\nwhat<|im_end|><|im_start|>assistant\ngood<|im_end|>"
            "<|im_start|>user\nand<|im_end|><|im_start|>assistant\n<think>\n"
            "[a place\n</think>\n\nbad<|im_end|>]"]),
        ("system", ONE.without_reasoning(), [
            "<|im_start|>system\nBe good.<|im_end|>\n<|im_start|>user\nwhat<|im_end|>\n"
            "<|im_start|>assistant\n[good<|im_end|>]"]),
        ("no end", ONE.without_reasoning(), [
            "<|im_start|>user\nwhat\n<|im_start|>assistant\n[good\n<|im_end|>]"]),
    ],
)  # fmt: skip
def test_each_template_is_learned_as_it_is_asked(tokens, template, said, expected):
    found = tokens[template].conversation(said)
    assert [shown(tokens[template], each) for each in found] == expected


TEXTS = st.text(max_size=12).filter(lambda text: bool(text.strip())) | st.sampled_from(
    [
        "<|im_end|>",
        "a <|im_start|>assistant",
        "</think>",
        "\ue0000\ue001",
        "  spaced  ",
        "日本語 🙂",
    ]
)
TURNS = st.lists(st.tuples(TEXTS, TEXTS, st.just("") | TEXTS), min_size=1, max_size=3)


@law(40)
@given(TURNS, st.sampled_from(["chatml", "qwen", "system", "no end", "marked"]), st.booleans())
def test_what_is_learned_follows_from_exactly_what_the_model_is_asked(tokens, turns, name, last):
    """Of each answer: the tokens before it are those of the prompt, and an end is taught."""
    own = tokens[name]
    said = []
    for asked, answer, thought in turns:
        said += [Turn("user", asked), Turn("assistant", answer, reasoning=thought)]
    found = own.conversation(Conversation(tuple(said)), only_last=last)
    learned = 0
    for sequence in found:
        assert len(sequence.ids) == len(sequence.learned)
        starts = [
            i for i, is_learned in enumerate(sequence.learned)
            if is_learned and not sequence.learned[i - 1]
        ]  # fmt: skip
        learned += len(starts)
        for start in starts:
            stop = start
            while stop < len(sequence.ids) and sequence.learned[stop]:
                stop += 1
            assert sequence.ids[stop - 1] in own.ends
            assert all(token not in own.ends for token in sequence.ids[start : stop - 1])
    assert learned == (1 if last else len(turns))
    whole = Conversation(tuple(said[:-1]))
    asked = own.chat.ids(Question("", "", turns=whole.without_reasoning()))
    assert found[-1].ids[: len(asked)] == asked
    assert not any(found[-1].learned[len(asked) - 1 : len(asked)])


def test_a_text_is_learned_whole_with_its_end(tokens):
    own = tokens["bare"]
    found = own.text("The red fox <|im_end|>")
    assert own.tokenizer.decode(found.ids[:-1], skip_special_tokens=False).endswith("<|im_end|>")
    assert found.ids[-1] == own.ends[0]
    with pytest.raises(TeacherError, match="no chat template"):
        own.conversation(ONE)


def test_a_template_that_writes_turns_otherwise_than_it_begins_them_is_refused(tmp_path):
    template = CHATML.replace("{{ '<|im_start|>assistant\n' }}", "{{ '<|im_start|>model\n' }}")
    own = ConversationTokens(make_base(tmp_path / "odd", template=template))
    said = chat(Turn("user", "what"), Turn("assistant", "good"))
    with pytest.raises(TeacherError, match="otherwise than it begins one"):
        own.conversation(said)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a</think>b", ("a", "b", False)),
        ("\n<think>\n a\n</think>\n\nb\n", ("a", "b\n", False)),
        ("<think>a", ("a", "", True)),
        ("a</think>b", ("a", "b", False)),
        ("b", ("", "b", False)),
        ("say <think>a</think>", ("", "say <think>a</think>", False)),
        ("[THINK]a[/THINK]b", ("a", "b", False)),
        ("", ("", "", False)),
    ],
)
def test_reasoning_is_parted_from_what_is_said(text, expected):
    assert parted(text) == expected
