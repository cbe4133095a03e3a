"""The shipped terms registry: whole, unambiguous, and told apart by day."""

import re
from datetime import date
from pathlib import Path

import pytest

from mashbill import InputError
from mashbill.policy.claims import load_catalogue
from mashbill.policy.clauses import DERIVATIVE, TOLD, USE, Clause
from mashbill.policy.documents import load_registry, own_name
from mashbill.policy.licences import spdx_identifier, spelled

REGISTRY = load_registry()
MODELS = {
    "Meta": ["Llama-2-7b-hf", "Meta-Llama-3-8B", "Llama-3.1-405B-Instruct", "Llama-3.2-1B",
             "Llama-3.3-70B-Instruct", "Llama-4-Scout-17B-16E"],
    "Google": ["gemma-2-2b-it", "gemma-3-27b-it", "gemma-3n-E4B", "gemma-4-31B"],
    "DeepSeek": ["DeepSeek-R1", "DeepSeek-R1-Distill-Llama-8B", "DeepSeek-V3-Base"],
    "Alibaba": ["Qwen2.5-7B-Instruct", "Qwen2.5-72B-Instruct", "Qwen2.5-3B", "Qwen3-32B",
                "Qwen3.8-27B", "Qwen3.8-2.4T-A95B", "Qwen3.8-Flash-Next"],
    "Moonshot AI": ["Kimi-K2-Instruct", "Kimi-K2.5", "Kimi-K2.6", "Kimi-K3"],
    "MiniMax": ["MiniMax-M1-80k", "MiniMax-M2", "MiniMax-H3"],
    "Tencent": ["Hunyuan-A13B-Instruct", "Hunyuan-7B"],
    "Liquid AI": ["LFM2-1.2B"],
    "Z.ai": ["GLM-5.2", "GLM-5.3", "GLM-5.3-Flash"],
    "Mistral AI": ["Mistral-Large-3", "Mistral-Medium-3.5", "Ministral-3-8B"],
    "NVIDIA": ["NVIDIA-Nemotron-Nano-9B-v2", "NVIDIA-Nemotron-3-Nano-30B-A3B",
               "NVIDIA-Nemotron-3-Super-120B-A12B"],
    "OpenAI": ["gpt-oss-20b", "gpt-oss-120b"],
    "xAI": ["grok-2"],
    "Microsoft": ["phi-4"],
    "Hugging Face": ["SmolLM2-135M-Instruct", "SmolLM3-3B"],
    "Ai2": ["Olmo-3-1125-32B"],
}  # fmt: skip
DAYS = [date(2024, 6, 1), date(2025, 7, 1), date(2026, 3, 12), date(2026, 11, 24)]


def test_no_model_is_under_two_licences_on_a_day():
    for provider, names in MODELS.items():
        for name in names:
            licensed = REGISTRY.governing(provider, name, "weights")
            assert [d for d in licensed if d.kind == "licence"], f"{provider} {name}"
            for day in DAYS:
                found = [
                    d.id
                    for d in REGISTRY.governing(provider, name, "weights", day)
                    if d.kind == "licence"
                ]
                assert len(found) <= 1, f"{name} on {day}: {found}"


def test_every_version_can_be_found_again_and_follows_the_one_before():
    for document in REGISTRY.documents:
        ends = None
        for version in document.versions:
            pointer = version.pointer
            assert pointer.seen_in or pointer.archive, document.id
            assert version.second_hand or not pointer.seen_in, document.id
            if ends and version.begins:
                assert version.begins >= ends, document.id
            ends = version.superseded_by or version.begins
        last = document.versions[-1]
        assert document.kind == "licence" or last.superseded_by or last.observed_on, document.id


def test_fragments_are_a_few_words_and_paraphrases_our_own():
    for document in REGISTRY.documents:
        for version in document.versions:
            for clause in version.clauses:
                assert len(clause.fragment.split()) <= 8, (document.id, clause.fragment)
                assert clause.fragment not in clause.says or not clause.fragment


def test_every_code_is_read_by_an_engine_or_told():
    used = {c.code for d in REGISTRY.documents for v in d.versions for c in v.clauses}
    assert used <= USE | DERIVATIVE | TOLD
    assert not TOLD & (USE | DERIVATIVE)
    assert len(used) >= 16


def test_the_figures_of_the_docs_are_those_of_the_registry():
    root = Path(__file__).parents[2]
    told = (root / "docs" / "terms-facts.md").read_text(encoding="utf-8")
    versions = [v for d in REGISTRY.documents for v in d.versions]
    archived = [
        d.id
        for d in REGISTRY.documents
        for v in d.versions
        if v.pointer.archive.startswith("OpenTermsArchive/")
    ]
    figures = [
        (r"holds (\d+) documents of (\d+) providers, in (\d+) versions; (\d+) versions",
         (len(REGISTRY.documents), len({d.provider for d in REGISTRY.documents}), len(versions),
          sum(v.second_hand for v in versions))),
        (r"(\d+) versions of (\d+) documents were read in Open Terms Archive",
         (len(archived), len(set(archived)))),
    ]  # fmt: skip
    for pattern, wanted in figures:
        found = re.search(pattern, told)
        assert found, pattern
        assert tuple(map(int, found.groups())) == wanted
    providers = len({d.provider for d in REGISTRY.documents})
    assert f"texts of {providers} providers" in (root / "README.md").read_text(encoding="utf-8")


def test_a_provider_has_one_name_and_many_aliases():
    assert REGISTRY.provider("meta-llama").name == "Meta"
    assert REGISTRY.provider("QWEN").name == "Alibaba"
    assert len({provider.name for provider in REGISTRY.providers.values()}) >= 20


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("meta-llama/Llama-3.1-8B", "llama-3.1-8b"),
        ("openai/gpt-4o (API)", "gpt-4o"),
        ("GLM-5.2", "glm-5.2"),
    ],
)
def test_licences_speak_of_a_models_own_name(written, name):
    assert own_name(written) == name


HEAD = """
provider = "X"
country = "US"
[[document]]
id = "ID"
title = "x"
kind = "terms"
routes = ["api"]
[[document.version]]
pointer = {}
[[document.version.clause]]
code = "CODE"
says = "nothing is said here"
"""
TAKEN = HEAD.replace("ID", "llama-3.1").replace("CODE", "no-clause-found")
LACKING = HEAD.replace("ID", "x").replace("CODE", "no-training")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("provider = 'X'", "country"),
        (TAKEN, "'llama-3.1' is there already"),
        (LACKING, "no-training needs scope"),
        ("provider = ", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_told_with_its_key(tmp_path, text, message):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_registry([path])
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_a_clause_has_its_own_parameters_only():
    with pytest.raises(ValueError, match="notice has no scope"):
        Clause(code="notice", says="a notice is due", when=("weights",), scope="any-model")


def test_licences_are_spelt_as_spdx_spells_them():
    licences = {d.license for d in REGISTRY.documents if d.license}
    licences |= {e.license for e in load_catalogue().entities.values() if e.license}
    for licence in licences:
        assert spelled(licence) == licence
        for part in licence.split(" AND "):
            assert part.startswith("LicenseRef-") or spdx_identifier(part) == part
