"""Confusion matrices, and what is said of a system that is no better than the majority label."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support
from tests_laws import law

from mashbill.core.evaluation import Result, evaluation_of
from mashbill.core.proportions import wilson
from mashbill.evals.confusion import Confusion
from mashbill.evals.remarks import against_majority, remarks

NAMES = ["a", "b", "c", "d", "e", "f", "<g&>"]


@st.composite
def answers(draw):
    """(human labels, what a system said), over two to seven labels; it may say others, or none."""
    labels = NAMES[: draw(st.integers(2, 7))]
    rows = draw(st.integers(1, 60))
    gold = draw(st.lists(st.sampled_from(labels), min_size=rows, max_size=rows))
    words = draw(st.lists(st.sampled_from([*labels, "unheard of", "", None]), min_size=1))
    said = draw(st.lists(st.sampled_from(words), min_size=rows, max_size=rows))
    return gold, said


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(answers())
@example((["a", "b"], ["b", "b"]))
@example((["a", "b", "c"], [None, None, None]))
@law(200)
def test_a_matrix_is_that_of_scikit_learn(pair):
    gold, said = pair
    made = Confusion.of(gold, said)
    rows = sorted(set(gold))
    assert list(made.rows) == rows == list(made.columns[: len(rows)])
    assert made.counts.sum(axis=1).tolist() == [gold.count(label) for label in rows]
    assert made.counts.sum(axis=0).tolist() == [said.count(label) for label in made.columns]
    assert made.total == len(gold)
    assert made.right == sum(map(lambda one, other: one == other, gold, said))
    assert made.unanswered == said.count(None)
    spoken = {label for label in said if label is not None}
    assert made.only == (spoken.pop() if len(spoken) == 1 else None)

    # scikit-learn knows no rows without a label: they are one more word.
    spelt = ["\uffff" if label is None else label for label in said]
    every = [*rows, *sorted(set(spelt) - set(rows))]
    theirs = confusion_matrix(gold, spelt, labels=every)
    assert np.array_equal(made.counts, theirs[: len(rows)])
    precision, recall, f1, support = precision_recall_fscore_support(
        gold, spelt, labels=rows, zero_division=np.nan
    )
    by_label = made.by_label()
    for i, label in enumerate(rows):
        score = by_label[label]
        if score["precision"] is None:
            assert np.isnan(precision[i])
            assert label not in said
            assert score["f1"] == 0
        else:
            assert score["precision"] == pytest.approx(precision[i])
            assert score["f1"] == pytest.approx(f1[i])
        assert score["recall"] == pytest.approx(recall[i])
        assert score["gold"] == support[i]
        assert score["said"] == said.count(label)
    macro = f1_score(gold, spelt, labels=rows, average="macro", zero_division=0)
    assert made.macro_f1() == pytest.approx(macro)


def evaluation(gold, said):
    """Return what an evaluation of one system measures, as far as remarks read it."""
    made = Confusion.of(gold, said)
    low, high = wilson(made.right / made.total, made.total)
    result = {"accuracy": made.right / made.total, "low": low, "high": high}
    result |= {"unanswered": made.unanswered, "only": made.only}
    majority = max(gold.count(label) for label in set(gold)) / len(gold)
    return evaluation_of({"systems": {"s": result}, "majority": majority, "rows": len(gold)})


@given(answers())
@law(200)
def test_whoever_is_not_above_the_majority_label_is_told(pair):
    measured = evaluation(*pair)
    result, majority = measured.systems["s"].facts, measured.majority
    said = " ".join(remark.text for remark in remarks(measured))
    if result["accuracy"] < majority:
        assert ("below" in said) == (result["high"] < majority)
        assert "majority label" in said
    elif result["low"] > majority:
        assert "majority" not in said
    assert ("says " in said) == (result["only"] is not None)
    assert ("gave no label" in said) == (result["unanswered"] > 0)


def test_whoever_always_says_the_majority_label_is_not_better_than_it():
    gold = ["a"] * 57 + ["b"] * 43
    (first, second) = remarks(evaluation(gold, ["a"] * 100))
    assert first.text.startswith("not better than the majority label (0.570)")
    assert second.text == "says 'a' of every row"
    (first, second) = remarks(evaluation(gold, ["b"] * 100))
    assert first.text == "below the majority label (0.570)"
    assert remarks(evaluation(gold, gold)) == []


@pytest.mark.parametrize(
    ("accuracy", "low", "high", "standing"),
    [
        (0.40, 0.35, 0.45, "below"),
        (0.40, 0.30, 0.50, "not better"),
        (0.50, 0.40, 0.60, "not better"),
        (0.51, 0.40, 0.60, "not clearly better"),
        (0.51, 0.50, 0.60, "not clearly better"),
        (0.60, 0.51, 0.70, "better"),
    ],
)
def test_how_a_system_stands_to_the_majority_label(accuracy, low, high, standing):
    result = Result(accuracy, low, high)
    assert against_majority(result, 0.5) == standing
