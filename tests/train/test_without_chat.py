"""A base that knows no chat: told in the plan, and learned from as it is asked, as a text."""

from __future__ import annotations

import json

import pytest
from tests_support import run_stages
from tests_tiny_base import CHATML, make_base
from tests_training import ASKED, BASE, ROWS, SFT, digest_of, rows, run, student_of

from mashbill.core.chat import Conversation, Turn
from mashbill.core.errors import MashbillError
from mashbill.core.model import Decoding
from mashbill.core.recipe import load_recipe
from mashbill.core.teacher import Question
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.learned_rows import LearnedRows, NotLearnedError
from mashbill.models.reading import Reading
from mashbill.plan import build
from mashbill.train.sft import SftSpec

AS_TEXT = 'asked_as = "text"\n'
REMEDY = r'has no chat template.*set asked_as = "text"'
SCRATCH = """
[stages.scratch]
kind = "pretrain"
inputs = ["said"]
labels = false
steps = 2
batch_tokens = 64
width = 16
layers = 1
heads = 2
context = 64
vocabulary = 512
"""


def planned(folder, stages, *, template=""):
    """Plan a student on a base beside the recipe."""
    base = make_base(folder / "base", template=template)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(1)))
    (folder / "ask.jinja").write_text("{{ text }}")
    path = folder / "some.toml"
    head = '[recipe]\nname = "some"\nversion = "1"\nseed = 5\n'
    path.write_text(head + BASE.replace("DIGEST", digest_of(base)) + ROWS + stages)
    found = {stage.name: stage for stage in build(load_recipe(path)).stages}
    return found["student"].doubts


def on(base):
    return SFT.replace('base = "small"', f'base = "{base}"')


@pytest.mark.parametrize(
    ("stages", "template", "doubt", "error"),
    [
        (SFT, CHATML, "", ""),
        (SFT, "", REMEDY, ""),
        (SFT + AS_TEXT, "", "", ""),
        (SFT + 'prompt = "ask.jinja"\n', "", "", REMEDY),
        (SFT + AS_TEXT, CHATML, "", "leave asked_as out"),
        (SCRATCH + on("scratch"), CHATML, REMEDY, ""),
        (SCRATCH + on("scratch") + 'prompt = "ask.jinja"\n', CHATML, "", REMEDY),
        (SCRATCH + on("scratch").replace("student]", "first]") + on("first"), CHATML, REMEDY, ""),
        (SCRATCH + on("scratch") + AS_TEXT, CHATML, "", ""),
    ],
)
def test_a_plan_tells_what_a_base_without_a_chat_cannot_learn(
    tmp_path, stages, template, doubt, error
):
    if error:
        with pytest.raises(MashbillError, match=rf"stages\.student: base = .*{error}"):
            planned(tmp_path, stages, template=template)
        return
    found = " ".join(planned(tmp_path, stages, template=template))
    if doubt:
        assert "said" in found
        assert REMEDY.split(".*")[1] in found
    else:
        assert found == ""


def test_a_row_with_a_prompt_names_the_remedy(tmp_path):
    with pytest.raises(MashbillError, match=rf"row 0: something was asked here.*{REMEDY}"):
        run(tmp_path, SFT, template="")


def test_a_text_is_learned_as_it_is_asked(tmp_path):
    folder = make_base(tmp_path / "base", template="")
    own = ConversationTokens(folder)
    spec = SftSpec(kind="sft", inputs=("said",), base="b", asked_as="text")
    said = [
        Turn("system", "be good"), Turn("user", "what <|im_end|>"), Turn("assistant", "good"),
        Turn("user", "and"), Turn("assistant", "bad", reasoning="a name"),
    ]  # fmt: skip
    messages = json.dumps([turn.value() for turn in said])
    found = LearnedRows(spec, own, tmp_path).row({"text": "bad", "messages_json": messages}, "0")
    assert not found.is_conversation
    answers = ["good", "<think>\na name\n</think>\n\nbad"]
    for one, place, answer in zip(found.sequences, (2, 4), answers, strict=True):
        question = Question("", "", turns=Conversation(tuple(said[:place])).without_reasoning())
        asked = Reading(folder).asked(question, 4).ids
        assert one.ids[: len(asked)] == asked
        assert one.ids[len(asked) :] == [*Reading(folder).ids(answer), own.ends[0]]
        assert one.learned == [place >= len(asked) for place in range(len(one.ids))]
    assert found.thought == own.count("a name")
    tools = json.dumps([{"name": "look"}])
    with pytest.raises(NotLearnedError, match="no place for tools"):
        LearnedRows(spec, own, tmp_path).row(
            {"text": "bad", "messages_json": messages, "tools_json": tools}, "0"
        )


def test_a_student_of_texts_answers_what_it_was_asked(tmp_path):
    store, _ = run(tmp_path, SFT + AS_TEXT + 'method = "full"\nsteps = 120\n', template="")
    _, folder = student_of(store)
    asked = [Question("", f"what is {word}?") for word in ASKED]
    made = SftSpec.load(folder, 1).answer(asked, Decoding(max_tokens=8))
    assert [(one.text, one.finish) for one in made] == [(one, "stop") for one in ASKED.values()]


def test_a_student_from_scratch_is_taught_to_answer(tmp_path):
    stages = ROWS + SCRATCH + on("scratch").replace("epochs = 6", "steps = 2") + AS_TEXT
    store = run_stages(tmp_path, stages, {"rows.jsonl": rows(1)})
    manifest, _ = student_of(store)
    assert manifest.measures["sequences"] == 4
