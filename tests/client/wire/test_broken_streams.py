"""Streams and bodies as gateways break them: the whole is read, what is none asked for again."""

import json

import pytest
from client.wire.known_shapes import WIRES

from mashbill.client.wire import WireError
from mashbill.client.wire.bodies import whole_body

CHAT, TEXT, RESPONSES = WIRES["openai-chat"], WIRES["openai-completions"], WIRES["openai-responses"]
ANTHROPIC, GEMINI = WIRES["anthropic"], WIRES["gemini"]


def chunk(said="", finish=None, **more):
    return {"choices": [{"index": 0, "delta": {"content": said}, "finish_reason": finish, **more}]}


def stream(*events, end="data: [DONE]\n\n"):
    lines = [e if isinstance(e, str) else f"data: {json.dumps(e)}\n\n" for e in events]
    return ("".join(lines) + end).encode()


def read(body, wire=CHAT):
    return wire.read(
        whole_body(wire, body if isinstance(body, bytes) else json.dumps(body).encode())
    )


ERRORS = [
    'event: error\ndata: {"message":"boom","code":500}\n\n', 'data: {"code":500,"message":"x"}\n\n',
    'data: {"detail":"boom"}\n\n', 'error: {"code":500,"message":"boom"}\n\n',
    'data: {"error":{"message":"boom","code":500}}\n\n',
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_in_a_stream_is_never_the_end_of_an_answer(error):
    for events in ((chunk("The sky"), error), (chunk("The sky"), error, chunk(" is", "stop"))):
        with pytest.raises(WireError, match=r"boom|x"):
            read(stream(*events))
    begin = {"type": "content_block_delta", "index": 0,
             "delta": {"type": "text_delta", "text": "The"}}  # fmt: skip
    with pytest.raises(WireError):
        read(stream(begin, error, {"type": "message_stop"}, end=""), ANTHROPIC)


NOTHING = [
    chunk() | {"choices": [{"index": 0, "delta": [], "finish_reason": "stop"}]},
    {"choices": [{"index": 0, "delta": "", "finish_reason": "stop"}]},
    {"choices": {}, "usage": {"prompt_tokens": 1}}, {"choices": "", "usage": None},
    chunk(said=False), chunk({}), 'data: "ping"\n\n', "data: []\n\n", "data: 1\n\n",
    "data: null\n\n", ": keep-alive\n\n",
    'data: {"choices": [], "created": ' + "9" * 5000 + "}\n\n",
]  # fmt: skip


@pytest.mark.parametrize("event", NOTHING, ids=range(len(NOTHING)))
def test_what_says_nothing_in_a_stream_loses_nothing(event):
    for events in ((chunk("The "), event, chunk("sky.", "stop")),
                   (chunk("The "), chunk("sky.", "stop"), event)):  # fmt: skip
        assert read(stream(*events)).text == "The sky."


WHOLE = {"choices": [{"message": {"content": "The\tsky."}, "finish_reason": "stop"}], "id": "i"}
RAW = json.dumps(WHOLE)
BODIES = {
    "a raw tab": RAW.replace("\\t", "\t").encode(),
    "NUL behind": RAW.encode() + b"\n\0",
    "twice": f"{RAW}\n{RAW}\n".encode(),
    "a comment before": b": OPENROUTER PROCESSING\n\n" + RAW.encode(),
    "an end mark behind": f"{RAW}\ndata: [DONE]\n".encode(),
    "chunks without data:": b"\n".join(
        json.dumps(c).encode() for c in (chunk("The\t"), chunk("sky.", "stop"))
    ),
    "an error that is none": json.dumps(
        {**WHOLE, "error": {"code": 0, "message": "no error"}, "base_resp": {"status_code": "0"}}
    ).encode(),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_whole_answer_is_read_however_it_is_packed(name):
    reply = read(BODIES[name])
    assert (reply.text, reply.finish) == ("The\tsky.", "stop")


def test_what_passes_is_asked_for_again():
    with pytest.raises(WireError) as caught:
        read(RAW.encode().replace(b"sky", b"sk\xfc"))
    assert caught.value.retry
    busy = {
        "code": 50501,
        "message": "System is really busy. Please try again later.",
        "data": None,
    }
    with pytest.raises(WireError) as caught:
        read(busy)
    assert caught.value.retry


SAID_ELSEWHERE = [
    {"finishReason": "MAX_TOKENS"}, {"stop_reason": "length"}, {"done_reason": "length"},
    {"finish_reason": "stop", "native_finish_reason": "MAX_TOKENS"}, {"finish_reason": "LENGTH"},
    {"finish_reason": "FinishReason.MAX_TOKENS"}, {"finish_reason": {"type": "length"}},
]  # fmt: skip


@pytest.mark.parametrize("place", SAID_ELSEWHERE, ids=str)
def test_the_word_for_an_end_is_found_where_gateways_leave_it(place):
    whole = {"choices": [{"message": {"content": "The sky is bl"}, **place}]}
    assert read(whole).finish == "length"
    streamed = {"choices": [{"index": 0, "delta": {"content": "The sky is bl"}, **place}]}
    assert read(stream(streamed)).finish == "length"
    assert read(stream(streamed, end="")).finish == "length"


@pytest.mark.parametrize("word", [None, "", "null", "FINISH_REASON_UNSPECIFIED"])
def test_an_end_that_is_not_said_is_none(word):
    reply = read({"choices": [{"message": {"content": "x"}, "finish_reason": word}]})
    assert (reply.finish, reply.said) == ("other", "")
    with pytest.raises(WireError) as caught:
        read(stream(chunk("x", word), end=""))
    assert caught.value.retry


def test_of_two_words_for_an_end_the_worse_one_counts():
    for order in (("length", "stop"), ("stop", "length"), ("content_filter", "length", "stop")):
        reply = read(stream(chunk("The sky"), *(chunk("", word) for word in order)))
        assert reply.finish == ("content_filter" if "content_filter" in order else "length")


def test_responses_in_pieces_and_in_other_words():
    message = {"type": "message", "content": [{"type": "output_text", "text": "Rye."}]}
    done = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    pieces = [{"type": "response.output_text.delta", "delta": part} for part in ("Ry", "e.")]
    item = {"type": "response.output_item.done", "item": message}
    for events in ((*pieces, done), (*pieces, item, done),
                   (*pieces, {**done, "type": "response.done"})):  # fmt: skip
        assert read(stream(*events, end=""), RESPONSES).text == "Rye."
    for body in (
        {"status": "COMPLETED", "output": [message]},
        {"status": "completed", "output": [{"type": "message", "content": "Rye."}]},
        {"status": "completed", "output": [], "output_text": "Rye."},
    ):
        assert (read(body, RESPONSES).text, read(body, RESPONSES).finish) == ("Rye.", "stop")
    cut = {"output": [message], "incomplete_details": {"reason": "max_output_tokens"}}
    for status in (None, "completed", "incomplete", {"type": "incomplete"}):
        assert read({**cut, "status": status}, RESPONSES).finish == "length"
    half = {"status": "completed", "output": [{**message, "status": "incomplete"}]}
    assert read(half, RESPONSES).finish != "stop"


def test_completions_that_are_streamed_as_a_chat_or_count_their_chunks():
    assert read(stream(chunk("Ry"), chunk("e.", "stop")), TEXT).text == "Rye."
    counted = [{"choices": [{"index": i, "text": said, "finish_reason": end}]}
               for i, (said, end) in enumerate([("Ry", None), ("e.", "stop")], 1)]  # fmt: skip
    assert read(stream(*counted), TEXT).text == "Rye."


def test_calls_in_older_forms_and_in_pieces():
    older = [{"choices": [{"index": 0, "delta": {"function_call": part}}]}
             for part in ({"name": "clock", "arguments": "{"}, {"arguments": "}"})]  # fmt: skip
    pieces = [{"choices": [{"index": 0, "delta": {"tool_calls": part}}]} for part in (
        [{"index": 0, "id": "a", "function": {"name": "clo"}}],
        [{"index": 0, "function": {"name": "ck", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": "{}"}}])]  # fmt: skip
    by_number = [{"choices": [{"index": 0, "delta": {"tool_calls": {"0": {
        "id": "a", "function": {"name": "clock", "arguments": "{}"}}}}}]}]  # fmt: skip
    for events in (older, pieces, by_number):
        (call,) = read(stream(*events, chunk("", "tool_calls"))).tool_calls
        assert (call.name, call.arguments) == ("clock", "{}")


def test_blocks_and_parts_in_other_forms():
    for content in ("Rye.", {"type": "text", "text": "Rye."}, ["Rye."], [{"text": "Rye."}]):
        assert read({"content": content, "stop_reason": "end_turn"}, ANTHROPIC).text == "Rye."
    delta = {"type": "content_block_delta", "index": 0,
             "delta": {"type": "text_delta", "text": "Rye."}}  # fmt: skip
    ends = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            {"type": "message_delta", "delta": []}]  # fmt: skip
    assert read(stream(delta, *ends, end='data: "[DONE]"\n\n'), ANTHROPIC).text == "Rye."
    for content in ("Rye.", {"parts": {"text": "Rye."}}, {"parts": [{"text": "Rye."}]}):
        body = {"candidates": [{"content": content, "finishReason": "STOP"}]}
        assert read(body, GEMINI).text == "Rye."
        last = {"candidates": [{"content": [], "finishReason": "STOP"}]}
        first = {"candidates": [{"content": content}]}
        assert read(stream(first, last), GEMINI).text == "Rye."


def test_log_probabilities_in_other_lists():
    lists = {"tokens": ["<s>", "pos"], "token_logprobs": [None, -0.1], "top_logprobs": None}
    place = [{"token": "pos", "logprob": -0.1, "top_logprobs": []}]
    for logprobs in (lists, place, {"content": place}):
        whole = {"choices": [{"message": {"content": "pos"}, "logprobs": logprobs}]}
        assert read(whole).logprobs[0][:2] == ("pos", -0.1)
        assert read(stream(chunk("pos", "length", logprobs=logprobs))).logprobs[0][:2] == (
            "pos",
            -0.1,
        )
