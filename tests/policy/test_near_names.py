"""Who asks for a name that is none is told which may be meant, whatever he got wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tables import table

from mashbill import InputError
from mashbill.policy.claims import load_catalogue
from mashbill.policy.model_names import find_named
from mashbill.policy.near_names import HOLDING, closest

CATALOGUE = load_catalogue()

# The 48 names of the issue: whoever asks for one of them has to find it.
WELL_KNOWN = [
    "Qwen/Qwen3-8B", "Qwen/Qwen3.5-397B-A17B", "deepseek-ai/DeepSeek-V3",
    "deepseek-ai/DeepSeek-V3.2", "deepseek-ai/DeepSeek-V4-Pro", "moonshotai/Kimi-K2-Instruct",
    "moonshotai/Kimi-K3", "zai-org/GLM-4.5", "zai-org/GLM-5", "MiniMaxAI/MiniMax-M2",
    "openai/gpt-oss-20b", "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "allenai/Olmo-3-32B-Think",
    "allenai/Olmo-3.1-32B-Instruct", "HuggingFaceTB/SmolLM3-3B", "microsoft/phi-4",
    "google/gemma-3-27b-it", "google/gemma-4-31b-it", "meta-llama/Llama-4-Scout-17B-16E-Instruct",
    "mistralai/Mistral-Large-3-675B-Instruct-2512", "mistralai/Ministral-3-8B-Instruct-2512",
    "open-thoughts/OpenThoughts-114k", "allenai/tulu-3-sft-mixture", "allenai/Dolci-Instruct-SFT",
    "allenai/Dolci-Think-SFT", "nvidia/Llama-Nemotron-Post-Training-Dataset",
    "Magpie-Align/Magpie-Pro-300K-Filtered", "openbmb/UltraFeedback", "HuggingFaceTB/cosmopedia",
    "HuggingFaceTB/finemath", "NousResearch/Hermes-3-Llama-3.1-8B", "simplescaling/s1K",
    "simplescaling/s1K-1.1", "GAIR/LIMO", "NovaSky-AI/Sky-T1-32B-Preview",
    "bespokelabs/Bespoke-Stratos-17k", "open-r1/OpenR1-Math-220k", "a-m-team/AM-Thinking-v1",
    "tatsu-lab/alpaca", "lmsys/vicuna-7b-v1.5", "microsoft/Orca-2-13b",
    "HuggingFaceH4/zephyr-7b-beta", "teknium/OpenHermes-2.5", "perplexity-ai/r1-1776",
    "LGAI-EXAONE/EXAONE-4.0-32B", "swiss-ai/Apertus-8B-Instruct-2509", "nvidia/OpenCodeReasoning",
    "nvidia/OpenMathReasoning",
]  # fmt: skip


@table("name", WELL_KNOWN)
def test_the_well_known_are_found_by_their_id_in_any_case_and_by_their_bare_name(name):
    entity = CATALOGUE.find(name)
    assert not entity.is_bare
    assert CATALOGUE.find(name.upper()) == entity
    assert CATALOGUE.find(f"hf:{name.split('/')[1]}") == entity


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("zephyr-beta", "HuggingFaceH4/zephyr-7b-beta"),
        ("zephry-7b", "HuggingFaceH4/zephyr-7b-beta"),
        ("claude-sonnet-4-20250514", "anthropic/claude-sonnet-4"),
        ("llama3.1:8b", "meta-llama/Llama-3.1-8B"),
        ("SmolLM3-3B-Intruct", "HuggingFaceTB/SmolLM3-3B"),
        ("Qwen/Qwen3_8B", "Qwen/Qwen3-8B"),
        ("mixtral-8x7b-instruct", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
    ],
)
def test_a_name_that_is_none_leads_to_what_was_meant(asked, meant):
    with pytest.raises(InputError) as error:
        CATALOGUE.find(asked)
    assert meant in str(error.value)


@law(200)
@given(st.text(alphabet="abQ3-_./ :é", max_size=12), st.lists(st.text("ab3-/", max_size=6)))
def test_what_is_told_is_there_and_never_more_than_can_be_read(asked, names):
    told = closest(asked.lower(), lambda part: (n for n in names if part in n))
    assert set(told) <= set(names)
    assert len(told) <= HOLDING


def slips(name):
    """Each way to leave one character of a name out, or to swap two that stand side by side."""
    left_out = (name[:at] + name[at + 1 :] for at in range(len(name)))
    swapped = (name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1))
    return sorted({*left_out, *swapped} - {name})


@law(100)
@given(st.sampled_from(WELL_KNOWN), st.data())
def test_one_slip_of_the_hand_leads_to_what_was_meant(name, data):
    asked = data.draw(st.sampled_from(slips(name.split("/")[1])))
    if len(asked) <= 4:  # a swap in four letters leaves no two that stand side by side
        return
    try:
        find_named(asked, CATALOGUE)  # a slip may make the name of something else
    except InputError as error:
        told = str(error)
        assert name in told


@table("name", WELL_KNOWN)
def test_the_well_known_are_found_as_people_write_them(name):
    """Found, or what it was made of is named: a packing of somebody else is another thing."""
    bare = name.split("/")[1]
    written = [
        name.lower(), bare.lower(), f"hf:{name}", f"hf:datasets/{name}", f"{name}/",
        f"https://huggingface.co/{name}", f"https://huggingface.co/datasets/{name}",
        bare.replace("-", " "), bare.replace("-", "_"), f"{name}@main",
    ]  # fmt: skip
    packed = [f"{name}-GGUF", f"bartowski/{bare}-GGUF", f"{bare}-AWQ", f"unsloth/{bare}"]
    tail = bare.rsplit("-", 1)[-1].lower()
    shorter = [bare[: -len(tail) - 1]] if tail in {"instruct", "it", "think", "preview"} else []
    for asked in (*written, *packed, *shorter):
        try:
            told = find_named(asked, CATALOGUE)[0].id
        except InputError as error:
            told = str(error)
        assert name in told or asked in shorter, asked


def test_of_each_well_known_name_the_making_is_told_or_was_looked_for():
    told = {claim.child for claim in CATALOGUE.claims}
    found = [CATALOGUE.find(name) for name in WELL_KNOWN]
    assert [e.id for e in found if e.id not in told and not e.making_looked] == []
