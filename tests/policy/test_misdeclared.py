"""What a recipe says of a known model's name: what differs from the catalogue is said, no more."""

from datetime import date

import pytest
from tests_tables import table

from mashbill import Source
from mashbill.core.use import Use
from mashbill.policy.case import Question
from mashbill.policy.decision import strictest
from mashbill.policy.documents import load_registry
from mashbill.policy.misdeclared import differs_from_known, is_another
from mashbill.policy.model_names import apart, resolve
from mashbill.policy.restrictions import decide_use

REGISTRY = load_registry()


def model(name, kind="unknown", provider="unknown", what="model"):
    return Source(name=name, what=what, kind=kind, route="weights", provider=provider)


@pytest.mark.parametrize(
    ("asked", "name", "kind", "provider", "another"),
    [
        ("gpt-4o", "Qwen2.5-7B-Instruct", "open-weights", "Alibaba", True),
        ("gpt-4o", "gpt-4o", "open-weights", "OpenAI", True),
        ("gpt-4o", "gpt-4o", "closed-api", "Acme", True),
        ("gpt-4o", "Otter", "unknown", "unknown", True),
        ("gpt-4o", "gpt-4.1", "closed-api", "OpenAI", True),
        ("o3", "Otter", "closed-api", "OpenAI", True),
        ("ft:gpt-4o:acme", "Otter", "open-weights", "Acme", True),
        ("deepseek-r1", "Otter", "open-weights", "DeepSeek", True),
        ("gpt-4o", "gpt-4o", "closed-api", "OpenAI", False),
        ("gpt-4o", "GPT-4o", "closed-api", "openai", False),
        ("gpt-4o", "OpenAI GPT-4o", "closed-api", "OpenAI", False),
        ("gpt-4o", "gpt-4o-2024-08-06", "unknown", "unknown", False),
        ("o3", "openai/o3", "closed-api", "OpenAI", False),
        ("qwen2.5-7b-instruct", "Qwen2.5-7B-Instruct", "open-weights", "Alibaba", False),
        ("their-model", "Otter", "open-weights", "Acme", False),
        ("big-open", "Big Open", "open-weights", "P", False),
    ],
)
def test_a_known_name_said_to_be_another(asked, name, kind, provider, another):
    assert is_another(REGISTRY, asked, model(name, kind, provider)) is another


@pytest.mark.parametrize("name", ["gpt-4o", "claude-sonnet-4", "deepseek-r1"])
def test_a_known_name_is_not_people(name):
    assert is_another(REGISTRY, name, model("Set: people", "human", what="dataset"))


@pytest.mark.parametrize(
    ("name", "kind", "provider", "says"),
    [
        ("gpt-4o", "open-weights", "OpenAI",
         "declared as kind open-weights, but the catalogue knows openai/gpt-4o as kind closed-api"),
        ("gpt-4o (stand-in)", "open-weights", "OpenAI", "kind closed-api"),
        ("claude-sonnet-4", "open-weights", "Acme", "kind closed-api and of Anthropic"),
        ("claude-sonnet-4", "closed-api", "Acme", "of Anthropic"),
        ("gpt-4o", "own-dataset", "unknown", "kind closed-api"),
        ("gpt-4o", "human", "unknown", "kind closed-api"),
        ("meta-llama/Llama-3.1-8B-Instruct", "open-weights", "Meta Somebody", "of Meta"),
        ("meta-llama/Llama-3.1-8B-Instruct", "open-weights", "Meta", ""),
        ("meta-llama/Llama-3.1-8B-Instruct", "open-weights", "Meta AI", ""),
        ("gpt-4o", "closed-api", "OpenAI", ""),
        ("gpt-4o", "unknown", "unknown", ""),
        ("gpt-4o", "test-double", "Acme", ""),
        ("gpt", "open-weights", "Acme", ""),
        ("Otter", "open-weights", "Acme", ""),
    ],
)  # fmt: skip
def test_what_differs_from_the_catalogue_is_said(name, kind, provider, says):
    found = differs_from_known(REGISTRY, model(name, kind, provider))
    assert (says in found) if says else not found


@table("name", ["gpt-4o", "gpt-4o (stand-in)", "claude-sonnet-4", "o3"])
@table("kind", ["open-weights", "own-dataset", "human"])
@table("route", ["weights", "in-process", "api:Acme", "dataset:Set"])
@table("called_by", ["us", "others", ""])
def test_nothing_that_is_declared_of_a_closed_model_gives_leave(name, kind, route, called_by):
    source = Source(name=name, what="model", kind=kind, route=route, provider="Acme",
                    license="MIT", called_by=called_by)  # fmt: skip
    use = Use(competes_with=["OpenAI"], commercial=True)
    found = decide_use(REGISTRY, Question(source, (), use, date(2026, 11, 20)))
    assert strictest(each.outcome for each in found) != "allow"
    (told,) = [each for each in found if each.rule == "differs-from-catalogue"]
    assert "the catalogue knows" in told.because
    assert told.lacking == ("origin",)


@pytest.mark.parametrize(("cell", "parts"), [
    ("gpt-4o, claude-3-5-sonnet, deepseek-r1", 3), ("gpt-4o/claude-3-opus", 2), ("gpt-4o + o3", 2),
    ("gpt-4o and claude-sonnet-4", 2), ("openai/gpt-4o", 1), ("Anna/gpt-4o", 1), ("x, y", 1),
    ("meta-llama/Llama-3.1-8B-Instruct", 1), ("gpt-4o, in-house-7", 2),
    ("in-house-7 and gpt-4o", 2),
    ("gpt-4o; our own, claude-sonnet-4", 3), ("a text that speaks at length of it, gpt-4o", 1),
    ("gpt-4o, human", 2), ("in-house-7, in-house-8", 1), ("us/gpt-4o, x", 1),
])  # fmt: skip
def test_a_cell_of_several_known_models_is_several(cell, parts):
    assert len(apart(cell)) == parts


@pytest.mark.parametrize(("name", "provider"), [
    ("OpenAI GPT-4o", "OpenAI"), ("Azure OpenAI gpt-4o", "OpenAI"),
    ("Gemini 1.5 Pro (Google)", "Google"), ("Anthropic GPT-4o", "unknown"), ("OpenAI", "unknown"),
])  # fmt: skip
def test_a_name_as_it_is_shown_is_its_makers(name, provider):
    assert resolve(name).provider == provider
