from __future__ import annotations

import pytest
from client.wire.known_shapes import read, shape
from tests_chat import asking

from mashbill.client.wire import Ask, Reply, WireError
from mashbill.client.wire.openai_completions import OpenAICompletions

WIRE = OpenAICompletions()
USER = {"role": "user", "content": "Write"}


def test_the_body() -> None:
    assert WIRE.body(asking("m", [USER])) == {"model": "m", "prompt": "Write"}
    ask = asking(
        "m", [{"role": "system", "content": "S"}, USER, {"role": "assistant", "content": "A"}],
        8, {"seed": 1}, top_logprobs=3, stream=True, extra={"best_of": 1},
    )  # fmt: skip
    assert WIRE.body(ask) == {
        "model": "m", "prompt": "S\n\nWrite\n\nA", "max_tokens": 8, "seed": 1, "logprobs": 3,
        "stream": True, "stream_options": {"include_usage": True}, "best_of": 1,
    }  # fmt: skip
    assert WIRE.path(ask) == "/completions"


@pytest.mark.parametrize(
    "ask",
    [asking("m", [USER, USER]), asking("m", []), asking("m", [USER], schema={}),
     asking("m", [USER], tools=[{"name": "t"}]), asking("m", [USER], reasoning="low")],
)  # fmt: skip
def test_what_a_raw_prompt_cannot_say(ask: Ask) -> None:
    with pytest.raises(WireError) as caught:
        WIRE.body(ask)
    assert not caught.value.retry


def test_the_reply() -> None:
    assert read("openai-completions.plain") == Reply(
        " a grain bill", "length", tokens_in=5, tokens_out=3, model="davinci-002",
        id="cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
        logprobs=[
            (" a", -0.5, [(" a", -0.5), (" the", -1.0)]),
            (" grain", -1.25, [(" grain", -1.25)]),
            (" bill", -0.125, [(" bill", -0.125), (" list", -2.5)]),
        ],
    )  # fmt: skip


def test_logprobs_in_the_chat_format() -> None:
    body = shape("openai-completions.plain")
    body["choices"][0]["logprobs"] = shape("openai-chat.logprobs")["choices"][0]["logprobs"]
    assert [token for token, _, _ in WIRE.read(body).logprobs] == ["Rye", "."]


def test_logprobs_that_do_not_fit_and_usage_that_is_missing() -> None:
    body = shape("openai-completions.plain")
    text = body["choices"][0]["text"]
    body["choices"][0]["logprobs"]["tokens"].pop()
    reply = WIRE.read(body)
    assert (reply.text, reply.logprobs, len(reply.odd)) == (text, [], 1)
    body = shape("openai-completions.plain")
    del body["usage"]
    reply = WIRE.read(body)
    assert (reply.text, reply.tokens_in, reply.odd) == (text, 0, [])
