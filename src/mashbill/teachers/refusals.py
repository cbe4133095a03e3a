"""What services say of what they cannot do: messages, as they were recorded, each with its source.

What is said to be reported by a trial, or from memory, was seen in no source here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


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


# Whose use is not allowed "to" something, or by a policy, is there: that one row had it wrong.
_IS_NOT = (
    r"(?:(?:is|are|has been|have been)(?: currently)? )?(?:not (?:currently |yet )?(?:supported|"
    r"enabled|available|implemented|recogni[sz]ed|(?:allowed|permitted|accepted)"
    r"(?! (?:to|by|after|before|within|inside|here|at)\b)"
    r"(?![^\n]{{0,80}}(?:polic|moderat|safety)))|"
    r"unsupported\b|unavailable\b|disabled\b|deprecated\b)"
)
_LIST = r"\[?(?:['\"`]?[\w.-]{{1,60}}['\"`]?, ?){{0,20}}"
"""what may stand before a name in a list of them"""
FORMS = (
    Form(
        r"(?:unsupported value|(?:unsupported|unexpected|unrecogni[sz]ed|unknown) (?:parameter|"
        r"field|argument|key)s?(?:\(s\))?): " + _LIST + r"{q}(?:{words}){q}(?![\w-])",
        (("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
         "'max_completion_tokens' instead."),
         ("Unsupported value: 'temperature' does not support 0.16 with this model. Only the "
         "default (1) value is supported."),
         "Unsupported parameter(s): `logprobs`",
         "Unsupported parameter(s): `min_p`, `logprobs`, `seed`"),
        "OpenAI, Azure: decolua/9router #560, kd-research/Techies #42; the others reported by a "
        "trial",
    ),
    Form(
        r"(?:unrecogni[sz]ed (?:request )?arguments?(?: supplied)?|unknown (?:parameter|name|"
        r"argument|field|key|property|option)|unexpected (?:keyword )?(?:argument|parameter|field|"
        r"key|property)):? " + _LIST + r"{q}(?:{words}){q}(?![\w-])",
        ("Unrecognized request argument supplied: logprobs",
         "Unrecognized request arguments supplied: n, logprobs",
         'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
         'json: unknown field "logprobs"',
         "unknown field `top_logprobs`, expected one of `model`, `messages` at line 1 column 90",
         "ChatCompletionRequest.__init__() got an unexpected keyword argument 'logprobs'"),
        "OpenAI: openai/openai-python #433; Google's OpenAI endpoint; encoding/json of Go and "
        "serde of Rust, reported by a trial; Python's own words",
    ),
    Form(
        r"the following (?:parameters?|fields?|arguments?|settings?) (?:is|are) (?:not "
        r"(?:currently )?(?:supported|allowed|permitted)|unsupported)[^\n:]{{0,40}}: " + _LIST
        + r"{q}(?:{words}){q}(?![\w-])",
        ("the following parameters are not supported: logprobs",
         "The following parameters are not supported for this model: [top_logprobs, logprobs]"),
        "reported by a trial",
    ),
    Form(
        r"(?<![\w.-]){q}(?:{words}){q}: (?:unknown|unsupported|unexpected|unrecogni[sz]ed) "
        r"(?:parameter|field|key|argument|property)\b",
        ("logprobs: unknown parameter",),
        "the same words the other way round",
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
         "This response_format type is unavailable now",
         "System messages are not allowed for this model",
         "tools are not allowed for this model",
         "logprobs are disabled for this deployment",
         "Logprobs not available",
         "Parameter 'logprobs' not allowed",
         "Guided decoding is disabled",
         "`temperature` is deprecated for this model."),
        "Groq; OpenAI: web-infra-dev/midscene #259; Gemini: mscraftsman/generative-ai #135, "
        "GoogleCloudPlatform/generative-ai #1536; llama-cpp-python: xorbitsai/inference #1911; "
        "DeepSeek: BerriAI/litellm #7580; ChatGPT's endpoint: router-for-me/CLIProxyAPI #4092; "
        "Anthropic: BitterSecurity/Decepticon #107; the others reported by a trial",
    ),
    Form(
        r"(?<![\w.-]){q}(?:{words}){q} not supported",
        ("System role not supported",),
        "Gemma's template by vLLM, SGLang, llama.cpp: vllm-project/vllm #2964, sgl-project/sglang "
        "#892, huggingface/chat-ui #1386",
    ),
    Form(
        r"(?:does not|doesn't|do not|don't|cannot) (?:currently )?(?:support|accept|allow|take) "
        r"(?:the |an? |any )?(?:parameters?:? |use of )?{q}(?:{words}){q}"
        r"(?![\w-])",
        ("registry.ollama.ai/library/gemma3:4b does not support tools",
         "This model does not support response format `json_schema`. See supported models",
         ("Gaudi doesn't support logprobs. Please remove 'logprobs'/'top_logprobs' from your "
         "request to receive a response."),
         ("litellm.UnsupportedParamsError: gpt-5-nano doesn't support temperature=0.1 while "
         "reasoning is active."),
         "This model does not accept a system message",
         "This model does not support logprobs"),
        "Ollama; Groq; vllm-project/vllm-gaudi #1098; BerriAI/litellm #33738; the last two "
        "reported by a trial",
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
        r"\bbody\W+(?:{words})\W[\s\S]{{0,40}}?extra (?:inputs|fields) (?:are )?not permitted|"
        r"(?<![\w.-]){q}(?:{words}){q}:\s{{0,3}}extra (?:inputs|fields) (?:are )?not permitted",
        (("[{'type': 'extra_forbidden', 'loc': ('body', 'logprobs'), 'msg': 'Extra inputs are not "
         "permitted', 'input': True}]"),
         "body -> seed  Extra inputs are not permitted (type=extra_forbidden)",
         "logprobs: Extra inputs are not permitted"),
        "pydantic behind vLLM and Mistral: vllm-project/vllm #3657; NIM: NVIDIA/garak #748; the "
        "last reported by a trial",
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
        "OpenAI's o1-mini: openai/openai-python #2047",
        "system",
    ),
    Form(
        r"(?:unknown|unexpected|unsupported|invalid)(?: message)? role:? ['\"`]?system\b|"
        r"\brole:? ['\"`]?system['\"`]? (?:is )?(?:not (?:allowed|supported|permitted|accepted|"
        r"valid|recogni[sz]ed)(?! (?:to|after|before|within|inside|here|at)\b)|unsupported|"
        r"invalid)|unknown variant ['\"`]?system['\"`]?, expected|"
        r"input tag 'system' found using 'role' does not match|"
        r"invalid value: 'system'\. supported values",
        ("Unknown role: system",
         "role 'system' is not allowed",
         ("Failed to deserialize the JSON body into the target type: messages[0].role: unknown "
         "variant `system`, expected `user` or `assistant` at line 1 column 1932"),
         ("Input tag 'system' found using 'role' does not match any of the expected tags: 'user', "
         "'assistant'"),
         "Invalid value: 'system'. Supported values are: 'user' and 'assistant'."),
        "sdcb/chats #137; DeepSeek: aattaran/deepclaude #29; pydantic behind Mistral, Cerebras and "
        "SiliconFlow, who say it of developer turns; the others reported by a trial",
        "system",
    ),
    Form(
        r"\brole\W{1,8}(?:msg\W{1,5})?(?:input should be 'user' or 'assistant'(?! or|,)|"
        r"unexpected value; permitted: 'user', 'assistant'(?!,))",
        (("[{'type': 'literal_error', 'loc': ('body', 'messages', 0, 'role'), 'msg': \"Input "
         "should be 'user' or 'assistant'\"}]"),),
        "Z.ai, with status 422: zai-org/GLM-5 #74",
        "roles",
    ),
    Form(
        r"not allowed to request log_?probs|log_?probs[^\n]{0,40} requires? logits_all ?= ?true",
        ("You are not allowed to request logprobs from this model",
         "logprobs requires logits_all=True"),
        "OpenAI's reasoning models, from memory; llama-cpp-python, reported by a trial",
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
        r"unknown variant ['\"`]?json_schema['\"`]?|"
        r"unsupported (?:value for )?['\"`]?response[_ ]format['\"`]?(?: type|\.type)?:? "
        r"['\"`]?json_schema|"
        r"invalid value: 'json_schema'\. supported values|"
        r"\bonly ['\"`]?(?:text|json_object)\b[^\n]{0,40}?(?:is|are) supported (?:for|in|as|by) "
        r"(?:the )?['\"`]?response[_ ]format|"
        # LM Studio says that it must be json_schema or text, of others than are sent here.
        r"response_format\.type['\"`]? must be (?:one of )?(?![^\n]{0,80}json_schema)"
        r"[\['\"`]{0,2}(?:text|json_object)\b|"
        r"response_format value as json_schema is enabled only",
        (("Failed to deserialize the JSON body into the target type: response_format: unknown "
         "variant `json_schema`, expected `text` or `json_object`"),
         "Only json_object is supported for response_format",
         "response_format.type must be one of ['text','json_object']",
         "Unsupported response_format: json_schema",
         "Invalid value: 'json_schema'. Supported values are: 'text' and 'json_object'.",
         ("response_format value as json_schema is enabled only for api versions "
         "2024-08-01-preview and later")),
        "serde behind DeepSeek and TGI; Azure: Azure/azure-sdk-for-net #46579; OpenAI's form of a "
        "value: epuerta9/deep-research-py #19; the others reported by a trial",
        "schema",
    ),
    Form(
        r"(?:is|are) not (?:able|capable) (?:to use|of using|to call|of calling) "
        r"(?:tools|functions)\b",
        ("This model is not able to use tools",),
        "reported by a trial",
        "tools",
    ),
    Form(
        r"\btemperature['\"`]? (?:must be|must equal|should be|has to be|can only be(?: set to)?) "
        r"(?:exactly |set to )?1(?:\.0)?(?![\d.]*\d| (?:or|and|to)\b| ?[-<,])",
        ("temperature must be 1", "`temperature` must be 1 for this model"),
        "reported by a trial",
        "temperature",
    ),
    Form(
        r"\binvalid {q}(?:{words}){q}: only [\d.]{{1,8}} is allowed|"
        r"(?<![\w.-]){q}(?:{words}){q} may only be set to 1\b|"
        r"(?<![\w.-]){q}(?:{words}){q} must be [^\n]{{0,60}}unset when thinking is enabled",
        ("invalid temperature: only 1 is allowed for this model",
         "invalid temperature: only 0.6 is allowed for this model",
         ("`temperature` may only be set to 1 when thinking is enabled. Please consult our "
         "documentation"),
         "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."),
        "Moonshot: arcsin1/oh-my-ppt #45, ZaytsevZY/yuketang-helper-auto #30; Anthropic: "
        "MartialBE/one-hub #529; the last from memory",
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
"""the messages that are known"""

LIMITS = (
    ("Requested sample logprobs of 20, which is greater than max allowed: 5", "vLLM"),
    ("Input validation error: `top_n_tokens` must be >= 0 and <= 5. Given: 20",
     "TGI, router/src/validation.rs, with status 422"),
    ("top_logprobs must be between 1 and 10 but got 20", "mlx-lm, mlx_lm/server.py"),
    (("Invalid 'top_logprobs': integer above maximum value. Expected a value <= 5, but got 20 "
     "instead."), "OpenAI's form of it"),
    ("top_logprobs must be in [0, 5]", "reported by a trial"),
    ("top_logprobs is too large: max is 5", "reported by a trial"),
    ("20 is greater than the maximum of 5 - 'logprobs'", "Together: lmg-anon/mikupad #55"),
    ("body top_logprobs ensure this value is less than or equal to 5", "pydantic 1"),
)  # fmt: skip
"""messages that fewer tokens may be asked for, and who says so: see :data:`LIMIT`"""
LIMIT = re.compile(
    r"(?:(?:(?:sample |top_?)log_?probs|top_n_tokens)\b[\s\S]{0,100}?|"
    r"\blog_?probs['\"`]? (?:must|should|is too|cannot|exceeds)[^\n,]{0,40}?)"
    r"(?:max allowed:|<=|between \d+ and|less than or equal to|at most|no more than|cannot exceed|"
    r"in (?:the )?(?:range )?[\[(]\d+,|max(?:imum)?(?: allowed)?(?: value)?(?: is| of|:|=)) ?"
    r"(\d{1,3})\b",
    re.IGNORECASE,
)
LIMIT_BEFORE = re.compile(
    r"greater than the maximum of (\d{1,3})\b\W{1,5}(?:top_?)?log_?probs", re.IGNORECASE
)
