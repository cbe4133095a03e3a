"""Slices do not know of each other: what each measured is its own, and is put together in order."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from mashbill import Store
from mashbill.core.stage import WARNINGS
from mashbill.run.measuring import add_measures
from mashbill.run.shards import FORMAT, measured_before

COUNTS = st.dictionaries(st.sampled_from(["asked", "accepted", "left"]), st.integers(0, 50))
WARNED = st.lists(st.sampled_from(["one", "two", "three"]), unique=True)
OWN = st.builds(
    lambda counts, nested, warned, score: {
        **counts, "by": nested, "score": score, **({WARNINGS: warned} if warned else {}),
    },
    COUNTS, COUNTS, WARNED, st.floats(0, 1),
)  # fmt: skip


class Context:
    def __init__(self):
        self.measures, self.overall = {}, {}


def folded(slices):
    whole = {}
    for own in slices:
        add_measures(whole, own)
    return whole


@given(st.lists(OWN, min_size=1, max_size=6))
def test_counts_are_summed_warnings_told_once_and_of_the_rest_the_last_stands(slices):
    given_in = copy.deepcopy(slices)
    whole = folded(slices)
    assert slices == given_in, "a slice's own measures are not written over"
    for name in ("asked", "accepted", "left"):
        assert whole.get(name, 0) == sum(own.get(name, 0) for own in slices)
        assert whole["by"].get(name, 0) == sum(own["by"].get(name, 0) for own in slices)
    assert whole["score"] == slices[-1]["score"]
    told = [text for own in slices for text in own.get(WARNINGS, [])]
    assert whole.get(WARNINGS, []) == list(dict.fromkeys(told))


@given(st.lists(OWN, min_size=1, max_size=6), st.integers(0, 6))
def test_a_resume_puts_together_what_entries_say_those_of_earlier_releases_too(slices, earlier):
    """The first ``earlier`` entries are of format 1, which holds all that was measured so far."""
    done = {}
    for number, own in enumerate(slices):
        if number < earlier:
            done[number] = {"measures": folded(slices[: number + 1])}
        else:
            done[number] = {"format": FORMAT, "measures": own, "overall": {"threshold": 0.5}}
    context = Context()
    measured_before(dict(reversed(done.items())), context)
    assert context.measures == folded(slices)
    assert context.overall == ({"threshold": 0.5} if earlier < len(slices) else {})


def test_entries_of_shards_have_their_own_measures_and_counts(finished):
    root, _, _ = finished
    store = Store(root)
    for manifest in store.manifests():
        entries = [
            entry.predicate
            for entry in store.ledger.accepted
            if entry.event == "shard" and entry.predicate["artifact"] == str(manifest.ref)
        ]
        assert all(entry["format"] == FORMAT for entry in entries)
        counted = [entry for entry in entries if "counts" in entry]
        if counted:
            rows = sum(rows for entry in counted for _, rows, _ in entry["counts"])
            assert rows == manifest.rows
            tokens = sum(tokens for entry in counted for _, _, tokens in entry["counts"])
            assert tokens == manifest.tokens
        context = Context()
        measured_before(dict(enumerate(entries)), context)
        stated = {**context.measures, **context.overall}
        assert stated.items() <= manifest.measures.items() or not counted
