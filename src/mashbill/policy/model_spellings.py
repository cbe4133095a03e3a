"""How names of models are spelt by who serves them, and the names that only one maker gives.

The spellings are those of clients that list them: the makers' own, vercel/ai@ed857f50f1
(packages/*/src, for Bedrock, Vertex, Fireworks, Together, Groq, DeepInfra and Mistral), and the
hub's; Groq's older ids are in vercel/ai@244f19b (packages/groq/src/groq-chat-settings.ts),
Mistral's in vercel/ai@22a4fa0 (packages/mistral/src/mistral-chat-options.ts), Amazon's and newer
ones of Anthropic in vercel/ai@018cde4 (packages/amazon-bedrock/src/bedrock-chat-options.ts).
:mod:`mashbill.policy.model_names` leads a name back by them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mashbill.core.source import SourceKind

SERVED = (
    (re.compile(r"(?:hf|huggingface|openrouter|litellm_proxy|together_ai|azure|azure_ai|vertex_ai|"
                r"bedrock|bedrock_converse|fireworks_ai|groq|deepinfra|gemini|ollama|ollama_chat|"
                r"cerebras|sambanova|nvidia_nim|cloudflare)[:/]{1,2}(?=.)"), "by who serves it"),
    (re.compile(r"(?:https?://)?(?:hf\.co|huggingface\.co|ollama\.com/library)/(?=.)"),
     "by its address"),
    (re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]*:\d*:(?:foundation-model|inference-profile)/"),
     "by Bedrock's ARN"),
    (re.compile(r"(?:converse|invoke)/(?=[a-z0-9-]+\.)"), "by Bedrock's path"),
    (re.compile(r"@cf/(?=.+/)"), "by Cloudflare's path"),
    (re.compile(r"models/(?=[a-z])"), "by Google's way of writing it"),
    (re.compile(r"projects/[^/]+/locations/[^/]+/publishers/([\w-]+)/models/"), "by Vertex's path"),
    (re.compile(r"publishers/([\w-]+)/models/"), "by Vertex's path"),
    (re.compile(r"accounts/fireworks/models/"), "by Fireworks' path"),
)  # fmt: skip
BEDROCK = re.compile(
    r"(?:(?:us|eu|apac|au|ca|jp|us-gov|global)\.)?(?P<owner>anthropic|amazon|meta|mistral|cohere|"
    r"openai|deepseek|qwen|ai21|google|moonshot|minimax|nvidia)\.(?P<name>[a-z][\w.-]*?)"
    r"(?:-v?\d+(?::\d+)(?::\w+)?|-v\d+)?"
)
FLOATED = re.compile(r"[@:](?:latest|default)$")
"""says that no release is meant"""
SPELT = (
    (re.compile(r"\bgpt-35(?=$|-)"), "gpt-3.5", "in Azure's spelling"),
    (re.compile(r"(^|/)gpt(?=\d)"), r"\1gpt-", "in another spelling"),
    (re.compile(r"(\bclaude-.*\d)-thinking$"), r"\1", "by -thinking, which says how it was asked"),
    (
        re.compile(r"\s*\((?:new|old|preview|beta|free|latest|self-moderated)\)$"),
        "",
        "by what stands in brackets",
    ),
    (re.compile(r"(?<=-gguf):[\w.-]+$"), "", "by the file that was taken of it"),
)
"""other ways to write a name: what, by what, and how it is told"""
ROUTED = re.compile(r":(?:free|nitro|floor|extended|beta|online|thinking|exacto)$")
DATES = (
    re.compile(r"[-@](?P<day>20\d{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01]))$"),
    re.compile(r"-(?:preview|exp)-(?P<day>(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]|20\d{2}))$"),
    re.compile(r"-(?P<day>(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))$"),
)
REPACK = re.compile(
    r"[-_.](?P<how>(?:i1-)?gguf|awq|gptq|fp8(?:-dynamic)?|nvfp4|mxfp4|int[48]|bnb-4bit|[48]bit|mlx"
    r"|exl[23]|onnx|uqff|q[2-8](?:_k)?(?:_[slm01])?|iq[1-4]_\w+|w[48]a(?:8|16))(?=$|[-_.])"
)
TOGETHER = re.compile(r"(?<=-instruct)-(?:turbo|lite)(?:-free)?$")
"""how Together names open weights that it serves faster, or at a lower price"""
TUNED = re.compile(r"ft:(?P<base>[\w.-]+)(?::.*)?")
OWNERS = {
    "alibaba": "qwen", "deepseek": "deepseek-ai", "meta": "meta-llama", "mistral": "mistralai",
    "moonshot": "moonshotai", "thudm": "zai-org", "x-ai": "xai", "z-ai": "zai-org",
    "zai": "zai-org", "zhipuai": "zai-org",
}  # fmt: skip
"""owner as routers and clouds write it -> as the catalogue does"""
FLOATING = {
    "deepseek-chat": "deepseek-ai/DeepSeek (unspecified)",
    "deepseek-reasoner": "deepseek-ai/DeepSeek (unspecified)",
}
"""names that a maker's API gives to whichever model is the current one"""


@dataclass(frozen=True)
class Family:
    """Names that only one maker gives: the whole of a name, never a part of it."""

    names: re.Pattern[str]
    owner: str
    provider: str
    country: str
    kind: SourceKind = "closed-api"


_SIZES = (
    r"mini|nano|pro|turbo|chat|codex|instruct|16k|32k|latest|preview|search|audio|max|realtime"
    r"|transcribe|vision|\d{4}"
)
_MONTH = r"2[3-9](?:0[1-9]|1[0-2])"
FAMILIES = (
    Family(re.compile(rf"(?:chatgpt-4o|gpt-[345](?:\.\d)?o?)(?:-(?:{_SIZES}))*"),
            "openai", "OpenAI", "US"),
    Family(re.compile(rf"o[134](?:-(?:{_SIZES}|high|medium|low))*"), "openai", "OpenAI", "US"),
    Family(re.compile(r"claude(?:-(?:instant|opus|sonnet|haiku|fable|\d(?:[.-]\d)?|v\d(?:[:.]\d)?"
                       r"|latest))+"),
            "anthropic", "Anthropic", "US"),
    Family(re.compile(r"gemini-\d(?:\.\d)?-(?:pro|flash|ultra)"
                       r"(?:-(?:lite|8b|latest|preview|exp|\d{3}))*"),
            "google", "Google", "US"),
    Family(re.compile(r"grok-\d(?:\.\d+)?(?:-(?:mini|fast|latest|beta|reasoning|non|code))*"),
            "xai", "xAI", "US"),
    Family(re.compile(r"gemini-(?:pro|flash|flash-lite|ultra)-latest|gemini-(?:pro|ultra)(?:-vision)?"),
            "google", "Google", "US"),
    Family(re.compile(r"(?:text|code)-(?:davinci|curie|babbage|ada|cushman)-\d{3}"
                       r"|(?:davinci|babbage)-002"), "openai", "OpenAI", "US"),
    Family(re.compile(r"nova-(?:micro|lite|pro|premier)(?:-v\d)?"
                       r"|titan-(?:text-(?:lite|express|premier)(?:-v\d)?|tg1-large)"),
            "amazon", "Amazon", "US"),
    Family(re.compile(r"grok-(?:vision-)?beta"), "xai", "xAI", "US"),
    # Groq serves Meta's weights under names of its own.
    Family(re.compile(r"llama-3\.\d-\d+b-(?:versatile|instant|specdec)"), "meta-llama", "Meta",
            "US", "open-weights"),
    Family(re.compile(r"grok-latest"), "xai", "xAI", "US"),
    # Of these the current release may have open weights, or none.
    Family(re.compile(rf"(?:(?:mistral|magistral|devstral)-(?:large|medium|small|tiny)|ministral-\d+b"
                       rf"|pixtral-(?:large|12b)|codestral)-(?:latest|{_MONTH})"
                       r"|mistral-(?:tiny|small|medium|large)(?:-\d(?:\.\d)?)?"
                       r"|open-(?:mistral-(?:7b|nemo)|mixtral-8x(?:7|22)b)"),
            "mistralai", "Mistral AI", "FR", "unknown"),
    Family(re.compile(r"(?:qwen-(?:turbo|plus|max|long)|qwen\d(?:\.\d)?-max|qwq-plus)(?:-latest)?"),
            "qwen", "Alibaba", "CN", "unknown"),
    Family(re.compile(r"deepseek-(?:chat-)?v[23](?:\.\d)?(?:-\d{4}|-exp)?|deepseek-coder(?:-v2)?"),
            "deepseek-ai", "DeepSeek", "CN", "unknown"),
    Family(re.compile(r"kimi-k2(?:-\d{4}-preview|-turbo-preview)?"), "moonshotai", "Moonshot AI",
            "CN", "unknown"),
    Family(re.compile(r"command-(?:r7b|r|a|light)(?:-plus)?(?:-\d{2}-20\d{2})?"
                       r"|command(?:-light)?-text(?:-v14)?"), "cohere", "Cohere", "CA", "unknown"),
    Family(re.compile(r"sonar-(?:pro|reasoning|reasoning-pro|deep-research)"), "perplexity",
            "Perplexity AI", "US", "unknown"),
)  # fmt: skip
"""as makers' own clients list them; an open model of one of them (gpt-oss) is none of these"""


def spellings(name: str) -> list[str]:
    """Return other ways to write the same name: dashes for underscores, dots for digits' dashes."""
    dashed = re.sub(r"[\s_]+", "-", name)
    dotted = re.sub(r"(?<=\d)-(?=\d(?:-|$))", ".", dashed)
    undotted = re.sub(r"(?<=\d)\.(?=\d(?:-|$))", "-", dashed)
    turned = re.sub(r"^((?:.*/)?claude)-(\d(?:[.-]\d)?)-(opus|sonnet|haiku)$", r"\1-\3-\2", dashed)
    zero = re.sub(r"^((?:.*/)?claude-(?:opus|sonnet)-\d)-0$", r"\1", dashed)
    routed = re.sub(r"^(qwen/qwen)-(?=\d)", r"\1", dashed)  # as OpenRouter writes it
    return [dashed, dotted, undotted, turned, zero, routed, name.replace("@", "-")]
