"""Why an answer ended: words that are known, and words that are not."""

import contextlib

import pytest
from client.wire.known_shapes import WIRES, shape
from hypothesis import given
from hypothesis import strategies as st
from tests_tables import table

from mashbill.client.order import Answered, Refused
from mashbill.client.prices import Price
from mashbill.client.wire import Reply, WireError
from mashbill.client.wire.finishing import _BROKEN, FINISHES, end
from mashbill.core.teacher import CUT_OFF, Question
from mashbill.teachers.format import Format

PRICE = Price(known=True, table="", _of=lambda counts: sum(counts) / 1e6)

KNOWN = {
    "stop": ["stop", "STOP", "Stop", "end_turn", "END_TURN", "eos", "eos_token", "COMPLETE",
             "stop_sequence", "STOP_SEQUENCE", "end-turn", "normal", "FINISH"],
    "length": ["length", "LENGTH", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length",
               "Max Tokens", "max_new_tokens", "model_context_window_exceeded", "token_limit"],
    "tool_calls": ["tool_calls", "TOOL_CALL", "tool_use", "function_call"],
    "content_filter": ["content_filter", "SAFETY", "recitation", "PROHIBITED_CONTENT", "refusal",
                       "guardrail_intervened", "sensitive", "SPII", "ERROR_TOXIC"],
    "other": ["abort", "cancelled", "CANCELLED", "timeout", "pause_turn", "USER_CANCEL", "OTHER",
              "MALFORMED_FUNCTION_CALL", "repetition", "load", "not_finished", "stopped?", "0"],
}  # fmt: skip


@table(("word", "finish"), [(w, f) for f, ws in KNOWN.items() for w in ws])
def test_words_in_any_case(word, finish):
    reply = Reply()
    end(reply, word)
    assert (reply.finish, reply.said) == (finish, word)


@given(st.text() | st.integers() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
def test_no_word_that_stands_on_no_list_is_a_good_end(word):
    reply = Reply()
    with contextlib.suppress(WireError):
        end(reply, word)
    plain = reply.said.lower().replace("-", "_").replace(" ", "_")
    assert reply.finish == FINISHES.get(plain, "other") or plain in _BROKEN
    assert reply.said or reply.finish == "other" or word is None


@pytest.mark.parametrize("word", ["error", "ERROR", "network_error"])
def test_a_server_that_broke_off_is_asked_again(word):
    with pytest.raises(WireError) as caught:
        end(Reply(), word)
    assert caught.value.retry


PLACES = {
    "openai-chat": lambda body, word: body["choices"][0].update(finish_reason=word),
    "openai-completions": lambda body, word: body["choices"][0].update(finish_reason=word),
    "anthropic": lambda body, word: body.update(stop_reason=word),
    "gemini": lambda body, word: body["candidates"][0].update(finishReason=word),
    "openai-responses": lambda body, word: body.update(
        status="incomplete", incomplete_details={"reason": word}
    ),
}


def answered(name, word, question=None, **form):
    body = shape(f"{name}.plain")
    PLACES[name](body, word)
    made = Format(WIRES[name], "m", "a", PRICE, form.pop("most", 4096), **form)
    reply = WIRES[name].read(body)
    return made._answered(question or Question("", "Say."), reply, 100).answer


@table("name", PLACES)
@table("word", ["abort", "cancelled", "pause", "SOMETHING_NEW"])
def test_an_answer_with_an_unknown_end_is_no_whole_one_and_the_word_is_told(name, word):
    answer = answered(name, word)
    assert word in answer.failed
    assert answer.unfinished() == answer.failed
    assert answer.text, "what came is kept beside the reason"


@pytest.mark.parametrize("name", PLACES)
def test_an_answer_that_was_cut_off_says_so_by_every_wire(name):
    for word in ("MAX_TOKENS", "length", "max_output_tokens"):
        answer = answered(name, word)
        assert answer.unfinished() == CUT_OFF
        assert answer.unfinished(keep_cut=True) == ""


@pytest.mark.parametrize("name", ["openai-chat", "openai-completions", "anthropic", "gemini"])
def test_an_end_that_is_not_said_is_whole_unless_all_tokens_were_written(name):
    answer = answered(name, None)
    assert (answer.failed, answer.finish, answer.says_whole) == ("", "", False)
    assert answered(name, None, most=1).finish == "length"


def test_the_first_token_of_a_choice_is_whole_though_it_was_cut_there_and_by_no_other_end():
    choice = Question("", "Good?", ("good", "bad"))
    body = shape("openai-chat.logprobs")
    place = {"token": "good", "logprob": -0.1, "top_logprobs": []}
    form = Format(WIRES["openai-chat"], "m", "a", PRICE, 64, logprobs=5)
    for word, said in (("length", ""), (None, ""), ("odd", "'odd'"), ("SAFETY", "withheld")):
        body["choices"][0] |= {"finish_reason": word, "logprobs": {"content": [place]}}
        reply = WIRES["openai-chat"].read(body)
        failed = form._answered(choice, reply, 100).answer.failed
        assert said in failed
        assert bool(failed) == bool(said)
    body["choices"][0]["finish_reason"] = "odd"
    body["choices"][0] |= {"logprobs": None, "message": {"content": '{"answer": "good"}'}}
    form = Format(WIRES["openai-chat"], "m", "a", PRICE, 64)
    found = form._answered(choice, WIRES["openai-chat"].read(body), 100)
    assert "'odd'" in found.answer.failed
    assert not isinstance(found, Refused)
    assert isinstance(found, Answered)
