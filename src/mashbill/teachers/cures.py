"""Refusals that name something a service cannot do, and the key of the recipe that cures each.

Such a refusal would meet every request that has the thing, so a run stops at the first. A message
counts only if it names the thing and says that there is no such thing there, if the request has it,
and if no part of the request itself says the same words: a row may quote an error, and a service
may echo a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.teachers.turns import only_system_is_odd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mashbill.teachers.wire import Ask

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
         lambda ask: any(turn["role"] == "system" for turn in ask.turns), _SYSTEM),
    # Who says that roles must alternate may mean a row's own turns, or those of tools.
    Part("roles", "", lambda ask: only_system_is_odd(ask.turns), _SYSTEM),
    Part("logprobs", r"(?:top_?|response_?)?log_?probs|log probabilities",
         lambda ask: ask.top_logprobs > 0, _NO_LOGPROBS),
    Part("schema", r"response[_ ]?formats?(?: type)?|json[_ ]?schemas?|structured[_ ]outputs?|"
         r"json mode|guided_json|response_?(?:json_?)?schema|text\.format|output_format",
         lambda ask: ask.schema is not None, _PROMPT),
    Part("tools", r"tools?|tool[_ ](?:choice|calls?|calling|use|usage)|function[_ ]calling",
         lambda ask: bool(ask.tools), _NO_TOOLS),
    Part("temperature", "temperature", _set("temperature"), _REMOVE),
    Part("top_p", "top_?p", _set("top_p"), _REMOVE),
    Part("top_k", "top_?k", _set("top_k"), _REMOVE),
    Part("seed", "seed", _set("seed"), _REMOVE),
    Part("stop", "stop(?:_?sequences?)?", _set("stop"), _REMOVE),
    Part("reasoning", r"reasoning(?:[_.]?effort)?|thinking(?:_?(?:config|budget))?",
         lambda ask: ask.reasoning is not None, _REMOVE),
    Part("max_tokens", "max_tokens", lambda ask: ask.max_tokens is not None,
         "set extra = {{ max_completion_tokens = {max_tokens} }} in {teacher}: then that goes in "
         "place of max_tokens"),
)  # fmt: skip


@dataclass(frozen=True)
class Form:
    """A way in which services say that there is no such thing."""

    pattern: str
    """{words} stands for what the thing is called, {q} for a quotation mark or none"""
    says: tuple[str, ...]
    """messages of that form, as they were recorded"""
    source: str
    part: str = ""
    """the one part that it is about; any of them if empty"""


_IS_NOT = (
    r"(?:is|are)(?: currently)? (?:not (?:currently )?(?:supported|enabled|available)|"
    r"unsupported|unavailable)"
)
FORMS = (
    Form(
        r"unsupported (?:parameter|value): {q}(?:{words}){q}",
        (("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
         "'max_completion_tokens' instead."),
         ("Unsupported value: 'temperature' does not support 0.16 with this model. Only the "
         "default (1) value is supported.")),
        "OpenAI, Azure: decolua/9router #560, kd-research/Techies #42",
    ),
    Form(
        r"(?:unrecognized (?:request )?arguments?(?: supplied)?|unknown (?:parameter|name|argument)"
        r"):? {q}(?:{words}){q}(?![\w-])",
        ("Unrecognized request argument supplied: logprobs",
         'Invalid JSON payload received. Unknown name "seed": Cannot find field.'),
        "OpenAI: openai/openai-python #433; Google's OpenAI endpoint",
    ),
    Form(
        r"argument not supported on this model: {q}(?:{words}){q}(?![\w-])",
        ("Argument not supported on this model: logprobs",),
        "xAI: BerriAI/litellm #14056",
    ),
    Form(
        r"(?<![\w.-]){q}(?:{words}){q} " + _IS_NOT,
        ("`tool calling` is not supported with this model",
         ("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this "
         "model. Learn more about supported models at the Structured Outputs guide"),
         "Logprobs is not enabled for models/gemini-2.5-pro",
         "Logprobs is not supported for the current model.",
         "logprobs is not supported for models created with logits_all=False",
         "JSON mode is not enabled for models/gemma-3-27b-it",
         "Developer instruction is not enabled for models/gemma-3-27b-it",
         "This response_format type is unavailable now"),
        "Groq; OpenAI: web-infra-dev/midscene #259; Gemini: mscraftsman/generative-ai #135, "
        "GoogleCloudPlatform/generative-ai #1536; llama-cpp-python; DeepSeek",
    ),
    Form(
        r"(?<![\w.-]){q}(?:{words}){q} not supported",
        ("System role not supported",),
        "Gemma's template by vLLM, SGLang, llama.cpp: vllm-project/vllm #2964, sgl-project/sglang "
        "#892, huggingface/chat-ui #1386",
    ),
    Form(
        r"(?:does not|doesn't|do not|don't) support (?:the )?(?:parameters?:? )?{q}(?:{words}){q}"
        r"(?![\w-])",
        ("registry.ollama.ai/library/gemma3:4b does not support tools",
         "This model does not support response format `json_schema`. See supported models",
         ("Gaudi doesn't support logprobs. Please remove 'logprobs'/'top_logprobs' from your "
         "request to receive a response."),
         ("litellm.UnsupportedParamsError: gpt-5-nano doesn't support temperature=0.1 while "
         "reasoning is active.")),
        "Ollama; Groq; vllm-project/vllm-gaudi #1098; BerriAI/litellm #33738",
    ),
    Form(
        r"does not support parameters: \[[^\]]{{0,200}}['\"](?:{words})['\"]",
        (("litellm.UnsupportedParamsError: ollama_chat does not support parameters: ['logprobs'], "
         "for model=llama3.1:70b."),),
        "BerriAI/litellm #17165",
    ),
    Form(
        r"no endpoints found that support (?:the provided )?{q}(?:{words}){q}(?![\w-])",
        ("No endpoints found that support tool use. To learn more about provider routing, visit",),
        "OpenRouter, with status 404: pydantic/pydantic-ai #2896",
    ),
    Form(
        r"extra_forbidden\W+(?:loc\W+)?body\W+(?:{words})\b|"
        r"\bbody\W+(?:{words})\W[\s\S]{{0,40}}?extra (?:inputs|fields) (?:are )?not permitted",
        (("[{'type': 'extra_forbidden', 'loc': ('body', 'logprobs'), 'msg': 'Extra inputs are not "
         "permitted', 'input': True}]"),),
        "pydantic behind vLLM and Mistral: vllm-project/vllm #3657",
    ),
    Form(
        r"conversation roles must\s+alternate",
        ("Conversation roles must alternate user/assistant/user/assistant/...",
         ("After the optional system message, conversation roles must alternate user and assistant "
         "roles except for tool calls and results.")),
        "Mistral's templates: EricLBuehler/mistral.rs #45, anomalyco/opencode #5034",
        "roles",
    ),
    Form(
        r"only user(?:,| and) assistant(?: and tool)? roles are supported",
        ("Only user and assistant roles are supported!",
         "Only user, assistant and tool roles are supported, got system."),
        "templates of Mistral and Zephyr: Mintplex-Labs/anything-llm #2914, "
        "lmstudio-ai/lmstudio-bug-tracker #2219",
        "roles",
    ),
    Form(
        r"messages\[0\]\.role'? does not support 'system'",
        ("Unsupported value: 'messages[0].role' does not support 'system' with this model.",),
        "OpenAI's o1-mini; from memory",
        "system",
    ),
    Form(
        r"(?:unknown|unexpected|unsupported|invalid)(?: message)? role:? ['\"`]?system\b",
        ("Unknown role: system",),
        "templates that name the role; from memory",
        "system",
    ),
    Form(
        r"not allowed to request log_?probs",
        ("You are not allowed to request logprobs from this model",),
        "OpenAI's reasoning models; from memory",
        "logprobs",
    ),
    Form(
        r"top_n_tokens`? != 0 is not allowed",
        ("Input validation error: `top_n_tokens` != 0 is not allowed for this endpoint",),
        "TGI, router/src/validation.rs",
        "logprobs",
    ),
    Form(
        r"invalid schema for response_format",
        (("Invalid schema for response_format 'answer': In context=(), 'additionalProperties' is "
         "required to be supplied and to be false."),),
        "OpenAI, of schemas that its structured output does not take",
        "schema",
    ),
    Form(
        r"tool choice requires --enable-auto-tool-choice|tools param requires --jinja",
        ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
         "tools param requires --jinja flag"),
        "vLLM: langchain4j/langchain4j #3475; llama.cpp, with status 500",
        "tools",
    ),
    Form(
        r"temperature`? and `?top_p`? cannot both be specified",
        (("`temperature` and `top_p` cannot both be specified for this model. Please use only "
         "one."),),
        "Anthropic, of Claude 4.5 and later",
        "top_p",
    ),
)  # fmt: skip
"""the messages that are known; what is said to be from memory was seen in no source here"""

LIMITS = (
    ("Requested sample logprobs of 20, which is greater than max allowed: 5", "vLLM"),
    ("Input validation error: `top_n_tokens` must be >= 0 and <= 5. Given: 20",
     "TGI, router/src/validation.rs, with status 422"),
    ("top_logprobs must be between 1 and 10 but got 20", "mlx-lm, mlx_lm/server.py"),
    (("Invalid 'top_logprobs': integer above maximum value. Expected a value <= 5, but got 20 "
     "instead."), "OpenAI's form of it"),
)  # fmt: skip
"""messages that fewer tokens may be asked for, and who says so: see :data:`_LIMIT`"""
_LIMIT = re.compile(
    r"(?:(?:sample |top_?)log_?probs|top_n_tokens)\b[\s\S]{0,100}?"
    r"(?:max allowed:|<=|between \d+ and|less than or equal to|at most|no more than) (\d{1,3})\b",
    re.IGNORECASE,
)


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
    asked = "\n".join(str(turn.get("content") or "") for turn in ask.turns)
    where = f"[teachers.{teacher}]"

    def says(pattern: re.Pattern[str]) -> bool:
        return bool(pattern.search(said)) and not pattern.search(asked)

    limit = _LIMIT.search(said)
    if limit and says(_LIMIT) and 0 < int(limit[1]) < ask.top_logprobs and "logprobs" not in works:
        return f"set top_logprobs = {int(limit[1])} in {where}"
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
