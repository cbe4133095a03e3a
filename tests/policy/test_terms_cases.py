"""What texts say on both sides of each change: rows of terms_cases.csv, read from the texts.

Each row names the text (repository, commit, path) and a few words of it that were read there. It
says which clauses a document has on a day, which version that is, and what a use comes to under it
alone. A text on both sides of a change is there with its last and with its first day.
"""

import csv
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from tests_tables import table

from mashbill import Source
from mashbill.core.use import Use
from mashbill.policy.case import Question, Student
from mashbill.policy.decision import strictest
from mashbill.policy.documents import load_registry
from mashbill.policy.restrictions import decide_use

REGISTRY = load_registry()
with Path(__file__).with_name("terms_cases.csv").open(newline="", encoding="utf-8") as stream:
    CASES = list(csv.DictReader(stream))
STUDENT = Student("student", "language-model", 1, frozenset())
ARCHIVES = {"OpenTermsArchive/genai-contrib-versions", "OpenTermsArchive/genai-eu-versions"}
SERVICES = {
    # each service of the two collections -> who provides it
    "Airon": "Airon", "Bardeen": "Bardeen", "Berget AI": "Berget AI", "Bolt.new": "StackBlitz",
    "ChatGPT": "OpenAI", "Civitai": "Civitai", "Claude.ai": "Anthropic", "Codeium": "Cognition",
    "Copy.AI": "Copy.AI", "Cursor": "Anysphere", "DALL·E": "OpenAI", "DeepSeek": "DeepSeek",
    "Doubao": "ByteDance", "Fireworks AI": "Fireworks AI", "GitHub Copilot": "GitHub",
    "Google Generative AI Services": "Google", "Grok": "xAI", "Incredible": "Norditech",
    "Intric": "Intric", "Jasper": "Jasper", "Kimi AI": "Moonshot AI", "Le Chat": "Mistral AI",
    "Liquid AI": "Liquid AI", "Llama API": "Meta", "Lovable": "Lovable", "Meta AI": "Meta",
    "Microsoft Copilot": "Microsoft", "Midjourney": "Midjourney", "Mistral AI": "Mistral AI",
    "Murf": "Murf", "Nous Research chat": "Nous Research", "OpenAI": "OpenAI",
    "OpenRouter": "OpenRouter", "Perplexity": "Perplexity", "Pirr": "Pirr",
    "Qwen Chat": "Alibaba", "Rephrase.ai": "Rephrase.ai", "Replicate": "Replicate",
    "Replit": "Replit", "SOUNDRAW": "SOUNDRAW", "SambaNova": "SambaNova", "Sana": "Sana",
    "Scribe": "Scribe", "Speechify": "Speechify", "Stability AI": "Stability AI",
    "Tandem Health": "Tandem Health", "Tempo Labs": "Tempo Labs", "Together AI": "Together AI",
    "Vibe": "Mistral AI", "Wenxinyiyan": "Baidu", "Wordtune": "Wordtune", "fal": "fal",
    "xAI": "xAI",
}  # fmt: skip


def source_of(case):
    """Return the model as it is reached in a row."""
    route, who = case["route"], case["provider"]
    ways = {
        "api": (f"api:{who}", "closed-api"),
        "consumer": ("consumer", "closed-api"),
        "router": (f"router:{who}", "closed-api"),
        "host": (f"host:{who}", "open-weights"),
        "weights": ("weights", "open-weights"),
    }
    way, kind = ways[route]
    return Source(
        name=case["model"], what="model", kind=kind, route=way, provider=case["maker"] or who
    )


def use_of(case):
    competes = case["competes_with"]
    return Use(
        competes_with=([] if competes == "none" else competes.split(";")) if competes else None,
        commercial={"yes": True, "no": False, "": None}[case["commercial"]],
        authorised_by={case["authorised"]: "a letter"} if case["authorised"] else {},
    )


@table("case", CASES, ids=[f"{c['document']} {c['day']} {c['use']}" for c in CASES])
def test_a_text_says_on_its_day_what_was_read_in_it(case):
    day, document = date.fromisoformat(case["day"]), REGISTRY.document(case["document"])
    version = document.on(day)
    begins = version.begins.isoformat() if version and version.begins else ""
    codes = sorted({clause.code for clause in version.clauses}) if version else []
    assert (begins, ";".join(codes)) == (case["version"], case["codes"])

    decisions = decide_use(REGISTRY, Question(source_of(case), (STUDENT,), use_of(case), day))
    under_it = [d for d in decisions if d.document == document.id]
    assert under_it, [d.document for d in decisions]
    told = [(d.outcome, d.rule, d.because) for d in under_it]
    assert strictest(d.outcome for d in under_it) == case["outcome"], told
    if not case["version"]:
        assert [d.rule for d in under_it] == ["no-text-of-that-day"]
    elif case["commit"]:
        at = {d.pointer["commit"] for d in under_it}
        assert at == {document.on(day).pointer.commit}


def test_there_are_enough_rows_each_with_its_text_and_no_two_alike():
    assert len(CASES) >= 400
    asked = Counter((case["document"], case["day"], case["use"]) for case in CASES)
    assert max(asked.values()) == 1
    for case in CASES:
        assert all(case[key] for key in ("archive", "commit", "path", "why")), case
        assert 1 <= len(case["fragment"].split()) <= 8, case


def test_every_text_of_the_archive_has_a_row_on_its_first_day():
    days = {(case["document"], case["day"]) for case in CASES}
    lacking = [
        (document.id, day.isoformat())
        for document in REGISTRY.documents
        for version in document.versions
        if version.pointer.archive in ARCHIVES and not version.second_hand
        for day in [document.starts(version)]
        if (document.id, day.isoformat()) not in days
    ]
    assert lacking == []


def test_every_service_of_the_two_collections_has_a_document_of_its_provider():
    providers = {document.provider for document in REGISTRY.documents}
    assert set(SERVICES.values()) <= providers
    for service, provider in SERVICES.items():
        assert REGISTRY.provider(service), f"{service} is no alias of {provider}"
        assert REGISTRY.provider(service).name == provider
    paths = {
        version.pointer.path.split("/")[0]
        for document in REGISTRY.documents
        for version in document.versions
        if version.pointer.archive in ARCHIVES
    }
    assert paths <= set(SERVICES)
    assert set(SERVICES) - paths == {"DALL·E"}, "its terms are those of ChatGPT"


def decided(document, source, use, day=date(2026, 5, 1)):
    decisions = decide_use(REGISTRY, Question(source, (STUDENT,), use, day))
    return strictest(d.outcome for d in decisions if d.document == document)


def hosted(provider, name="black-forest-labs/FLUX.1-pro"):
    return Source(
        name=name, what="model", kind="open-weights", route="host:Replicate", provider=provider
    )


@pytest.mark.parametrize(
    ("provider", "competes", "outcome"),
    [
        ("Black Forest Labs", (), "allow"),
        ("Black Forest Labs", ("Black Forest Labs",), "deny"),
        ("Black Forest Labs", ("black forest labs",), "deny"),
        ("Black Forest Labs", ("Replicate",), "allow"),
        ("Black Forest Labs", ("Blackforest",), "review"),
        ("Black Forest Labs", None, "review"),
        ("unknown", (), "review"),
        ("unknown", ("Replicate",), "review"),
    ],
)
def test_a_bar_on_rivals_of_the_maker_asks_for_the_maker(provider, competes, outcome):
    assert decided("replicate-flux", hosted(provider), Use(competes_with=competes)) == outcome


@pytest.mark.parametrize(
    ("competes", "leave", "outcome"),
    [((), False, "allow"), (None, False, "review"), (("Meta",), False, "deny"),
     (("Meta",), True, "review"), (None, True, "review")],
)  # fmt: skip
def test_gathering_that_is_barred_for_rivals_asks_whether_it_is_one(competes, leave, outcome):
    source = Source(
        name="llama-4-maverick", what="model", kind="closed-api", route="api:Meta", provider="Meta"
    )
    use = Use(competes_with=competes, authorised_by={"Meta": "a letter"} if leave else {})
    assert decided("meta-model-api", source, use, date(2026, 8, 10)) == outcome
