"""Which refusals say that a service lacks something, and which do not."""

import dataclasses
import json

import pytest
from tests_chat import asking, said
from tests_tables import table

from mashbill.teachers import cures
from mashbill.teachers.cures import PARTS, cure_of
from mashbill.teachers.refusals import FORMS, LIMITS

TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is tin?"}]
ASK = asking(
    "m", TURNS, max_tokens=64,
    settings={"temperature": 0.0, "top_p": 0.9, "top_k": 5, "seed": 1, "stop": ["."],
              "presence_penalty": 0.1, "frequency_penalty": 0.1},
    schema={"type": "object"}, tools=[{"name": "look"}], top_logprobs=20, reasoning="low",
    extra={"chat_template_kwargs": {}, "min_p": 0.1},
)  # fmt: skip
BARE = asking("m", TURNS[1:])
KNOWN = [(form, says) for form in FORMS for says in form.says]


def bodies(message):
    """A message as services wrap it."""
    return [
        message,
        {"error": message},
        {"error": {"message": message, "type": "invalid_request_error", "code": 400}},
        {"object": "error", "message": message, "code": 400},
        {"detail": message},
        [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}],
        {"error": {"message": "Provider returned error", "code": 400, "metadata": {
            "raw": json.dumps({"error": {"message": message}}), "provider_name": "x"}}},
        {"error": {"code": 500, "message": "\n---\nWhile executing CallExpression at line 1 in "
                   f"source:\n...{{{{ raise_exception('{message}') }}}}...\nError: Jinja "
                   f"Exception: {message}", "type": "server_error"}},
    ]  # fmt: skip


@table(("form", "says"), KNOWN, ids=[says[:50] for _, says in KNOWN])
def test_a_recorded_refusal_is_known_in_any_wrapping_and_names_the_teacher(form, says):
    found = {cure_of(ASK, body, "mine") for body in bodies(says)}
    assert len(found) == 1, found
    (cure,) = found
    assert cure
    wanted = [part.cure for part in PARTS if not form.part or part.name == form.part]
    assert any(cure.startswith(each.split("{")[0]) for each in wanted)
    assert "[teachers.mine]" in cure or "tools" in cure
    assert not cure_of(BARE, says, "mine"), "it is about what this request does not have"
    assert not cure_of(ASK, says, "mine", cures.parts_of(ASK)), "the like was answered before"


@pytest.mark.parametrize(("says", "who"), LIMITS)
def test_a_limit_of_log_probabilities_is_read(says, who):
    assert who
    limit = 10 if "between" in says else 5
    for body in bodies(says):
        assert cure_of(ASK, body, "t") == f"set top_logprobs = {limit} in [teachers.t]"
    fewer = asking("m", TURNS, top_logprobs=limit)
    assert not cure_of(fewer, says, "t")


@table(
    ("says", "key"),
    [
        ("System messages are not supported by this model", "system"),
        ("This model does not support system prompts", "system"),
        (("Error rendering prompt with jinja template: 'Conversation roles must alternate "
         "user/assistant/user/assistant/...'"), "system"),
        (("Template error: invalid operation: Conversation roles must alternate "
         "user/assistant/user/assistant/... (in <string>:1)"), "system"),
        ("'json_schema' is not supported", "structured"),
        ("structured outputs are not supported for this model", "structured"),
        ("Model grok-3 does not support parameter logprobs", "logprobs"),
        ("Unknown parameter: 'seed'.", "seed"),
        ("tool use is not supported", "tools"),
        ("The `stop` is not supported", "stop"),
        ("Unrecognized request argument supplied: chat_template_kwargs", "chat_template_kwargs"),
        ("Unsupported parameter: 'reasoning_effort' is not supported with this model.",
         "reasoning"),
        ('Invalid JSON payload received. Unknown name "topK": Cannot find field.', "top_k"),
        ("an error with status 200: This model does not support logprobs", "logprobs = false"),
        ("role `system` is not supported by this model", "system"),
        ("messages[0].role: system is invalid", "system"),
        ("unknown variant system, expected user or assistant at line 1", "system"),
        ("System instructions are not permitted with this model", "system"),
        ("Invalid value: 'system'. Supported values are: 'user', 'assistant'.", "system"),
        ("This model cannot accept system prompts", "system"),
        ("unknown variant `json_schema`, expected json_object", "structured"),
        ("Only 'text' and 'json_object' are supported for response_format", "structured"),
        ("'response_format.type' must be 'text' or 'json_object'", "structured"),
        ("unsupported response format 'json_schema'", "structured"),
        ("structured outputs are disabled", "structured"),
        ("response_format.type `json_schema` is unavailable now at line 1 column 9", "structured"),
        ("temperature has been deprecated for this model", "temperature"),
        ("temperature must be 1.0 with reasoning", "temperature"),
        ("invalid top_p: only 0.95 is allowed for this model", "top_p"),
        ("Log probabilities are not available on this tier", "logprobs = false"),
        ("top_logprobs is disabled", "logprobs = false"),
        ("top_logprobs must be in [0, 0]", "logprobs = false"),
        ("logprobs must be in [0, 5]", "top_logprobs = 5"),
        ("logprobs must be at most 10", "top_logprobs = 10"),
        ("The model is not capable of calling functions", "tools"),
        ("function calling is disabled for this deployment", "tools"),
    ],
)  # fmt: skip
def test_others_of_the_kind_are_known_too(says, key):
    assert key in cure_of(ASK, {"error": {"message": says}}, "t")


KEYS = {
    "logprobs": "set logprobs = false", "top_logprobs": "set logprobs = false",
    "response_format": 'structured = "prompt"', "tools": "tools", "temperature": "temperature",
    "top_p": "top_p", "seed": "seed", "stop": "stop", "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty", "reasoning_effort": "reasoning",
    "max_tokens": "max_completion_tokens", "min_p": "min_p from extra",
}  # fmt: skip
SAYS = [
    "{}: Extra inputs are not permitted", 'json: unknown field "{}"', "unknown field `{}`",
    "Parameter '{}' not allowed", "Parameter `{}` is not allowed.",
    "the following parameters are not supported: {}", "Unsupported parameter(s): `{}`",
    "the following parameters are not supported: n, {}, user", "Unsupported parameter(s): n, {}",
    "Unrecognized request argument supplied: {}", "Unrecognized request arguments supplied: n, {}",
    "got an unexpected keyword argument '{}'", "{} is not supported", "{} is disabled",
    "This model does not accept {}", "{}: unsupported parameter",
]  # fmt: skip


@table("key", KEYS)
@table("says", SAYS)
def test_any_key_of_a_request_in_any_of_the_ways_to_say_that_there_is_none(says, key):
    for body in bodies(says.format(key)):
        assert KEYS[key] in cure_of(ASK, body, "t")
        assert not cure_of(BARE, body, "t")
        other = dataclasses.replace(BARE, extra={f"{key}_more": 1, f"own.{key}": 1})
        assert not cure_of(other, body, "t")
    assert not cure_of(ASK, says.format("user"), "t"), "what it does not have"


def test_a_service_that_streams_nothing_is_told_apart():
    for says in ("stream_options: Extra inputs are not permitted", "Streaming is not supported"):
        found = cure_of(dataclasses.replace(BARE, stream=True), says, "t")
        assert found == "set stream = false in [teachers.t]"
        assert not cure_of(BARE, says, "t")


def test_pydantic_s_errors_are_read_whatever_the_order_of_their_keys():
    one = {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not "
           "permitted", "input": 1}  # fmt: skip
    for error in (one, dict(reversed(one.items()))):
        assert "remove seed" in cure_of(ASK, {"detail": [error]}, "t")


@table(
    "body",
    [
        "",
        "no",
        None,
        [],
        {"error": {}},
        {"error": {"message": "The response was filtered due to the prompt triggering Azure "
                   "OpenAI's content management policy."}},
        {"error": {"message": "Your request was rejected as a result of our safety system."}},
        {"error": {"message": "This model's maximum context length is 4096 tokens. However, you "
                   "requested 5000 tokens (4000 in the messages, 1000 in the completion). Please "
                   "reduce the length of the messages or completion."}},
        {"error": {"message": "max_tokens is too large: 100000. This model supports at most 16384 "
                   "completion tokens, whereas you provided 100000."}},
        {"error": {"message": "'max_tokens' must be at least 1, got -3."}},
        {"error": {"message": "temperature must be between 0 and 2"}},
        {"error": {"message": "messages: text content blocks must be non-empty"}},
        {"error": {"message": "Image input is not supported by this model"}},
        {"error": {"message": "This language is not supported"}},
        {"error": {"message": "The model `m` does not exist or you do not have access to it."}},
        {"error": {"message": "Rate limit reached for requests"}},
        {"error": {"message": "Failed to generate JSON. Please adjust your prompt.",
                   "code": "json_validate_failed"}},
        {"error": {"message": "Tool call validation failed: parameters for tool look did not match "
                   "schema"}},
        {"error": {"message": "Invalid 'messages[1].content': string too long."}},
        {"error": {"message": "Unsupported value: 'messages[1].content' holds characters"}},
        {"error": {"message": "The system is not available, try again later"}},
        {"error": {"message": "The tool's server is not available"}},
        {"detail": [{"type": "string_type", "loc": ["body", "messages", 0, "content"],
                     "msg": "Input should be a valid string", "input": None}]},
        {"error": {"message": "Requested sample logprobs of 20"}},
        {"error": {"message": "System messages are not allowed to be empty"}},
        {"error": {"message": "role 'system' is not allowed after a user's turn"}},
        {"error": {"message": "This system prompt is not allowed by our usage policies"}},
        {"error": {"message": "The system message is not permitted: content policy violation"}},
        {"error": {"message": "This request is not allowed by our safety system"}},
        {"error": {"message": "Content is not allowed: violence"}},
        {"error": {"message": "Your prompt was flagged by moderation; the model stopped"}},
        {"error": {"message": "temperature must be 1 or less"}},
        {"error": {"message": "temperature must be 1-2"}},
        {"error": {"message": "temperature must be 1.5"}},
        {"error": {"message": "'response_format.type' must be 'json_schema' or 'text'"}},
        {"error": {"message": "Invalid value: 'user2'. Supported values are: 'user'."}},
        {"error": {"message": "unknown variant `tool_reference`, expected `text`"}},
        {"error": {"message": "unknown field `colour`, expected `seed` or `stop`"}},
        {"error": {"message": "Input tag 'wizard' found using 'role' does not match any of the "
                   "expected tags: 'system', 'user', 'assistant'"}},
        {"error": {"message": "messages.1.content: Extra inputs are not permitted"}},
        {"error": {"message": "tools.0.custom.strict: Extra inputs are not permitted"}},
        {"error": {"message": "role: Input should be 'user' or 'assistant' or 'system'"}},
        {"error": {"message": "top_logprobs must be in [0, 20]"}},
        {"error": {"message": "If logprobs is set, n must be at most 1"}},
        {"error": {"message": "The input is too long: 9000 tokens, max is 4096"}},
        {"error": {"message": "Prompt has 9000 tokens and the context length is 8192; streaming or "
                   "not, it is not supported"}},
        {"error": {"message": "Tool look is not allowed to be called twice"}},
        {"error": {"message": "The deployment is disabled"}},
        {"error": {"message": "The model `m` is deprecated"}},
    ],
)  # fmt: skip
def test_what_another_request_may_not_meet_is_none(body):
    assert not cure_of(ASK, body, "t")


@table("says", [says for _, says in KNOWN] + [says for says, _ in LIMITS])
def test_a_row_that_quotes_an_error_and_is_echoed_is_none(says):
    turns = [TURNS[0], {"role": "user", "content": f"Explain: {says}"}]
    quoting = dataclasses.replace(ASK, turns=said(turns))
    assert not cure_of(quoting, f"bad request: Explain: {says}", "t")
    echo = {"detail": [{"type": "too_long", "loc": ["body", "messages"], "msg": "Too long",
                        "input": {"content": says}}]}  # fmt: skip
    assert not cure_of(ASK, echo, "t")


@pytest.mark.parametrize(
    "roles",
    [
        ["user", "user"],
        ["assistant", "user"],
        ["user", "assistant", "tool"],
        ["user", "assistant"],
    ],
)
def test_turns_that_do_not_alternate_by_themselves_are_not_blamed_on_the_system_turn(roles):
    says = "Conversation roles must alternate user/assistant/user/assistant/..."
    turns = [{"role": role, "content": "x"} for role in ("system", *roles)]
    assert not cure_of(asking("m", turns), says, "t")
    assert cure_of(asking("m", [*TURNS, *TURNS[:0]]), says, "t")
    talk = [*TURNS, {"role": "assistant", "content": "A"}, {"role": "user", "content": "B"}]
    assert cure_of(asking("m", talk), says, "t")


def test_an_error_without_end_is_read_in_bounds():
    deep: object = "System role not supported"
    for _ in range(10_000):
        deep = [deep]
    assert not cure_of(ASK, deep, "t")
    assert cure_of(ASK, {"error": "System role not supported", "more": deep}, "t")
    assert not cure_of(ASK, "x" * 10_000_000 + "System role not supported", "t")
