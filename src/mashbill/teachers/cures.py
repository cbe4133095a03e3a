"""Refusals that name something a service cannot do, and the key of the recipe that cures each.

Such a refusal would meet every request that has the thing, so a run stops at the first. A message
counts only if it names the thing and says that there is no such thing there, if the request has it,
and if no part of the request itself says the same words: a row may quote an error, and a service
may echo a row.

Nor does it count where an answer that the service gave before had the same thing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.teachers.refusals import FORMS, LIMIT, LIMIT_BEFORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mashbill.client.wire import Ask

_LONGEST = 4_000  # characters of an error that are read
_MOST = 500  # values of an error that are looked at
_ECHOES = frozenset({"input", "url", "ctx"})
"""keys under which pydantic's errors hold what was sent, and links"""


@dataclass(frozen=True)
class Part:
    """Something that a request may have and a service may lack."""

    name: str
    words: str
    """pattern of what services call it"""
    has: Callable[[Ask], bool]
    cure: str


def _set(name: str) -> Callable[[Ask], bool]:
    return lambda ask: name in ask.settings


_REMOVE = "remove {name} from {teacher}"
_NO_LOGPROBS = (
    "set logprobs = false in {teacher}: then it answers choices by structured output, and its "
    "answers count as certain"
)
_PROMPT = 'set structured = "prompt" in {teacher}: then a JSON Schema is asked for in words'
_NO_TOOLS = (
    "ask a model that calls tools, or serve this one so that it does (vLLM: "
    "--enable-auto-tool-choice and --tool-call-parser, llama.cpp: --jinja)"
)
_SYSTEM = (
    'set system = "user" in {teacher}: then what the system turn says stands before the first '
    "user's text"
)
PARTS = (
    Part("system", r"system (?:role|message|prompt|instruction|turn)s?|developer instructions?",
         lambda ask: bool(ask.turns.said_by("system")), _SYSTEM),
    # Who says that roles must alternate may mean a row's own turns, or those of tools.
    Part("roles", "", lambda ask: ask.turns.only_system_is_odd, _SYSTEM),
    Part("logprobs", r"(?:top_?|response_?)?log_?probs|log probabilities",
         lambda ask: ask.top_logprobs > 0, _NO_LOGPROBS),
    Part("schema", r"response[_ ]?formats?(?:[. ]type)?|json[_ ]?schemas?|"
         r"structured[_ ](?:outputs?|generation)|json mode|guided[_ ](?:json|decoding|generation)|"
         r"constrained decoding|response_?(?:json_?)?schema|text\.format|output_format",
         lambda ask: ask.schema is not None, _PROMPT),
    Part("tools", r"tools?|tool[_ ](?:choice|calls?|calling|use|usage)|functions|"
         r"function[_ ]call(?:s|ing)?",
         lambda ask: bool(ask.tools), _NO_TOOLS),
    Part("temperature", "temperature", _set("temperature"), _REMOVE),
    Part("top_p", "top_?p", _set("top_p"), _REMOVE),
    Part("top_k", "top_?k", _set("top_k"), _REMOVE),
    Part("seed", "seed", _set("seed"), _REMOVE),
    Part("presence_penalty", "presence_?penalty", _set("presence_penalty"), _REMOVE),
    Part("frequency_penalty", "frequency_?penalty", _set("frequency_penalty"), _REMOVE),
    Part("stream", "stream_options|streaming(?: mode| responses?)?", lambda ask: ask.stream,
         "set stream = false in {teacher}"),
    Part("stop", "stop(?:_?sequences?)?", _set("stop"), _REMOVE),
    Part("reasoning", r"reasoning(?:[_.]?effort)?|thinking(?:_?(?:config|budget))?",
         lambda ask: ask.reasoning is not None, _REMOVE),
    Part("max_tokens", "max_tokens", lambda ask: ask.max_tokens is not None,
         "set extra = {{ max_completion_tokens = {max_tokens} }} in {teacher}: then that goes in "
         "place of max_tokens"),
)  # fmt: skip


def _pattern(words: str, part: str = "") -> re.Pattern[str]:
    """Return the pattern of a message that there is nothing of that name."""
    found = [
        form.pattern if form.part else form.pattern.format(words=words, q="['\"`]?")
        for form in FORMS
        if form.part == part or (words and not form.part)
    ]
    pattern = "|".join(f"(?:{form})" for form in found)
    return re.compile(pattern, re.IGNORECASE)


_PATTERNS = {part.name: _pattern(part.words, part.name) for part in PARTS}


def parts_of(ask: Ask) -> frozenset[str]:
    """Return which of :data:`PARTS` a request has, by name."""
    found = {part.name for part in PARTS if part.has(ask)}
    return frozenset(found | ({"extra"} if ask.extra else set()))


def cure_of(ask: Ask, body: Any, teacher: str, works: frozenset[str] = frozenset()) -> str:
    """Return what to set where a refusal says that a service lacks what a request has.

    Args:
        ask: the request.
        body: the refusal's body, parsed, or text.
        teacher: the teacher's name in the recipe.
        works: names of parts of requests that were answered: they are not what is lacking.

    Returns:
        What was found and the cure, as a sentence without its end; empty if it is none of these.
    """
    said = _words(body)
    asked = "\n".join(turn.content for turn in ask.turns)
    where = f"[teachers.{teacher}]"

    def says(pattern: re.Pattern[str]) -> bool:
        return bool(pattern.search(said)) and not pattern.search(asked)

    for pattern in (LIMIT, LIMIT_BEFORE) if "logprobs" not in works else ():
        found = pattern.search(said)
        if found and says(pattern) and int(found[1]) < ask.top_logprobs:
            fewer = f"set top_logprobs = {int(found[1])} in {where}"
            return fewer if int(found[1]) else _NO_LOGPROBS.format(teacher=where)
    for part in PARTS:
        if part.name not in works and part.has(ask) and says(_PATTERNS[part.name]):
            named = {"name": part.name, "teacher": where, "max_tokens": ask.max_tokens}
            return part.cure.format(**named)
    for key in ask.extra if "extra" not in works else ():
        if says(_pattern(re.escape(key))):
            return f"remove {key} from extra in {where}"
    return ""


def _words(body: Any) -> str:
    """Return the texts of an error, one a line; what it echoes of the request is left out."""
    found, size = [], 0
    for text in _texts(body):
        found.append(text[: _LONGEST - size])
        size += len(found[-1]) + 1
        if size >= _LONGEST:
            break
    return "\n".join(found).replace("\\", "")  # a router quotes its provider's JSON as text


def _texts(body: Any) -> Iterator[str]:
    left = [body]
    for _ in range(_MOST):
        if not left:
            return
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            # By name: what stands where comes before what is wrong with it, as it is written.
            left += [value[key] for key in sorted(value, reverse=True) if key not in _ECHOES]
        elif isinstance(value, list):
            left += reversed(value)
