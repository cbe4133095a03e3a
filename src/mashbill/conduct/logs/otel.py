"""Spans of model calls as OpenTelemetry's collector writes them: an export request a line.

A line is an ``ExportTraceServiceRequest`` in OTLP's JSON (OTLP specification, *JSON Protobuf
Encoding*; opentelemetry-proto 1.10: keys in lowerCamelCase, trace and span ids in hexadecimal
digits, 64-bit numbers as texts, kinds and codes of status as numbers), which the file exporter of
the collector writes with ``format: json``. Requests of logs and metrics are passed over, counted.

A row is a span with ``gen_ai.operation.name`` of a call to a model, or, of conventions before 1.28,
one with ``gen_ai.request.model`` and none. Spans of agents, tools, retrieval and workflows are not:
the calls that they make have spans of their own. Attributes are read as the conventions name them
now (the repository ``semantic-conventions-genai``, November 2026), as 1.37 did, and as 1.36 and
before did, which instrumentations still write by default:

* ``gen_ai.request.model``; ``gen_ai.usage.input_tokens`` and ``output_tokens``, formerly
  ``prompt_tokens`` and ``completion_tokens``; ``gen_ai.request.reasoning.level``
* messages: ``gen_ai.input.messages``, ``gen_ai.output.messages``,
  ``gen_ai.system_instructions``, structured or as a JSON text, on the span or on its event
  ``gen_ai.client.inference.operation.details``; formerly ``gen_ai.prompt`` (on the span, or on the
  event ``gen_ai.content.prompt``), and as OpenLLMetry writes it ``gen_ai.prompt.N.role`` and
  ``.content``; or none at all, which is the default of all of them
* ``http.response.status_code``, formerly ``http.status_code``; where there is none, 200 for a span
  without an error, else what ``error.type`` says, else 0;
  ``http.response.header.retry-after``
* ``client.address``, ``user_agent.original``; ``user.id``, ``enduser.id``, ``enduser.pseudo.id``

What a span does not say itself is looked for in the server span of the same trace, where that is in
the same line, and in the attributes of the resource.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mashbill.conduct.logs import blobs, fields, turns
from mashbill.conduct.logs.lines import NoRowError
from mashbill.conduct.logs.native import written_messages
from mashbill.conduct.logs.rows import Notes, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNTS = ("user.id", "enduser.id", "enduser.pseudo.id")
"""attributes that name the account, where no option does; the first that is there counts"""
CALLS = {
    "chat": "chat",
    "text_completion": "completions",
    "generate_content": "other",
    "embeddings": "embeddings",
}
"""``gen_ai.operation.name`` of a call to a model -> endpoint"""
_DETAILS = "gen_ai.client.inference.operation.details"
_PROMPT = "gen_ai.content.prompt"
_INDEXED = ("gen_ai.prompt.", "gen_ai.completion.")
_SERVER = (2, "SPAN_KIND_SERVER")
_ERROR = (2, "STATUS_CODE_ERROR")
_OK, _FAILED = 200, 0
_ATTRIBUTES = 4_000  # of a span
_WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)
_DEEPEST = 32  # values in one another

Attributes = dict[str, Any]


def read(request: dict[str, Any], account_by: str, notes: Notes) -> Iterator[Seen | NoRowError]:
    """Yield the calls of a line, each read or refused.

    Args:
        request: the object of a line.
        account_by: the attribute that names the account; any of :data:`ACCOUNTS` if empty.
        notes: where it is counted what is passed over.

    Raises:
        NoRowError: if it is no export request.
    """
    if "resourceSpans" not in request:
        if "resourceLogs" in request or "resourceMetrics" in request:
            notes.passed += 1
            return
        msg = "has no resourceSpans, as an ExportTraceServiceRequest has"
        raise NoRowError(msg)
    spans = list(_spans(request))
    if not spans:
        notes.passed += 1
    servers = {
        span["traceId"]: held
        for span, held, _ in spans
        if span.get("kind") in _SERVER and isinstance(span.get("traceId"), str)
    }
    for span, held, resource in spans:
        operation = held.get("gen_ai.operation.name")
        old = operation is None and "gen_ai.request.model" in held
        if not old and not (isinstance(operation, str) and operation in CALLS):
            notes.passed += 1
            continue
        trace = span.get("traceId")
        server = servers.get(trace, {}) if isinstance(trace, str) else {}
        try:
            yield _call(span, held, {**resource, **server, **held}, account_by, notes)
        except NoRowError as problem:
            yield problem


def _spans(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Attributes, Attributes]]:
    """Yield each span with its attributes and those of its resource."""
    for group in _objects(request.get("resourceSpans")):
        about = group.get("resource")
        resource = _attributes(about) if isinstance(about, dict) else {}
        for scope in _objects(group.get("scopeSpans")):
            for span in _objects(scope.get("spans")):
                yield span, _attributes(span), resource


def _call(
    span: dict[str, Any], held: Attributes, wide: Attributes, account_by: str, notes: Notes
) -> Seen:
    """Return a call.

    Args:
        span: the span.
        held: its own attributes.
        wide: those with what the server span and the resource say beside them.
        account_by: as above.
        notes: as above.
    """
    at = fields.moment(span.get("startTimeUnixNano"))
    said = _said(span, held, notes)
    system, text = turns.asked(said)
    operation = held.get("gen_ai.operation.name")
    level = held.get("gen_ai.request.reasoning.level")
    output = said.get("output")
    optional = fields.optional
    return Seen(
        id=f"{fields.name(span, 'traceId')}-{fields.name(span, 'spanId')}".lower(),
        time=at,
        account=_account(wide, account_by),
        model=optional(held, "gen_ai.request.model", notes),
        endpoint=CALLS[operation] if operation else None,
        status=_status(span, held, wide, notes),
        retry_after=fields.wait(wide.get("http.response.header.retry-after"), at, notes),
        tokens_in=_tokens(held, ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"), notes),
        tokens_out=_tokens(
            held, ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"), notes
        ),
        address=optional(wide, "client.address", notes),
        agent=optional(wide, "user_agent.original", notes),
        system=system,
        text=text,
        blobs_in=blobs.presented(said["messages"])
        if isinstance(said.get("messages"), list)
        else None,
        blobs_out=blobs.brought({"output": output}) if isinstance(output, list) else None,
        reasoning=turns.asks_reasoning({"reasoning_effort": level}) if level is not None else None,
    )


def _account(wide: Attributes, account_by: str) -> str:
    for key in (account_by,) if account_by else ACCOUNTS:
        if wide.get(key) not in (None, ""):
            return fields.name(wide, key)
    named = account_by or ", ".join(ACCOUNTS)
    msg = f"no attribute names its account ({named}); name the one that does as account_by"
    raise NoRowError(msg)


def _status(span: dict[str, Any], held: Attributes, wide: Attributes, notes: Notes) -> int | None:
    for attributes in (held, wide):
        for key in ("http.response.status_code", "http.status_code"):
            if attributes.get(key) is not None:
                return fields.status(attributes[key], notes)
    kind = held.get("error.type")
    if fields.is_error_name(kind):
        return fields.status(kind, notes)
    status = span.get("status")
    failed = isinstance(status, dict) and status.get("code") in _ERROR
    return _FAILED if failed or kind is not None else _OK


def _tokens(held: Attributes, keys: tuple[str, ...], notes: Notes) -> int | None:
    key = next((key for key in keys if held.get(key) is not None), keys[0])
    return fields.count(held.get(key), key, notes)


def _said(span: dict[str, Any], held: Attributes, notes: Notes) -> dict[str, Any]:
    """Return what was asked and answered as a request has it: messages, instructions, output."""
    said = dict(held)
    for event in _objects(span.get("events")):
        if event.get("name") in (_DETAILS, _PROMPT):
            said.update(_attributes(event))
    found: dict[str, Any] = {}
    for key, name in (
        ("gen_ai.input.messages", "messages"),
        ("gen_ai.system_instructions", "instructions"),
        ("gen_ai.output.messages", "output"),
    ):
        value = said.get(key)
        found[name] = written_messages(value) if isinstance(value, str) else value
    if found["messages"] is None:
        prompt = said.get("gen_ai.prompt")
        if isinstance(prompt, str):
            found["messages"] = written_messages(prompt)
        elif any(key.startswith(_INDEXED) for key in said):
            found["messages"] = _indexed(said)
        elif prompt is not None:
            notes.left_out["gen_ai.prompt"] += 1
    return found


def _indexed(said: Attributes) -> list[dict[str, Any]]:
    """Return the messages of ``gen_ai.prompt.N.role`` and ``.content``, in the order of N."""
    messages: dict[int, dict[str, Any]] = {}
    for key, value in said.items():
        number, _, part = key.removeprefix(_INDEXED[0]).partition(".")
        if (
            key.startswith(_INDEXED[0])
            and number.isascii()
            and number.isdigit()
            and len(number) < 9
        ):
            is_text = part == "content" and isinstance(value, str)
            messages.setdefault(int(number), {})[part] = (
                written_messages(value) if is_text else value
            )
    return [messages[number] for number in sorted(messages)]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def _attributes(holder: dict[str, Any]) -> Attributes:
    found: Attributes = {}
    given = holder.get("attributes")
    for pair in given[:_ATTRIBUTES] if isinstance(given, list) else ():
        if isinstance(pair, dict) and isinstance(pair.get("key"), str):
            found[pair["key"]] = _value(pair.get("value"))
    return found


def _value(value: Any, depth: int = 0) -> Any:
    """Return an ``AnyValue`` as JSON has it; None for what is none, or is nested too deeply."""
    if not isinstance(value, dict) or len(value) != 1 or depth > _DEEPEST:
        return None
    ((kind, inner),) = value.items()
    if kind in ("stringValue", "boolValue", "doubleValue"):
        return inner if isinstance(inner, str | bool | int | float) else None
    if kind == "intValue":
        if isinstance(inner, str):
            return int(inner) if _WHOLE.fullmatch(inner) else None
        return inner if isinstance(inner, int) else None
    if not isinstance(inner, dict):
        return None
    values = inner.get("values")
    if kind == "arrayValue":
        return [_value(each, depth + 1) for each in values] if isinstance(values, list) else []
    if kind == "kvlistValue":
        return {
            each["key"]: _value(each.get("value"), depth + 1)
            for each in _objects(values)
            if isinstance(each.get("key"), str)
        }
    return None
