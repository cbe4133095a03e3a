"""Passages of texts: what is shared is found, wherever it stands; what is not shared is not."""

from __future__ import annotations

import random
import string
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.stages.marks.dress import one_dress
from mashbill.stages.marks.index import NOBODY, Thinned
from mashbill.stages.marks.passages import FORMULA, RUN, WIDTH, formulas, passages, thinned
from mashbill.stages.marks.texts import keyed

SHARED = WIDTH + RUN - 1
LETTERS = st.text(string.ascii_lowercase + "   ", min_size=0, max_size=300)


def of(texts):
    return passages(keyed(pa.array(texts, pa.string()), np.arange(len(texts))))


def words(seed, count):
    rng = random.Random(seed)
    return " ".join(
        "".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(count)
    )


@law(200)
@given(LETTERS, LETTERS, LETTERS, st.integers(0, 2**32))
def test_what_two_texts_share_is_found_wherever_it_stands(before, behind, other, seed):
    shared = words(seed, 20)[: SHARED + 8]  # a word at either end may be cut
    one, two = of([f"{before} {shared} {behind}"]), of([f"{other} {shared}"])
    if len(" ".join(shared.split())) >= SHARED:
        assert np.isin(one["hash"], two["hash"]).any()


@law(100)
@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=9, unique=True))
def test_texts_that_share_nothing_share_no_passage(seeds):
    found = of([words(seed, 30) for seed in seeds])
    for text in range(len(seeds)):
        own = found["text"] == text
        assert own.any()
        assert not np.isin(found["hash"][own], found["hash"][~own]).any()


@law(60)
@given(st.lists(LETTERS, min_size=1, max_size=8))
def test_a_text_has_the_same_passages_alone_and_among_others(texts):
    every, places = of(texts), keyed(pa.array(texts), np.arange(len(texts))).rows
    for number, place in enumerate(places.tolist()):
        alone = of([texts[place]])["hash"]
        assert every["hash"][every["text"] == number].tolist() == alone.tolist()


def test_what_stands_in_very_many_texts_is_a_formula():
    ending = "kind regards from all of us here at the support team of the company"
    texts = [f"{words(i, 30)} {ending}" for i in range(FORMULA + 5)]
    found = of(texts)
    is_formula = formulas(found, len(texts))
    assert is_formula.any()
    assert set(found["hash"][is_formula]) <= set(of([ending])["hash"]) | set(
        of([f"x {ending}"])["hash"]
    )
    few = of(texts[:FORMULA])
    assert not formulas(few, FORMULA).any()


def test_of_too_many_passages_one_of_two_is_kept_whatever_text_they_are_of(monkeypatch):
    monkeypatch.setattr("mashbill.stages.marks.index._PASSAGES", 1_000)
    thin = Thinned()
    texts = [words(i, 40) for i in range(400)]
    every = of(texts)
    for start in range(0, 400, 50):
        found = of(texts[start : start + 50])
        thin.add(found["hash"], np.full(len(found), start, np.int32))
    kept = thin.sorted()
    assert kept.shift > 0
    assert 0 < len(kept.hashes) <= 1_000
    wanted = np.unique(every["hash"][thinned(every["hash"], kept.shift)])
    assert kept.hashes.tolist() == wanted.tolist()


def test_a_formula_of_one_batch_is_nobodys_whatever_else_holds_it():
    thin = Thinned()
    thin.add(np.array([5, 7], np.uint64), np.array([1, 1], np.int32))
    thin.add(np.array([5], np.uint64), np.array([NOBODY], np.int32))
    assert thin.sorted().nodes.tolist() == [NOBODY, 1]


WIDE = "".join(map(chr, (0xFF34, 0xFF48, 0xFF45)))
BOLD = "".join(map(chr, (0x1D413, 0x1D421, 0x1D41E)))


@pytest.mark.parametrize("dressed", [
    f"{WIDE} valve", f"{BOLD} valve", "The\u200b val\u200dve", "Th\u0435 v\u0430lv\u0435",
    "The v\u00adalve", "The\ufe0f valve",
])  # fmt: skip
def test_what_looks_alike_is_alike(dressed):
    assert one_dress(dressed) == "The valve"


@law(200)
@given(st.text(max_size=60))
def test_a_dress_is_put_on_once_and_changes_no_ascii(text):
    once = one_dress(text)
    assert one_dress(once) == one_dress(unicodedata.normalize("NFKC", once))
    if text.isascii():
        assert once == text
