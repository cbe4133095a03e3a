"""The shipped catalogue holds what docs/catalogue-facts.md says, and gives the known answers."""

import re
from collections import Counter, deque
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from mashbill.policy.claim_rows import read_rows
from mashbill.policy.claims import Claim as ClaimRow
from mashbill.policy.claims import Entity as EntityRow
from mashbill.policy.claims import load_catalogue
from mashbill.policy.relations import RELATIONS
from mashbill.policy.source_reference import can_be_opened, parse_sources

OF_ITS_OWN_MAKING = {"content", "logits", "weights", "transform"}

# What the tables of facts knew, and what was read since: a closed model and its least depth by
# content, logits, weights and transforms, and by any channel (None: not by the first). Datasets are
# no hop. More may be found; nothing of this may be lost, or move further away.
KNOWN = {
    "allenai/Olmo-3-1125-32B": {"openai/gpt-4.1": (1, 1), "openai/gpt-4": (None, 2)},
    "HuggingFaceTB/SmolLM3-3B": {"openai/gpt-4": (1, 1), "openai/gpt-4o": (1, 1)},
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B": {"anthropic/claude-sonnet-4": (3, 3)},
    "open-thoughts/OpenThinker-7B": {"openai/gpt-4o": (None, 1)},
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": {"anthropic/claude-2.1": (1, 1), "openai/gpt-4": (1, 1)},
    "rl-research/DR-Tulu-8B": {"openai/gpt-5": (2, 2), "openai/gpt-4.1": (None, 1)},
}

# What the README shows, and the depth at which it is distilled from a closed model under A and B.
HEADLINES = {"HuggingFaceTB/SmolLM3-3B": 1}

ROOT = Path(__file__).resolve().parents[2]

DISPUTES = {
    "codealpaca-generator": {"openai/gpt-4", "openai/text-davinci-003"},
    "finemath-annotator": {
        "meta-llama/Llama-3.1-70B-Instruct",
        "meta-llama/Meta-Llama-3-70B-Instruct",
    },
    "smol-constraints-generator": {
        "Qwen/Qwen2.5-72B-Instruct",
        "meta-llama/Llama-3.1-405B-Instruct",
    },
    "kimi-k2-role": {"moonshotai/Kimi-K2-Instruct"},
}


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue()


@pytest.fixture(scope="module")
def rows():
    home = resources.files("mashbill.policy") / "catalogue"
    return read_rows(home / "entities.csv", EntityRow), read_rows(home / "claims.csv", ClaimRow)


def closed_above(catalogue, model, channels=None):
    """Least depth of each closed model above one; a walk that shares nothing with the circuit."""
    depths, queue = {model: 0}, deque([model])
    while queue:
        name = queue.popleft()
        for claim in catalogue.claims:
            if claim.child != name or claim.status == "alleged":
                continue
            if channels and RELATIONS[claim.relation][0].value not in channels:
                continue
            hop = int(catalogue.entities[claim.parent].what == "model")
            if depths[name] + hop < depths.get(claim.parent, 1000):
                depths[claim.parent] = depths[name] + hop
                queue.append(claim.parent)
    del depths[model]
    return {n: d for n, d in depths.items() if catalogue.entities[n].kind == "closed-api"}


def document(claim):
    """The document that a claim was read in: its source without line, section or revision."""
    return re.split(r"#| section |, ", claim.source)[0]


def ancestors(catalogue, name):
    found, todo = set(), [name]
    while todo:
        here = todo.pop()
        new = {c.parent for c in catalogue.claims if c.child == here} - found
        found |= new
        todo += new
    return found


def test_the_pages_tell_the_rows_that_there_are(rows):
    entities, claims = rows
    assert len({e.id.lower() for e in entities}) == len(entities)
    assert len(set(claims)) == len(claims)
    told = f"{len(entities):,} entities and {len(claims):,} claims"
    page = " ".join((ROOT / "docs/catalogue-facts.md").read_text(encoding="utf-8").split())
    status = Counter(c.status for c in claims)
    assert told in page
    assert f"{sum(c.second_hand for c in claims)} claims are second-hand" in page
    assert (
        f"{status['stated']} are stated by the maker, {status['derived']} derived, "
        f"{status['alleged']} alleged and {status['sworn']} sworn"
    ) in page
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{len(entities):,} public models and datasets and {len(claims):,} claims" in readme


def test_the_page_lists_every_repository_that_a_row_cites(rows):
    page = (ROOT / "docs/catalogue-facts.md").read_text(encoding="utf-8")
    cited = {
        source.where.lower()
        for row in (*rows[0], *rows[1])
        for source in parse_sources(row.source)
        if source.kind == "repository" and not row.second_hand
    }
    assert cited
    assert not {place for place in cited if f"{place}@" not in page.lower()}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_a_page_has_no_section_twice(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    titles = Counter(line for line in lines if line.startswith("## "))
    assert not [title for title, times in titles.items() if times > 1]


def test_both_ends_of_every_claim_have_a_row_of_their_own(rows):
    entities, claims = rows
    ids = {entity.id for entity in entities}
    assert {end for c in claims for end in (c.child, c.parent)} <= ids
    names = Counter(n.lower() for e in entities for n in (e.id, *e.aliases) if n)
    assert max(names.values()) == 1


def test_parents_are_what_their_relation_says(catalogue):
    for claim in catalogue.claims:
        if claim.relation in {"trained-on", "composed-from"}:
            assert catalogue.entities[claim.parent].what == "dataset", claim
        elif claim.relation not in {"classifier-annotations", "prompt-source"}:
            assert catalogue.entities[claim.parent].what == "model", claim
        if RELATIONS[claim.relation][0].value in {"weights", "logits"}:
            assert catalogue.entities[claim.child].what == "model", claim


def test_problems_alone_are_prompts(rows):
    alone = re.compile(r"(its |the )?(problems|questions|prompts)( alone| only)?")
    told = [c for c in rows[1] if alone.fullmatch(c.note)]
    assert [c for c in told if c.relation != "prompt-source"] == []


def test_every_claim_names_a_source_in_words_of_our_own(rows):
    entities, claims = rows
    assert all(claim.source for claim in claims)
    text = "\n".join(f"{r.source}\n{getattr(r, 'note', '')}" for r in (*entities, *claims))
    assert not re.search(r"re-check|pypi|npmjs|crates\.io|rubygems|proxy\.golang", text.lower())


def test_what_a_third_party_tells_is_marked_second_hand(rows):
    for row in (*rows[0], *rows[1]):
        if "a third party's" in row.source:
            assert row.second_hand, row


def test_shares_are_possible(rows):
    whole = Counter()
    for claim in rows[1]:
        assert claim.of or claim.share is None, claim
        assert claim.tokens is None or claim.share is None, claim
        assert (claim.tokens or 0) <= (claim.of_tokens or float("inf")), claim
        if claim.share == 1:
            whole[claim.child, claim.of, RELATIONS[claim.relation][0]] += 1
    assert max(whole.values()) == 1


def test_sources_that_disagree_stand_side_by_side(catalogue):
    found = catalogue.disputes()
    assert {name: {c.parent for c in sides} for name, sides in found.items()} == DISPUTES
    for sides in found.values():
        assert len(sides) > 1
        assert len({c.child for c in sides}) == 1
        assert not sides[0].second_hand  # the maker's own word stands first


def test_nothing_leads_on_through_a_family_of_which_no_model_is_named(catalogue):
    """A maker who says *Qwen2.5* and no size has named no model: there the path ends."""
    for claim in catalogue.claims:
        if "(unspecified)" in claim.child:
            assert claim.status in {"alleged", "sworn"}, claim


def test_every_row_rests_on_a_source_that_can_be_opened_or_says_that_it_is_second_hand(rows):
    for row in (*rows[0], *rows[1]):
        assert row.source, row
        assert row.second_hand or can_be_opened(row.source), row


def test_a_claim_of_a_makers_repository_says_the_line(rows):
    for claim in rows[1]:
        for source in parse_sources(claim.source):
            if source.kind == "repository" and not claim.second_hand:
                assert source.is_exact, claim


def test_every_dataset_has_a_licence_or_says_where_none_was_found(rows):
    for entity in rows[0]:
        if entity.what == "dataset":
            assert bool(entity.license) != bool(entity.license_looked), entity


def test_every_model_has_a_day_of_release_or_says_where_none_was_found(rows):
    for entity in rows[0]:
        if entity.what == "model" and len(entity.released) < len("2026-01-01"):
            assert entity.released_looked, entity


def test_only_what_no_claim_tells_says_where_its_making_was_looked_for(rows):
    told = {claim.child for claim in rows[1]}
    assert not {entity.id for entity in rows[0] if entity.making_looked} & told


def test_what_a_third_party_collected_is_second_hand(rows):
    for claim in rows[1]:
        if "Data-Provenance-Initiative/" in claim.source or "ModSleuth" in claim.source:
            assert claim.second_hand, claim


@pytest.mark.parametrize("model", KNOWN)
def test_closed_models_above_a_model_are_at_least_those_known(catalogue, model):
    making = closed_above(catalogue, model, OF_ITS_OWN_MAKING)
    by_any = closed_above(catalogue, model)
    for name, (near, far) in KNOWN[model].items():
        assert making.get(name, 1000) <= (near or 1000), name
        assert by_any.get(name, 1000) <= far, name


@pytest.mark.parametrize("model", HEADLINES)
def test_a_headline_example_does_not_hang_on_one_source(catalogue, model):
    """Take any one document away, or all that is second-hand: the verdict stands at its depth."""
    below = {model, *ancestors(catalogue, model)}
    claims = [c for c in catalogue.claims if c.child in below]
    documents = {document(claim) for claim in claims}
    assert len(documents) > 1
    for gone in (*documents, None):
        kept = [c for c in claims if document(c) != gone and not c.second_hand]
        rest = replace(catalogue, claims=tuple(kept))
        depths = closed_above(rest, model, OF_ITS_OWN_MAKING).values()
        assert min(depths, default=None) == HEADLINES[model], gone


def test_the_readme_names_the_headline_examples():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"mashbill bill hf:(\S+)", text))
    assert shown == set(HEADLINES)


# Makers whose models are had through their APIs, and which of theirs can be downloaded.
WEIGHTS_OF = {
    "Anthropic": set(),
    "OpenAI": {
        "openai/gpt-oss-120b",
        "openai/gpt-oss-20b",
        "openai/whisper-large-v2",
        "openai-community/gpt2",
    },
    "xAI": {"xai-org/grok-2"},
}


@pytest.mark.parametrize("provider", WEIGHTS_OF)
def test_of_makers_who_serve_apis_only_named_models_have_weights(catalogue, provider):
    found = {
        name
        for name, entity in catalogue.entities.items()
        if entity.what == "model" and entity.provider == provider and entity.kind == "open-weights"
    }
    assert found == WEIGHTS_OF[provider]


def test_a_version_of_a_closed_model_is_closed(catalogue):
    models = [entity for entity in catalogue.entities.values() if entity.what == "model"]
    closed = tuple(f"{entity.id}-" for entity in models if entity.kind == "closed-api")
    assert [e.id for e in models if e.id.startswith(closed) and e.kind != "closed-api"] == []
