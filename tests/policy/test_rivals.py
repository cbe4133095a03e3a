"""Whoever is declared to be competed with is known however the name is spelt, or it is review."""

from datetime import date

import pytest
from tests_tables import table

from mashbill.core.source import Source
from mashbill.core.use import Use
from mashbill.policy.case import Question, Student
from mashbill.policy.decision import strictest
from mashbill.policy.documents import load_registry
from mashbill.policy.restrictions import decide_use

REGISTRY = load_registry()
SPELT = {
    "OpenAI": ["openai", "OPENAI", "Open AI", "open-ai", "OpenAI, Inc.", "OpenAI Inc",
               "Open AI LLC", "OpenAI OpCo, LLC", "OpenAI Ireland Limited", " OpenAI "],
    "Anthropic": ["anthropic", "Anthropic PBC", "Anthropic, PBC", "ANTHROPIC"],
    "Google": ["Google LLC", "google", "Google Ireland Limited"],
    "DeepSeek": ["Deep Seek", "deep-seek", "DeepSeek"], "xAI": ["x.ai", "X AI", "xAI Corp."],
    "Mistral AI": ["Mistral", "MistralAI", "mistral-ai", "Mistral AI SAS"],
}  # fmt: skip
OTHERS = [
    "OpenAIs",
    "Open",
    "AI",
    "Acme",
    "usn-oai",
    "oai",
    "Googol",
    "Mist",
    "Inc",
    "",
    "Openly AI",
]


@table(("name", "spelt"), [(name, each) for name, all_ in SPELT.items() for each in all_])
def test_a_provider_is_known_however_it_is_spelt(name, spelt):
    found = REGISTRY.provider(spelt)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", OTHERS)
def test_another_name_is_nobodys(name):
    assert REGISTRY.provider(name) is None


def outcome(rival):
    source = Source(name="gpt-4o", what="model", kind="closed-api", route="api:OpenAI",
                    provider="OpenAI", country="US")  # fmt: skip
    student = Student("m@1", "classifier", 1, frozenset(), ("m@1",), ())
    use = Use(competes_with=[rival] if rival else [], commercial=True, distribution="public")
    found = decide_use(REGISTRY, Question(source, (student,), use, date(2026, 11, 20)))
    return strictest(each.outcome for each in found)


@pytest.mark.parametrize("spelt", SPELT["OpenAI"])
def test_a_rival_in_another_spelling_is_decided_about_as_by_its_name(spelt):
    assert outcome(spelt) == outcome("OpenAI")


@pytest.mark.parametrize("name", [name for name in OTHERS if name])
def test_a_rival_that_nobody_knows_is_never_leave(name):
    assert outcome(name) != "allow"
