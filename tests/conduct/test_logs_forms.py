"""Logs of LiteLLM and of OpenTelemetry: what their rows say."""

import copy
import json

import pytest

from mashbill.conduct.events import Hashes
from mashbill.conduct.logs import litellm, otel
from mashbill.conduct.logs.lines import NoRowError
from mashbill.conduct.logs.rows import Notes

HASHES = Hashes(b"k" * 32)
BLOB, OTHER = "s" * 60, "t" * 60

PAYLOAD = {
    "id": "chatcmpl-1",
    "call_type": "acompletion",
    "status": "success",
    "startTime": 1_782_907_200.25,
    "endTime": 1_782_907_203.5,
    "model": "openai/gpt-x",
    "model_group": "gpt-x",
    "prompt_tokens": 11,
    "completion_tokens": 22,
    "total_tokens": 33,
    "end_user": "customer-9",
    "requester_ip_address": "10.0.0.1",
    "user_agent": "openai-python/2.1",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Name a river."},
        {"role": "assistant", "content": "Rhine",
         "thinking_blocks": [{"type": "thinking", "thinking": "", "signature": BLOB}]},
        {"role": "user", "content": "And another."},
    ],
    "response": {"choices": [{"message": {"role": "assistant", "content": "Elbe",
        "thinking_blocks": [{"type": "redacted_thinking", "data": OTHER}]}}]},
    "model_parameters": {"reasoning_effort": "low"},
    "hidden_params": {"additional_headers": {"llm_provider-retry-after": "3"}},
    "error_information": {"error_code": "", "error_class": ""},
    "metadata": {
        "user_api_key_hash": "88dc28", "user_api_key_user_id": "user-1",
        "user_api_key_team_id": "team-1", "user_api_key_org_id": None,
        "user_api_key_end_user_id": None, "user_agent": None,
        "requester_custom_headers": {"X-Mashbill-Statement": "cd" * 32},
    },
}  # fmt: skip


def payload(**said):
    metadata = {**PAYLOAD["metadata"], **said.pop("metadata", {})}
    return {**copy.deepcopy(PAYLOAD), "metadata": metadata, **said}


def of_litellm(by="auto", **said):
    return litellm.read(payload(**said), by, Notes())


def test_a_payload_of_litellm_is_read():
    seen = of_litellm()
    assert (seen.id, seen.time, seen.account) == ("chatcmpl-1", 1_782_907_200_250_000, "user-1")
    assert (seen.key, seen.organisation, seen.model) == ("88dc28", "team-1", "gpt-x")
    assert (seen.endpoint, seen.status, seen.retry_after) == ("chat", 200, 3.0)
    assert (seen.tokens_in, seen.tokens_out) == (11, 22)
    assert (seen.address, seen.agent) == ("10.0.0.1", "openai-python/2.1")
    assert (seen.system, seen.text) == ("Be brief.", "And another.")
    assert (seen.blobs_in, seen.blobs_out) == ([BLOB], [OTHER])
    assert seen.reasoning is True
    assert seen.declared == bytes.fromhex("cd" * 32)


@pytest.mark.parametrize(
    ("by", "metadata", "account", "organisation"),
    [
        ("auto", {}, "user-1", "team-1"),
        ("auto", {"user_api_key_user_id": None}, "team-1", None),
        ("auto", {"user_api_key_user_id": "default_user_id"}, "team-1", None),
        ("auto", {"user_api_key_user_id": "", "user_api_key_team_id": None}, "88dc28", None),
        ("user", {"user_api_key_org_id": "org"}, "user-1", "org"),
        ("team", {"user_api_key_org_id": "org"}, "team-1", "org"),
        ("key", {}, "88dc28", "team-1"),
        ("end_user", {}, "customer-9", "team-1"),
        ("end_user", {"user_api_key_end_user_id": "c-8"}, "c-8", "team-1"),
        ("organisation", {"user_api_key_org_id": "org"}, "org", "org"),
    ],
)
def test_whom_litellm_calls_the_account_is_chosen(by, metadata, account, organisation):
    seen = of_litellm(by, metadata=metadata)
    assert (seen.account, seen.organisation) == (account, organisation)


def test_a_payload_without_the_chosen_account_is_refused():
    with pytest.raises(NoRowError, match=r"names no account \(user_api_key_org_id\)"):
        of_litellm("organisation")


@pytest.mark.parametrize(
    ("call_type", "endpoint"),
    [("completion", "chat"), ("acompletion", "chat"), ("atext_completion", "completions"),
     ("aresponses", "responses"), ("responses", "responses"), ("anthropic_messages", "messages"),
     ("aanthropic_messages", "messages"), ("aembedding", "embeddings"), ("embedding", "embeddings"),
     ("arerank", "other"), ("_arealtime", "other"), ("", None), (None, None), ([], None)],
)  # fmt: skip
def test_the_endpoint_follows_the_type_of_call(call_type, endpoint):
    assert of_litellm(call_type=call_type).endpoint == endpoint


@pytest.mark.parametrize(
    ("about", "status"),
    [({"error_code": "429", "error_class": "RateLimitError"}, 429),
     ({"error_code": "", "error_class": "RateLimitError"}, 429),
     ({"error_code": "None", "error_class": "Timeout"}, 0), (None, 0), ([], 0), ({}, 0),
     ({"error_code": "499"}, 499)],
)  # fmt: skip
def test_a_failure_has_its_status(about, status):
    assert of_litellm(status="failure", error_information=about).status == status


def test_redacted_messages_are_absent():
    seen = of_litellm(messages=[{"role": "user", "content": "redacted-by-litellm"}])
    assert (seen.system, seen.text, seen.blobs_in, seen.blobs_out) == ("", "", None, None)
    seen = of_litellm(messages="redacted-by-litellm", response=None)
    assert (seen.system, seen.text, seen.blobs_in, seen.blobs_out) == ("", "", None, None)


def test_messages_of_other_calls_are_read():
    assert of_litellm(messages="Name a river.").text == "Name a river."
    assert of_litellm(messages={"role": "user", "content": "x"}).text == "x"
    asked = {"thinking": {"type": "disabled"}}
    assert of_litellm(model_parameters=asked).reasoning is False
    assert of_litellm(model_parameters=None).reasoning is None


def attributes(**said):
    def value(each):
        if isinstance(each, bool):
            return {"boolValue": each}
        if isinstance(each, int):
            return {"intValue": str(each)}
        if isinstance(each, list):
            return {"arrayValue": {"values": [value(part) for part in each]}}
        if isinstance(each, dict):
            pairs = [{"key": key, "value": value(part)} for key, part in each.items()]
            return {"kvlistValue": {"values": pairs}}
        return {"stringValue": each}

    return [{"key": key, "value": value(each)} for key, each in said.items()]


MESSAGES = [
    {"role": "user", "parts": [{"type": "text", "content": "Name a river."}]},
    {"role": "assistant",
     "parts": [{"type": "reasoning", "content": "", "encrypted_content": BLOB}]},
    {"role": "user", "parts": [{"type": "text", "content": "And another."}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "response": "x"}]},
]  # fmt: skip
CALL = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-x", "gen_ai.usage.input_tokens": 11,
    "gen_ai.usage.output_tokens": 22, "user.id": "user-1", "client.address": "10.0.0.1",
    "user_agent.original": "openai-python/2.1", "gen_ai.request.reasoning.level": "low",
}  # fmt: skip


def span(said, **more):
    return {
        "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174",
        "name": "chat gpt-x", "kind": 3, "startTimeUnixNano": "1782907200250000123",
        "endTimeUnixNano": "1782907203500000000", "attributes": attributes(**said),
        "status": {}, **more,
    }  # fmt: skip


def request(*spans, resource=None):
    about = {"attributes": attributes(**(resource or {}))}
    return {"resourceSpans": [{"resource": about, "scopeSpans": [{"spans": list(spans)}]}]}


def of_otel(*spans, by="", notes=None, resource=None):
    line = json.loads(json.dumps(request(*spans, resource=resource)))
    return list(otel.read(line, by, notes or Notes()))


def test_a_span_of_a_call_is_read():
    said = {
        **CALL,
        "gen_ai.input.messages": MESSAGES,
        "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "thinking", "signature": OTHER}]}
        ],
    }
    (seen,) = of_otel(span(said))
    assert seen.id == "5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174"
    assert (seen.time, seen.account) == (1_782_907_200_250_000, "user-1")
    assert (seen.model, seen.endpoint, seen.status) == ("gpt-x", "chat", 200)
    assert (seen.tokens_in, seen.tokens_out, seen.reasoning) == (11, 22, True)
    assert (seen.address, seen.agent) == ("10.0.0.1", "openai-python/2.1")
    assert (seen.system, seen.text) == ("Be brief.", "And another.")
    assert (seen.blobs_in, seen.blobs_out) == ([BLOB], [OTHER])


@pytest.mark.parametrize(
    ("said", "events"),
    [
        ({"gen_ai.input.messages": json.dumps(MESSAGES)}, []),
        ({}, [{"name": "gen_ai.client.inference.operation.details",
               "attributes": attributes(**{"gen_ai.input.messages": MESSAGES})}]),
        ({"gen_ai.prompt": json.dumps([{"role": "user", "content": "And another."}])}, []),
        ({"gen_ai.prompt": "And another."}, []),
        ({}, [{"name": "gen_ai.content.prompt",
               "attributes": attributes(**{"gen_ai.prompt": "And another."})}]),
        ({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Name a river.",
          "gen_ai.prompt.10.role": "user", "gen_ai.prompt.10.content": "And another.",
          "gen_ai.prompt.2.role": "user", "gen_ai.prompt.2.content": "No."}, []),
    ],
)  # fmt: skip
def test_messages_are_found_wherever_conventions_had_them(said, events):
    (seen,) = of_otel(span({**CALL, **said}, events=events))
    assert seen.text == "And another."


def test_without_contents_there_is_no_text_and_the_rest_is_read():
    (seen,) = of_otel(span(CALL))
    assert (seen.system, seen.text, seen.blobs_in, seen.blobs_out) == ("", "", None, None)


def test_former_names_are_read():
    old = {
        "gen_ai.system": "openai", "gen_ai.request.model": "gpt-x", "enduser.id": "user-2",
        "gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 6,
        "http.status_code": 429,
    }  # fmt: skip
    (seen,) = of_otel(span(old))
    assert (seen.account, seen.tokens_in, seen.tokens_out) == ("user-2", 5, 6)
    assert (seen.status, seen.endpoint) == (429, None)


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [({"error.type": "429"}, {"code": 2}, 429),
     ({"error.type": "openai.RateLimitError"}, {"code": 2}, 429),
     ({"error.type": "timeout"}, {"code": 2}, 0), ({}, {"code": 2}, 0), ({}, {"code": 1}, 200),
     ({}, None, 200), ({"http.response.status_code": 503}, {"code": 2}, 503)],
)  # fmt: skip
def test_a_span_has_its_status(said, status, code):
    (seen,) = of_otel(span({**CALL, **said}, status=status))
    assert seen.status == code


def test_the_server_span_of_the_trace_and_the_resource_tell_what_the_call_does_not():
    bare = {key: CALL[key] for key in ("gen_ai.operation.name", "gen_ai.request.model")}
    server = {
        "client.address": "10.0.0.7", "enduser.id": "user-3", "http.response.status_code": 429,
        "http.response.header.retry-after": ["4"], "user_agent.original": "curl",
    }  # fmt: skip
    other = span({"enduser.id": "user-4"}, kind=2, traceId="00" * 16)
    notes = Notes()
    (seen,) = of_otel(span(bare), span(server, kind=2), other, notes=notes)
    assert (seen.account, seen.address, seen.agent) == ("user-3", "10.0.0.7", "curl")
    assert (seen.status, seen.retry_after) == (429, 4.0)
    assert notes.passed == 2
    (seen,) = of_otel(span(bare), resource={"tenant": "t-1"}, by="tenant")
    assert seen.account == "t-1"


def test_spans_of_agents_and_tools_are_passed_over():
    notes = Notes()
    names = ("invoke_agent", "execute_tool", "create_agent", "retrieval", "invoke_workflow")
    spans = [span({**CALL, "gen_ai.operation.name": name}) for name in names]
    assert of_otel(*spans, span({"http.request.method": "GET"}), notes=notes) == []
    assert notes.passed == 6


def test_a_span_that_says_no_account_is_refused_and_the_others_are_read():
    bare = {key: value for key, value in CALL.items() if key != "user.id"}
    first, second, third = of_otel(span(bare), span(CALL), span(CALL, spanId=None))
    assert "no attribute names its account (user.id, enduser.id" in str(first)
    assert second.account == "user-1"
    assert "spanId is not there" in str(third)


def test_requests_of_logs_are_passed_over_and_others_refused():
    notes = Notes()
    assert list(otel.read({"resourceLogs": []}, "", notes)) == []
    assert list(otel.read({"resourceSpans": []}, "", notes)) == []
    assert notes.passed == 2
    with pytest.raises(NoRowError, match="resourceSpans"):
        list(otel.read({"spans": []}, "", notes))
