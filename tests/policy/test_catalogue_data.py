"""The shipped catalogue holds what docs/catalogue-facts.md says, and gives the known answers."""

import re
from collections import Counter, deque
from importlib import resources

import pytest

from mashbill.policy.claims import RELATIONS, load_catalogue, read_rows
from mashbill.policy.claims import Claim as ClaimRow
from mashbill.policy.claims import Entity as EntityRow

OF_ITS_OWN_MAKING = {"content", "logits", "weights", "transform"}

# closed models at one hop; at any depth, and the greatest of their least depths; the same, by any
# channel. Datasets are no hop.
KNOWN = {
    "allenai/Olmo-3-1125-32B": (4, (5, 2), (7, 2)),
    "HuggingFaceTB/SmolLM3-3B": (0, (0, 0), (1, 3)),
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B": (0, (1, 3), (1, 3)),
    "open-thoughts/OpenThinker-7B": (0, (0, 0), (1, 1)),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": (3, (3, 1), (3, 1)),
    "rl-research/DR-Tulu-8B": (0, (1, 2), (3, 2)),
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": (0, (0, 0), (0, 0)),
}

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


def ancestors(catalogue, name):
    found, todo = set(), [name]
    while todo:
        here = todo.pop()
        new = {c.parent for c in catalogue.claims if c.child == here} - found
        found |= new
        todo += new
    return found


def test_files_hold_as_many_rows_as_the_page_says(rows):
    entities, claims = rows
    assert (len(entities), len(claims)) == (249, 281)
    assert len({e.id.lower() for e in entities}) == 249
    assert len(set(claims)) == 281
    assert Counter(c.status for c in claims) == {
        "stated": 181,
        "derived": 93,
        "alleged": 6,
        "sworn": 1,
    }
    assert sum(c.second_hand for c in claims) == 107


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
        elif claim.relation != "classifier-annotations":
            assert catalogue.entities[claim.parent].what == "model", claim


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
        assert len(sides) == 2
        assert len({c.child for c in sides}) == 1
        assert [c.second_hand for c in sides] == [False, True]


def test_families_that_are_not_specified_are_linked_to_no_model(catalogue):
    families = {e for e in catalogue.entities if "(unspecified)" in e}
    for claim in catalogue.claims:
        if {claim.child, claim.parent} & families:
            assert claim.status in {"alleged", "sworn"}, claim


@pytest.mark.parametrize("model", KNOWN)
def test_closed_models_above_a_model_are_those_known(catalogue, model):
    making = closed_above(catalogue, model, OF_ITS_OWN_MAKING)
    by_any = closed_above(catalogue, model)
    one, *deep = KNOWN[model]
    assert sum(depth == 1 for depth in making.values()) == one
    assert [(len(d), max(d.values(), default=0)) for d in (making, by_any)] == deep


def test_removing_chinese_models_takes_an_ancestor_from_34_of_92_others(catalogue):
    entities = catalogue.entities
    children = {c.child for c in catalogue.claims if entities[c.child].country != "CN"}
    losing = {
        child
        for child in children
        if any(
            entities[a].country == "CN" and entities[a].what == "model"
            for a in ancestors(catalogue, child)
        )
    }
    assert (len(losing), len(children)) == (34, 92)
