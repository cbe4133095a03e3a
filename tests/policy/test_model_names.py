"""Names of models as strangers write them: what each is led to, by which rule, what stays unknown.

The spellings are those of makers' and clouds' own clients: anthropics/anthropic-sdk-python@009b0353
(types/model.py), openai/openai-openapi@f85dbe2, vercel/ai@ed857f50f1 (packages/*/src, which list
the names of Bedrock, Vertex, Fireworks, Together, Groq, DeepInfra and the makers), the hub's ids,
and OpenRouter's marks; Together's are those of vercel/ai@ed857f50f1 (packages/togetherai/src), and
``codestral-latest`` is in mistralai/client-python@36d1bfb (examples/mistral/fim). What an id
stands for is the shipped catalogue's.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages
from tests_tables import table

from mashbill import InputError
from mashbill.core.record import BILL
from mashbill.lineage.circuit.nodes import NodeTable, source_of
from mashbill.policy.claims import Catalogue, Entity, load_catalogue
from mashbill.policy.model_names import find_named, resolve
from mashbill.stages.marks.model_names import looks_like_a_model

SONNET, SONNET35 = "anthropic/claude-sonnet-4", "anthropic/claude-3-5-sonnet"
TABLE = {
    SONNET: (
        "claude-sonnet-4 claude-sonnet-4-20250514 claude-sonnet-4-0 claude-4-sonnet-20250514 "
        "claude-sonnet-4@20250514 anthropic/claude-sonnet-4 Anthropic/Claude-Sonnet-4 "
        "anthropic/claude-sonnet-4:beta anthropic.claude-sonnet-4-20250514-v1:0 "
        "us.anthropic.claude-sonnet-4-20250514-v1:0 eu.anthropic.claude-sonnet-4-20250514-v1:0 "
        "apac.anthropic.claude-sonnet-4-20250514-v1:0 claude_sonnet_4 "
        "bedrock/anthropic.claude-sonnet-4-20250514-v1:0 openrouter/anthropic/claude-sonnet-4 "
        "global.anthropic.claude-sonnet-4-20250514-v1:0 vertex_ai/claude-sonnet-4@20250514 "
        "publishers/anthropic/models/claude-sonnet-4"
    ),
    SONNET35: (
        "claude-3-5-sonnet claude-3-5-sonnet-latest claude-3.5-sonnet claude-3-5-sonnet-20241022 "
        "anthropic/claude-3.5-sonnet anthropic/claude-3.5-sonnet:beta "
        "anthropic.claude-3-5-sonnet-20241022-v2:0 claude-3-5-sonnet-v2@20241022"
    ),
    "anthropic/claude-3-5-sonnet-20240620": (
        "claude-3-5-sonnet-20240620 claude-3-5-sonnet@20240620 "
        "anthropic.claude-3-5-sonnet-20240620-v1:0 anthropic/claude-3-5-sonnet-20240620"
    ),
    "anthropic/claude-2.1": "claude-2.1 Claude_2.1 anthropic.claude-v2:1 anthropic/claude-2.1",
    "openai/gpt-4o": (
        "gpt-4o gpt-4o-2024-05-13 gpt-4o-2024-11-20 openai/gpt-4o OpenAI/GPT-4o gpt_4o GPT-4o "
        "azure/gpt-4o openrouter/openai/gpt-4o:free openai/gpt-4o:extended openai/gpt-4o-2024-11-20"
    ),
    "openai/gpt-4o-2024-08-06": (
        "gpt-4o-2024-08-06 openai/gpt-4o-2024-08-06 azure/gpt-4o-2024-08-06"
    ),
    "openai/gpt-4o-mini": "gpt-4o-mini gpt-4o-mini-2024-07-18 openai/gpt-4o-mini-2024-07-18",
    "openai/gpt-4": "gpt-4 GPT-4 gpt-4-0613 gpt-4-0314 openai/gpt-4 openai/gpt-4-0314",
    "openai/gpt-4-turbo": "gpt-4-turbo gpt-4-turbo-2024-04-09 openai/gpt-4-turbo",
    "openai/gpt-4.1": "gpt-4.1 gpt-4.1-2025-04-14 openai/gpt-4.1 gpt-4-1",
    "openai/gpt-4.1-mini": "gpt-4.1-mini gpt-4.1-mini-2025-04-14",
    "openai/gpt-3.5-turbo": (
        "gpt-3.5-turbo gpt-3.5-turbo-0125 gpt-3.5-turbo-0613 gpt-3.5-turbo-0301"
    ),
    "openai/gpt-5": "gpt-5 gpt-5-2025-08-07",
    "openai/gpt-oss-120b": (
        "gpt-oss-120b openai/gpt-oss-120b openai.gpt-oss-120b-1:0 openai.gpt-oss-120b gpt-oss:120b"
    ),
    "openai/gpt-oss-20b": "openai/gpt-oss-20b:free openai.gpt-oss-20b-1:0 gpt-oss:20b",
    "google/gemini-2.5-pro": (
        "gemini-2.5-pro models/gemini-2.5-pro google/gemini-2.5-pro gemini/gemini-2.5-pro "
        "gemini-2.5-pro-preview-05-06 gemini-2.5-pro-preview-06-05 gemini-2.5-pro-exp-03-25 "
        "publishers/google/models/gemini-2.5-pro Gemini-2.5-Pro gemini_2.5_pro "
        "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro"
    ),
    "deepseek-ai/DeepSeek (unspecified)": (
        "deepseek-chat deepseek-reasoner deepseek/deepseek-chat deepseek/deepseek-reasoner"
    ),
    "deepseek-ai/DeepSeek-R1": (
        "deepseek-ai/DeepSeek-R1 deepseek-r1 deepseek/deepseek-r1:free deepseek/deepseek-r1 "
        "accounts/fireworks/models/deepseek-r1 DeepSeek_R1"
    ),
    "deepseek-ai/DeepSeek-R1-0528": (
        "deepseek-ai/deepseek-r1-0528-maas deepseek/deepseek-r1-0528:free"
    ),
    "deepseek-ai/DeepSeek-V3": "deepseek-v3 accounts/fireworks/models/deepseek-v3",
    "meta-llama/Llama-3.1-405B-Instruct": (
        "accounts/fireworks/models/llama-v3p1-405b-instruct meta.llama3-1-405b-instruct-v1:0 "
        "meta-llama/Meta-Llama-3.1-405B-Instruct meta-llama/llama-3.1-405b-instruct:free"
    ),
    "meta-llama/Llama-3.3-70B-Instruct": (
        "accounts/fireworks/models/llama-v3p3-70b-instruct meta-llama/llama-3.3-70b-instruct:free "
        "deepinfra/meta-llama/Llama-3.3-70B-Instruct"
    ),
    "meta-llama/Llama-3.1-8B-Instruct": "meta.llama3-1-8b-instruct-v1:0 Llama-3.1-8B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct": (
        "accounts/fireworks/models/qwen2p5-72b-instruct Qwen/Qwen2.5-72B-Instruct "
        "qwen/qwen-2.5-72b-instruct qwen/qwen2.5-72b-instruct"
    ),
    "Qwen/Qwen3-32B": "qwen/qwen3-32b groq/qwen/qwen3-32b qwen3:32b Qwen3_32B",
    "Qwen/QwQ-32B": "accounts/fireworks/models/qwq-32b qwen/qwq-32b:free",
    "moonshotai/Kimi-K2.6": "accounts/fireworks/models/kimi-k2p6 moonshotai/kimi-k2.6",
    "moonshotai/Kimi-K2-Thinking": (
        "accounts/fireworks/models/kimi-k2-thinking moonshot/kimi-k2-thinking"
    ),
    "mistralai/Mixtral-8x7B-Instruct-v0.1": (
        "mistral.mixtral-8x7b-instruct-v0:1 mistralai/mixtral-8x7b-instruct-v0.1 "
        "mistral/mixtral-8x7b-instruct-v0.1"
    ),
    "mistralai/Mistral-7B-Instruct-v0.2": "mistral.mistral-7b-instruct-v0:2",
    "mistralai/Mistral-Large-3-675B-Instruct-2512": "mistral-large-2512",
    "zai-org/GLM-4.5": "z-ai/glm-4.5 zai/glm-4.5 THUDM/GLM-4.5 glm-4.5",
    "xai/grok-3": "grok-3 x-ai/grok-3 xai/grok-3",
    "meta-llama/Llama-3.1-405B-Instruct-FP8": "meta-llama/Llama-3.1-405B-Instruct-FP8",
}
SAID = [(name, wanted) for wanted, names in TABLE.items() for name in names.split()]
OF_MAKER = {
    "Anthropic": (
        "claude-opus-4-20250514 claude-opus-4@20250514 claude-opus-4-1-20250805 claude-haiku-4-5 "
        "anthropic.claude-3-haiku-20240307-v1:0 eu.anthropic.claude-3-haiku-20240307-v1:0 "
        "claude-3-opus-20240229 claude-instant-1.2 anthropic.claude-instant-v1 "
        "claude-3-7-sonnet-latest"
    ),
    "OpenAI": "o3 o1-preview gpt-4.1-nano gpt-5.1-codex-max chatgpt-4o-latest gpt-4-1106-preview "
    "gpt-4-0125-preview gpt-4o-audio-preview-2024-12-17 gpt-5-pro-2025-10-06",
    "Google": "gemini-2.5-flash models/gemini-2.5-flash gemini-1.5-pro-002 "
    "gemini-flash-latest gemini-pro-latest gemini-flash-lite-latest "
    "gemini-2.5-flash-preview-09-2025 gemini-2.0-flash-lite-preview-02-05",
    "xAI": "grok-4.20-reasoning x-ai/grok-4.3",
}
# As clouds, routers and programs write them; see mashbill.policy.model_spellings for the sources.
SERVED = {
    "openai/gpt-4o": (
        "azure_ai/gpt-4o gpt4o GPT4o gpt-4o@latest gpt-4o:latest openrouter/openai/gpt-4o "
        "litellm_proxy/gpt-4o azure/gpt4o"
    ),
    "openai/gpt-4": "gpt4 GPT4 openai/gpt4 gpt4-0613",
    "openai/gpt-3.5-turbo": "gpt-35-turbo azure/gpt-35-turbo gpt-35-turbo-0125",
    SONNET: (
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0 "
        "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/"
        "eu.anthropic.claude-sonnet-4-20250514-v1:0 claude-sonnet-4@latest claude-sonnet-4@default "
        "bedrock/converse/us.anthropic.claude-sonnet-4-20250514-v1:0 "
        "bedrock_converse/anthropic.claude-sonnet-4-20250514-v1:0 "
        "claude-sonnet-4-20250514-thinking anthropic/claude-sonnet-4:thinking "
        "vertex_ai/claude-sonnet-4@default"
    ),
    SONNET35: "claude-3-5-sonnet-20241022-thinking",
    "google/gemini-2.5-pro": "gemini-2.5-pro@default gemini-2.5-pro@latest",
    "meta-llama/Llama-3.1-8B-Instruct": (
        "@cf/meta/llama-3.1-8b-instruct cloudflare/@cf/meta/llama-3.1-8b-instruct "
        "https://huggingface.co/meta-llama/Llama-3.1-8B-Instruct "
        "hf.co/meta-llama/Llama-3.1-8B-Instruct nvidia_nim/meta/llama-3.1-8b-instruct"
    ),
    "deepseek-ai/DeepSeek-R1": "deepseek.r1-v1:0 us.deepseek.r1-v1:0 sambanova/deepseek-r1",
    "Qwen/Qwen3-32B": "cerebras/qwen3-32b ollama/qwen3:32b",
}
SAID += [(name, wanted) for wanted, names in SERVED.items() for name in names.split()]
SAID += [("Claude 3.5 Sonnet (new)", SONNET35), ("Claude Sonnet 4 (beta)", SONNET)]
MORE_OF_MAKER = {
    "OpenAI": "gpt-35-turbo-16k text-davinci-002 code-davinci-002 davinci-002 gpt-5-mini o4-mini "
    "gpt-4o-realtime-preview-2024-12-17 openai/o1-mini-2024-09-12 o3-mini-high",
    "Anthropic": "claude-v1.3 claude-3-7-sonnet-20250219-thinking claude-4.5-sonnet "
    "anthropic.claude-fable-5 anthropic.claude-opus-4-6-v1 "
    "anthropic/claude-3.7-sonnet:thinking "
    "bedrock/us.anthropic.claude-3-5-haiku-20241022-v1:0",
    "Google": "gemini-1.5-flash-8b gemini-1.5-flash-8b-latest gemini-pro gemini-pro-vision "
    "gemini-2.0-flash-001 google/gemini-2.0-flash-exp:free gemini-ultra",
    "xAI": "grok-beta grok-vision-beta x-ai/grok-4-fast:free",
    "Amazon": "amazon.nova-pro-v1:0 us.amazon.nova-premier-v1:0 amazon/nova-lite-v1 "
    "amazon.titan-text-express-v1 amazon.titan-tg1-large",
}
for maker, names in MORE_OF_MAKER.items():
    OF_MAKER[maker] = f"{OF_MAKER.get(maker, '')} {names}"
BY_MAKER = [(name, maker) for maker, names in OF_MAKER.items() for name in names.split()]
BESIDE = {
    "openai/gpt-4o": [
        "GPT-4o (OpenAI)",
        "[OpenAI] gpt-4o",
        "OpenAI GPT-4o",
        "OpenAI: GPT-4o",
        "GPT-4o [OpenAI]",
        "gpt-4o by OpenAI",
        "gpt-4o (Azure)",
        "GPT-4o via Azure OpenAI",
        "gpt-4o-2024-05-13 (OpenAI)",
    ],
    "openai/chatgpt": ["ChatGPT (OpenAI)", "ChatGPT by OpenAI", "OpenAI ChatGPT"],
    "xai/grok-3": ["Grok 3 (xAI)", "xAI: Grok 3"],
    SONNET: [
        "Anthropic: Claude Sonnet 4",
        "Claude Sonnet 4 by Anthropic",
        "Claude Sonnet 4 (Anthropic)",
        "claude-sonnet-4-20250514 (Anthropic)",
        "Claude Sonnet 4 (AWS Bedrock)",
    ],
    SONNET35: ["Claude 3.5 Sonnet (Anthropic)", "Anthropic Claude 3.5 Sonnet"],
    "google/gemini-2.5-pro": [
        "Google Gemini 2.5 Pro",
        "Google: Gemini 2.5 Pro",
        "Gemini 2.5 Pro from Google",
        "gemini-2.5-pro (Vertex AI)",
    ],
    "meta-llama/Llama-3.3-70B-Instruct": [
        "Llama 3.3 70B Instruct (Meta)",
        "Meta: Llama 3.3 70B Instruct",
        "Llama-3.3-70B-Instruct-Turbo",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free",
        "Llama 3.3 70B Instruct (Together AI)",
    ],
    "meta-llama/Llama-3.1-405B-Instruct": ["meta-llama/Meta-Llama-3.1-405B-Instruct-Turbo"],
    "meta-llama/Llama-3.1-8B-Instruct": [
        "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo",
        "Meta Llama 3.1 8B Instruct",
    ],
    "meta-llama/Meta-Llama-3-8B-Instruct": ["meta-llama/Meta-Llama-3-8B-Instruct-Lite"],
    "Qwen/Qwen2.5-7B-Instruct": ["Qwen/Qwen2.5-7B-Instruct-Turbo"],
    "Qwen/Qwen2.5-72B-Instruct": ["Qwen/Qwen2.5-72B-Instruct-Turbo"],
    "Qwen/Qwen3-32B": ["Qwen3-32B (Alibaba)", "Qwen: Qwen3 32B"],
    "deepseek-ai/DeepSeek-R1": ["DeepSeek R1 (DeepSeek)", "DeepSeek: DeepSeek R1"],
    "moonshotai/Kimi-K2-Thinking": ["Kimi K2 Thinking (Moonshot AI)"],
}
SAID += [(name, wanted) for wanted, names in BESIDE.items() for name in names]
CURRENT = {
    "Mistral AI": [
        "mistral-large-latest", "mistral-small-latest", "mistral-medium-latest", "codestral-latest",
        "mistral-medium-2505", "ministral-8b-latest", "magistral-medium-latest",
        "pixtral-large-latest", "mistral/mistral-large-latest", "Mistral AI: mistral-large-latest",
        "mistral-large-latest (Mistral)", "mistral-tiny", "open-mistral-7b", "open-mistral-nemo",
        "mistral.mistral-large-2402-v1:0", "devstral-small-2505", "mistral-medium-3.1",
        "us.mistral.pixtral-large-2502-v1:0"],
    "Alibaba": ["qwen-plus-latest", "qwen-turbo-latest", "qwq-plus-latest", "qwen-max", "qwen3-max",
                "qwen-max-latest", "qwen-max-2025-01-25", "qwen-turbo"],
    "DeepSeek": ["deepseek-v3.1", "deepseek/deepseek-chat-v3.1:free", "deepseek-coder",
                 "deepseek-ai/DeepSeek-V3-0324"],
    "Moonshot AI": ["moonshotai/kimi-k2", "moonshotai/kimi-k2:free"],
    "Cohere": ["command-r-plus-08-2024", "cohere.command-text-v14", "command-r7b-12-2024"],
    "Perplexity AI": ["perplexity/sonar-pro", "sonar-reasoning-pro"],
}  # fmt: skip
"""names of whichever model is current, which may have open weights or none"""
PACKED = {
    "Qwen/Qwen2.5-7B-Instruct-GGUF": "Qwen/Qwen2.5-7B-Instruct",
    "bartowski/Qwen2.5-7B-Instruct-GGUF": "Qwen/Qwen2.5-7B-Instruct",
    "TheBloke/Mixtral-8x7B-Instruct-v0.1-AWQ": "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "TheBloke/Mixtral-8x7B-Instruct-v0.1-GPTQ": "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "unsloth/Llama-3.3-70B-Instruct-bnb-4bit": "meta-llama/Llama-3.3-70B-Instruct",
    "neuralmagic/Qwen2.5-72B-Instruct-FP8-dynamic": "Qwen/Qwen2.5-72B-Instruct",
    "Qwen3-8B-Q4_K_M": "Qwen/Qwen3-8B",
    "mlx-community/Qwen3-8B-4bit": "Qwen/Qwen3-8B",
    "mradermacher/Qwen3-8B-i1-GGUF": "Qwen/Qwen3-8B",
    "hf.co/bartowski/Llama-3.3-70B-Instruct-GGUF:Q4_K_M": "meta-llama/Llama-3.3-70B-Instruct",
    "ft:gpt-4o-2024-08-06:acme::abc123": "openai/gpt-4o-2024-08-06",
    "ft:gpt-3.5-turbo-0125:acme:tickets:9x": "openai/gpt-3.5-turbo",
}
UNKNOWN = [
    "acme/gpt-4o", "acme/my-gpt-4-finetune", "gpt-4-x-alpaca", "gpt4-x-vicuna",
    "claude-distill-7b", "gpt4all", "my-claude-sonnet-4", "deepseek-chat-lora", "gpt-4o-acme",
    "gemini-2.5-pro-distill", "acme/claude-sonnet-4-20250514", "acme/claude-sonnet-4",
    "gpt-4-99999999", "gpt-4-2024-13-45", "chatgpt-prompts", "openchat/claude-opus-4", "gpt",
    "sonnet", "7b", "instruct", "qwen-2.5-32b-acme", "not-gpt-4", "gpt-4-alpaca-lora-7b",
    "acme.claude-sonnet-4-20250514-v1:0", "us.acme.claude-v2:1",
    "accounts/acme/models/llama-v3p1-405b-instruct", "llama-v3p1-405b-instruct", "ft:acme-7b:x",
    "acme/unknown-7b-GGUF", "GGUF", "-GGUF", "ollama/llama99", "deepseek-chat-v9", "reasoner",
    "GPT-4o (Acme)", "Claude Sonnet 4 (OpenAI)", "OpenAI Claude Sonnet 4", "Acme GPT-4o",
    "GPT-4o (OpenAI) (tuned)", "GPT-4o by OpenAI and us", "My GPT-4o (OpenAI)", "(OpenAI)",
    "OpenAI:",
    "Azure gpt-4o", "acme/Llama-3.3-70B-Instruct-Turbo", "Llama-3.3-70B-Turbo", "acme-large-latest",
    "mistral-acme-latest", "mistral-large-9999", "my-mistral-large-latest",
    "Qwen3-8B-GGUF (Alibaba)",
    "tuned from gpt-4o", "distilled from Claude Sonnet 4", "text by OpenAI", "Claude (Monet)",
    "Gemini (zodiac)", "acme-Instruct-Turbo", "gpt-4o and Claude Sonnet 4 (OpenAI)",
    "acme/mistral-large-latest", "like GPT-4o from OpenAI",
    "gpt-4o-thinking", "acme@latest", "openrouter/auto", "@cf/acme/llama-7b", "deepseek-v9",
    "arn:aws:bedrock:us-east-1:1:provisioned-model/abc", "gpt4-x", "nova", "command", "sonar",
    "titan", "qwen-max-acme", "claude-monet-4", "nova-scotia", "ollama/mine", "gpt4ever",
    "arn:aws:s3:::gpt-4o", "acme/kimi-k2", "davinci-code", "text-me-001", "grok-beta-acme",
    "openai-community/gpt-5", "teknium/gpt-4", "claude-sonnet-4-finetuned-20250514",
]  # fmt: skip


@table(("name", "wanted"), SAID)
def test_a_name_is_led_to_the_model_and_says_how(name, wanted):
    found = resolve(name)
    assert found.id == wanted
    assert found.how
    assert not found.made_of
    entity = load_catalogue().find(wanted)
    assert (found.provider, found.kind) == (entity.provider, entity.kind)
    assert str(found) == f"{name} is {wanted} ({', '.join(found.how)})"


@table(("name", "maker"), BY_MAKER)
def test_a_name_that_only_its_maker_gives_says_whose_it_is(name, maker):
    found = resolve(name)
    assert (found.provider, found.kind) == (maker, "closed-api")
    assert found.how
    assert not found.made_of


@table(("name", "maker"), [(name, maker) for maker, names in CURRENT.items() for name in names])
def test_a_name_for_whichever_model_is_current_says_no_more_than_whose_it_is(name, maker):
    found = resolve(name)
    assert (found.provider, found.kind, found.id) == (maker, "unknown", "")
    assert "by its maker's way of naming" in found.how


@table("name", [name for name, _ in [*SAID, *BY_MAKER]])
def test_what_is_resolved_is_a_models_name_to_marks(name):
    """Marks tell most texts by their letters alone, which must hide no name that is resolved."""
    assert looks_like_a_model(name)


@pytest.mark.parametrize(("name", "base"), PACKED.items())
def test_a_repack_or_a_fine_tune_is_made_of_a_model_and_is_not_it(name, base):
    found = resolve(name)
    assert (found.made_of, found.id) == (base, "")
    assert (found.provider, found.kind) == ("unknown", "unknown")
    assert "not the same thing" in str(found)
    with pytest.raises(InputError, match="is made of"):
        find_named(name, load_catalogue())


@table("name", UNKNOWN)
def test_a_name_that_has_a_models_name_in_it_stays_unknown(name):
    found = resolve(name)
    assert (found.id, found.made_of, found.provider, found.kind) == ("", "", "unknown", "unknown")
    assert not found.how
    assert "is not resolved" in str(found)


def test_the_table_is_as_large_as_is_said():
    assert len({name for name, _ in SAID}) >= 120
    assert len(set(UNKNOWN)) >= 35


@pytest.mark.parametrize("name", ["None", "", "n/a", "x" * 400, "unknown", "\u202egpt-4o", "a\nb"])
def test_what_is_no_name_is_not_resolved(name):
    assert not resolve(name).is_known


def test_near_names_are_told():
    assert "openai/gpt-4o" in str(resolve("gpt-4o-acme"))
    assert resolve("gtp-4o").near
    with pytest.raises(InputError, match="did you mean"):
        find_named("gpt-4o-acme", load_catalogue())


@law(150)
@given(st.sampled_from([n for n, _ in SAID]), st.from_regex(r"[a-z]{3,8}", fullmatch=True))
def test_a_word_more_in_a_name_is_another_model(name, word):
    last = name.rpartition("/")[2]
    for other in (f"{last}{word}", f"{word}{last}", f"{word}/{last}" if ":" not in last else last):
        if other == last:
            continue
        found = resolve(other)
        if found.id:  # only where the catalogue has just that name
            names = load_catalogue().names
            assert found.id == names.get(other) or word in ("latest", "free")


@law(60)
@given(st.text(max_size=60))
def test_any_text_is_resolved_or_is_not(text):
    found = resolve(text)
    assert found.is_known == bool(found.how)
    assert str(found)


def test_a_catalogue_of_ones_own_is_asked_the_same():
    entity = Entity(id="acme/otter-1", what="model", kind="closed-api", provider="Acme")
    own = Catalogue({entity.id: entity}, (), {entity.id: entity.id})
    found, how = find_named("Otter_1-20260101", own)
    assert found is entity
    assert "by the date at its end" in how
    assert resolve("gpt-4o", own).id == ""


# ---- an import ----

IMPORT = '[stages.got]\nkind = "import"\ntitle = "Set"\nsource = "got.jsonl"\n'


def test_an_import_knows_the_names_of_its_generators(tmp_path):
    names = ["claude-sonnet-4", "gpt-4o-2024-08-06", "acme/gpt-4o", "Qwen3-8B-GGUF", "mine"]
    rows = [{"text": f"row {i}", "generator": name} for i, name in enumerate(names)]
    more = '[stages.got.models.mine]\nkind = "open-weights"\nprovider = "Us"\n'
    store = run_stages(tmp_path, IMPORT + more, {"got.jsonl": rows})
    manifest = store.find("got")
    table = NodeTable.of(store, manifest)
    found = [source_of(table.bodies[table.numbered[row[BILL]]]) for row in rows_of(store, "got")]
    assert [(s.name, s.kind, s.provider) for s in found] == [
        ("claude-sonnet-4", "closed-api", "Anthropic"),
        ("gpt-4o-2024-08-06", "closed-api", "OpenAI"),
        ("acme/gpt-4o", "unknown", "unknown"),
        ("Qwen3-8B-GGUF", "unknown", "unknown"),
        ("mine", "open-weights", "Us"),
    ]
    told = manifest.measures["names"]
    assert told.keys() == set(names) - {"mine"}
    assert "by its name without its owner" in told["claude-sonnet-4"]
    assert "did you mean" in told["acme/gpt-4o"]
    assert json.dumps(told)
