"""The size of a model as its maker writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_tables import table

from mashbill.policy.claims import load_catalogue
from mashbill.policy.sizes import parameters_by_name, total_parameters
from mashbill.policy.source_reference import parse_sources


@table(
    ("stated", "billions"),
    [
        ("671B MoE", 671), ("671B MoE, 37B active", 671), ("31.6B MoE, 3.2B active", 31.6),
        ("2T MoE, 288B active", 2000), ("30B/3B", 30), ("235B-A22B", 235), ("2.4T/95B", 2400),
        ("1T/32B", 1000), ("120B/12B", 120), ("7B", 7), ("0.6B", 0.6), ("270M", 0.27),
        ("E2B/E4B/12B/26B-A4B/31B", None), ("0.35B-30B", None), ("7B/13B/70B", None),
        ("7B/13B", None), ("8x7B", None), ("", None), ("large", None),
    ],
)  # fmt: skip
def test_a_size_is_that_of_one_model_or_none(stated, billions):
    assert total_parameters(stated) == (None if billions is None else pytest.approx(billions * 1e9))


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen/Qwen3-235B-A22B", 235), ("allenai/OLMo-2-0325-32B", 32), ("x/y-1.5B-Instruct", 1.5),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", None), ("mistralai/Mixtral-8x7B", None),
        ("x/8x22B-and-7B", None), ("microsoft/phi-4", None), ("g/gemma-3n-E4B", None),
        ("7B/model", None), ("google/gemma-2-27b-it", 27), ("t5/t5-60m", 0.06),
        ("Qwen/Qwen2.5-7B-Instruct-1M", 7), ("x/y-1M", None), ("x/llama-7b-4bit", 7),
        ("x/70B-with-draft-1B", None),
    ],
)  # fmt: skip
def test_a_name_says_a_size_or_nothing(name, billions):
    found = parameters_by_name(name)
    assert found == (None if billions is None else pytest.approx(billions * 1e9))


@given(st.text(max_size=60))
def test_any_text_is_a_size_or_none(text):
    for found in (total_parameters(text), parameters_by_name(text)):
        assert found is None or found >= 0


def test_of_models_that_state_a_size_in_the_catalogue_nearly_all_have_one():
    stated = [e for e in load_catalogue().entities.values() if e.what == "model" and e.parameters]
    without = {e.parameters for e in stated if total_parameters(e.parameters) is None}
    assert len(stated) > 100
    assert all("/" in size or "x" in size or "-" in size for size in without), without


def test_context_and_media_of_the_catalogue_have_a_source_that_can_be_opened():
    told = [e for e in load_catalogue().entities.values() if e.context or e.takes]
    assert len(told) >= 30
    for entity in told:
        (source,) = parse_sources(entity.measures_source)
        assert source.can_be_opened, entity.id
        assert source.is_exact, entity.id
