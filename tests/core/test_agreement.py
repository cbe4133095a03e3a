"""Agreement of judges: worked examples of the papers, another's code, and laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill.core.agreement import agreement, alpha, counted, kappa, patterns, percent

# Hayes and Krippendorff (2007) and Krippendorff, "Computing Krippendorff's alpha-reliability",
# example C: four observers, twelve units, some not coded; nominal alpha 0.743.
FOUR = (
    "1 2 3 3 2 1 4 1 2 * * *",
    "1 2 3 3 2 2 4 1 2 5 * 3",
    "* 3 3 3 2 3 4 2 2 5 1 *",
    "1 2 3 3 2 4 4 1 2 5 1 *",
)
# The example of the package krippendorff's sample.py: nominal alpha 0.691.
THREE = (
    "* * * * * 3 4 1 2 1 1 3 3 * 3",
    "1 * 2 1 3 3 4 3 * * * * * * *",
    "* * 2 1 3 4 4 * 2 1 1 3 3 * 4",
)


def units(coders):
    columns = zip(*(coder.split() for coder in coders), strict=True)
    return [tuple(None if value == "*" else value for value in column) for column in columns]


@pytest.mark.parametrize(("coders", "said"), [(FOUR, 0.743), (THREE, 0.691)])
def test_alpha_is_that_of_the_worked_examples(coders, said):
    assert round(alpha(patterns(counted(units(coders)))), 3) == said


VERDICTS = st.lists(
    st.tuples(*[st.sampled_from(["chosen", "rejected", "tie", None])] * 3), max_size=40
)


@given(VERDICTS)
def test_kappa_is_scikit_learns(verdicts):
    sklearn = pytest.importorskip("sklearn.metrics")
    both = [(a, b) for a, b, _ in verdicts if a and b]
    found = kappa(patterns(counted(verdicts)), 0, 1)
    if not both or len({value for pair in both for value in pair}) < 2:
        assert found is None
        return
    assert found == pytest.approx(sklearn.cohen_kappa_score(*zip(*both, strict=True)))


@given(VERDICTS, st.permutations(range(3)))
def test_who_is_named_first_changes_nothing_but_names(verdicts, order):
    told = agreement(["a", "b", "c"], counted(verdicts))
    turned = [tuple(each[place] for place in order) for each in verdicts]
    other = agreement(["abc"[place] for place in order], counted(turned))
    assert other["alpha"] == pytest.approx(told["alpha"])
    assert (other["percent"], other["things"]) == (told["percent"], told["things"])
    known = {frozenset(k.split(", ")): v for k, v in told["kappa"].items()}
    for names, value in other["kappa"].items():
        assert value == pytest.approx(known[frozenset(names.split(", "))])


@given(VERDICTS, VERDICTS)
def test_counts_of_slices_are_summed(one, two):
    first, second = counted(one), counted(two)
    summed = {key: first.get(key, 0) + second.get(key, 0) for key in first | second}
    assert patterns(summed) == patterns(counted([*one, *two]))


@given(VERDICTS)
def test_they_stay_in_their_bounds_and_are_whole_where_all_agree(verdicts):
    known = patterns(counted(verdicts))
    for value in (alpha(known), kappa(known, 0, 2)):
        assert value is None or -1 - 1e-9 <= value <= 1 + 1e-9
    same = patterns(counted([(each[0],) * 3 for each in verdicts]))
    assert percent(same) in (1.0, None)
    assert alpha(same) in (None, pytest.approx(1.0))


def test_one_word_for_everything_says_nothing_of_agreement():
    told = agreement(["a", "b"], counted([("yes", "yes")] * 9))
    assert told == {"things": 9, "percent": 1.0, "kappa": {"a, b": None}, "alpha": None}
    assert agreement(["a", "b"], {})["percent"] is None
