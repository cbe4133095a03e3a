"""System text among turns: one turn at most, none where it goes to the user, no word lost."""

import json

from hypothesis import given
from hypothesis import strategies as st

from mashbill import Question
from mashbill.client.prices import Price
from mashbill.core.turns import one_system, only_system_is_odd, system_in_user
from mashbill.teachers.format import Format
from mashbill.teachers.services import wire_of

WORDS = st.text("ab \n", min_size=1, max_size=4)
TURNS = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["system", "user", "assistant"]), WORDS,
    ), max_size=6,
)  # fmt: skip
QUESTIONS = st.builds(
    Question,
    st.just(""),
    WORDS,
    choices=st.sampled_from([(), (" yes", " no")]),
    system=st.sampled_from(["", "Be brief."]),
    turns=st.sampled_from(["", json.dumps([{"role": "user", "content": "U"},
                                           {"role": "assistant", "content": "A"}])]),
    schema=st.sampled_from(["", '{"type": "object"}']),
)  # fmt: skip


def said(turns, role):
    return [turn["content"] for turn in turns if turn["role"] == role]


@given(TURNS)
def test_one_system_turn_at_most_and_it_is_the_first(turns):
    whole = one_system(turns)
    assert [turn["role"] for turn in whole].count("system") <= 1
    assert "system" not in [turn["role"] for turn in whole[1:]]
    assert [t for t in whole if t["role"] != "system"] == [
        t for t in turns if t["role"] != "system"
    ]
    if said(turns, "system"):
        assert said(whole, "system") == ["\n\n".join(said(turns, "system"))]
    assert one_system(whole) == whole


@given(TURNS)
def test_in_the_user_s_turn_no_system_turn_is_left_and_all_is_said(turns):
    before = json.dumps(turns)
    made = system_in_user(turns)
    assert json.dumps(turns) == before
    assert not said(made, "system")
    assert said(made, "assistant") == said(turns, "assistant")
    system, users = said(turns, "system"), said(turns, "user")
    first = ["\n\n".join([*system, *users[:1]])] if system or users else []
    assert said(made, "user") == [*first, *users[1:]]


@given(QUESTIONS, st.booleans(), st.sampled_from([0, 20]), st.sampled_from(["turn", "user"]))
def test_a_request_has_one_system_turn_at_most_whatever_is_asked(question, native, top, system):
    form = Format(
        wire_of("openai-chat"), "m", "a", Price(known=False, table="", _of=lambda _: 0.0), 64,
        logprobs=top, native_schema=native, system=system,
    )  # fmt: skip
    roles = [turn["role"] for turn in json.loads(form.body(question))["messages"]]
    wants = question.system or question.choices or (question.schema and not native)
    assert roles.count("system") == (bool(wants) and system == "turn")
    others = [role for role in roles if role != "system"]
    assert others == (["user", "assistant", "user"] if question.turns else ["user"])
    whole = form.body(question).decode()
    assert "Be brief." in whole or not question.system
    assert "exactly as it stands here" in whole or not question.choices
    if roles != others:
        assert only_system_is_odd(json.loads(whole)["messages"])
