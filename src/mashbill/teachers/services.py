"""Services that a recipe can name: whose they are, how they are asked, where their key is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mashbill.client.wire import Wire

WireName = Literal["openai-chat", "openai-completions", "openai-responses", "anthropic", "gemini"]


@dataclass(frozen=True)
class Service:
    """One service."""

    provider: str
    """as the terms registry names it"""
    kind: Literal["api", "router", "host"]
    wire: WireName
    base_url: str
    key_env: str
    """environment variable of its key, as its own documentation has it"""
    prices: str
    """as genai-prices names it; empty if it has none"""
    logprobs: int = 0
    """log-probabilities of this many likeliest tokens are documented; 0 if none are"""
    strict_max_tokens: bool = False
    """whether chat wants ``max_completion_tokens``"""


SERVICES: dict[str, Service] = {
    "openai": Service(
        "OpenAI", "api", "openai-chat", "https://api.openai.com/v1", "OPENAI_API_KEY",
        "openai", logprobs=20, strict_max_tokens=True,
    ),
    "anthropic": Service(
        "Anthropic", "api", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY",
        "anthropic",
    ),
    "gemini": Service(
        "Google", "api", "gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY",
        "google",
    ),
    "meta": Service(
        "Meta", "api", "openai-chat", "https://api.llama.com/compat/v1", "LLAMA_API_KEY", "meta"
    ),
    "xai": Service(
        "xAI", "api", "openai-chat", "https://api.x.ai/v1", "XAI_API_KEY", "x-ai", logprobs=8
    ),
    "mistral": Service(
        "Mistral AI", "api", "openai-chat", "https://api.mistral.ai/v1", "MISTRAL_API_KEY",
        "mistral",
    ),
    "deepseek": Service(
        "DeepSeek", "api", "openai-chat", "https://api.deepseek.com", "DEEPSEEK_API_KEY",
        "deepseek", logprobs=20,
    ),
    "model-studio": Service(
        "Alibaba", "api", "openai-chat",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", "",
    ),
    "kimi": Service(
        "Moonshot AI", "api", "openai-chat", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY",
        "moonshotai",
    ),
    "zai": Service(
        "Z.ai", "api", "openai-chat", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", "zai"
    ),
    "minimax": Service(
        "MiniMax", "api", "openai-chat", "https://api.minimax.io/v1", "MINIMAX_API_KEY", "minimax"
    ),
    "openrouter": Service(
        "OpenRouter", "router", "openai-chat", "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY", "openrouter",
    ),
    "together": Service(
        "Together AI", "host", "openai-chat", "https://api.together.xyz/v1", "TOGETHER_API_KEY",
        "together",
    ),
}  # fmt: skip
"""by the name that recipes use"""


def batches_of(wire: Wire) -> Any:
    """Return the batch endpoint that goes with a wire format, or None if it has none."""
    from mashbill.client.wire.anthropic_batches import AnthropicBatches
    from mashbill.client.wire.gemini_batches import GeminiBatches
    from mashbill.client.wire.openai_batches import OpenAIBatches

    made = {
        "openai-chat": OpenAIBatches,
        "openai-completions": OpenAIBatches,
        "openai-responses": OpenAIBatches,
        "anthropic": AnthropicBatches,
        "gemini": GeminiBatches,
    }.get(wire.name)
    return None if made is None else made(wire)


def wire_of(name: WireName, *, strict_max_tokens: bool = False) -> Wire:
    """Return a wire format."""
    if name == "openai-chat":
        from mashbill.client.wire.openai_chat import OpenAIChat

        return OpenAIChat("max_completion_tokens" if strict_max_tokens else "max_tokens")
    if name == "openai-completions":
        from mashbill.client.wire.openai_completions import OpenAICompletions

        return OpenAICompletions()
    if name == "openai-responses":
        from mashbill.client.wire.openai_responses import OpenAIResponses

        return OpenAIResponses()
    if name == "anthropic":
        from mashbill.client.wire.anthropic import AnthropicMessages

        return AnthropicMessages()
    from mashbill.client.wire.gemini import Gemini

    return Gemini()
