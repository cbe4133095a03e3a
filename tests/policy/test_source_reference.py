"""A source is a value: which forms somebody else can open again, and where in them to look."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.policy.catalogue_sources import standing_of_sources
from mashbill.policy.claims import Catalogue, Claim, Entity
from mashbill.policy.source_reference import can_be_opened, parse_sources

FORMS = [
    ("o/r@abc1234:docs/a b.md#L70", "repository", "o/r", "abc1234", "docs/a b.md", "L70"),
    ("o/r@abc1234:README.md#L70-L86", "repository", "o/r", "abc1234", "README.md", "L70-L86"),
    ("o/r@abc1234:post.md section Mid-training", "repository", "o/r", "abc1234", "post.md",
     "section Mid-training"),
    ("o/r@abc1234", "repository", "o/r", "abc1234", "", ""),
    ("arXiv:2412.08905 section 3.1", "paper", "2412.08905", "", "", "section 3.1"),
    ("arXiv:2412.08905v2 Table 4", "paper", "2412.08905", "v2", "", "Table 4"),
    ("arXiv:2412.08905", "paper", "2412.08905", "", "", ""),
    ("hf:o/n@b14afda:README.md#L12", "card", "o/n", "b14afda", "README.md", "L12"),
    ("hf:datasets/o/n@main", "card", "o/n", "main", "", ""),
    ("https://example.org/a#b", "page", "https://example.org/a#b", "", "", ""),
    ("https://example.org/a section Data", "page", "https://example.org/a", "", "", "section Data"),
]  # fmt: skip
WORDS = [
    "a third party's repository, 2026", "testimony of somebody, 2026-04-30", "o/r:README.md",
    "o/r@main:README.md", "o/r@abc12:README.md", "ModSleuth, graph 7fd1c33", "arXiv:24.08905",
    "ftp://example.org/a", "arXiv:2412.08905 somewhere",
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "where", "revision", "path", "place"), FORMS)
def test_what_can_be_opened_is_read_into_its_parts(text, kind, where, revision, path, place):
    [source] = parse_sources(text)
    assert (source.kind, source.where, source.revision) == (kind, where, revision)
    assert (source.path, source.place, source.text) == (path, place, text)
    assert source.can_be_opened
    assert source.is_exact == bool(place)


@pytest.mark.parametrize("text", WORDS)
def test_anything_else_is_words_that_nobody_can_open(text):
    [source] = parse_sources(text)
    assert (source.kind, source.can_be_opened) == ("words", False)


@law(200)
@given(st.lists(st.one_of(st.sampled_from([f[0] for f in FORMS] + WORDS), st.text(max_size=30))))
def test_any_text_is_read_and_nothing_of_it_is_lost(parts):
    text = "; ".join(parts)
    found = parse_sources(text)
    assert all(source.text in text for source in found)
    assert can_be_opened(text) == any(source.can_be_opened for source in found)


def test_a_row_counts_once_and_second_hand_is_never_primary():
    rows = [
        Claim(child="a", parent=str(n), relation="sft-data", source=source, second_hand=hand)
        for n, (source, hand) in enumerate(
            [
                ("words; arXiv:2412.08905 section 3", False),
                ("arXiv:2412.08905", True),
                ("words", False),
            ]
        )
    ]
    entities = {
        "m": Entity(id="m", what="model", source="o/r@abc1234", released_looked="o/r@abc1234"),
        "d": Entity(id="d", what="dataset", license="MIT"),
    }
    told = standing_of_sources(Catalogue(entities, tuple(rows), {}))
    assert told["claims"] == {
        "all": 3, "primary": 1, "primary: repository": 0, "primary: paper": 1, "primary: card": 0,
        "primary: page": 0, "primary, with line or section": 1,
        "primary: none that can be opened": 1, "second-hand": 1,
    }  # fmt: skip
    assert told["facts"]["release of a model"]["looked for and not found"] == 1
    assert told["facts"]["licence of a dataset"]["recorded"] == 1
