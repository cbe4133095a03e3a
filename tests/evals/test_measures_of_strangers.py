"""Whatever stands in a manifest's measures is shown as far as it can be read, and never raises."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.cli.options import out
from mashbill.cli.show_evaluation import print_evaluations
from mashbill.core.evaluation import evaluation_of, systems_in
from mashbill.evals.remarks import remarks
from mashbill.report.confusion import Shown
from mashbill.report.drawing import draw_systems

PAIR = {
    "first": "a", "second": "b", "difference": 0.1, "low": -0.1, "high": 0.3, "p": 0.2,
    "test": "exact sign test", "p_corrected": 0.4, "pairs": 9, "wins": 3, "losses": 2, "ties": 4,
    "unpaired": 1,
}  # fmt: skip
MEAN = {"score": 0.5, "low": 0.3, "high": 0.7, "rows": 9}
SCORED = {
    **MEAN, "came": {"scored": 9, "undecided": 1}, "at_least": 0.4, "at_most": 0.6,
    "why_unanswered": "3 it was cut off", "pass_at": {"2": {"estimate": 0.5}},
    "levels": {"hard": MEAN}, "seeds": {"values": [0.4, 0.6], "mean": 0.5, "sd": 0.1, "seeds": 2},
    "overlap": {"rows": 2, "within": MEAN, "without": MEAN, "datasets": ["x@1"]},
}  # fmt: skip
SAMPLES = (
    {
        "metric": "score", "systems": {"a": SCORED, "b": SCORED}, "rows": 10, "compare": [PAIR],
        "chance": 0.25, "by": "exact 1", "retention": [
            {"student": "a", "teacher": "b", "ratio": 0.9, "low": 0.8, "high": 1.0, "rows": 9,
             "why": ""},
        ],
        "contamination": {"held": 2, "looked_for": 8, "questions": 10, "unrecorded": ["m"]},
    },
    {
        "metric": "bits_per_byte", "rows": 10, "compare": [PAIR],
        "systems": {
            "a": {"bits_per_byte": 1.2, "low": 1.0, "high": 1.4, "perplexity": 20.0, "tokens": 99,
                  "byte_perplexity": 2.2, "bytes": 300},
        },
    },
    {
        "metric": "suite", "by": "lm-eval 0.4.13", "compare": [],
        "systems": {"a": {"tasks": {"sums": {"acc": {
            "value": 0.5, "stderr": 0.1, "low": 0.3, "high": 0.7, "samples": 26,
            "higher_is_better": False, "seeds": {"sd": 0.1, "seeds": 2},
        }}}}},
    },
    {
        "rows": 10, "majority": 0.6, "majority_label": "x", "compare": [PAIR],
        "systems": {"a": {"accuracy": 0.7, "low": 0.5, "high": 0.8, "macro_f1": 0.6,
                          "unanswered": 1, "only": "x"}},
    },
)  # fmt: skip
JUNK = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        10**30,
        10**400,
        1e308,
        float("inf"),
        "",
        "x" * 50,
        [],
        [1, None],
        {},
        {"x": {}},
    ]
)


def places(value, before=()):
    """Yield where each value stands in a nest of tables and lists."""
    yield before
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()  # fmt: skip
    for key, one in inner:
        yield from places(one, (*before, key))


@st.composite
def broken(draw):
    """Measures of which some values are something else."""
    made = copy.deepcopy(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(0, 4))):
        *way, last = draw(st.sampled_from([place for place in places(made) if place]))
        at = made
        for key in way:
            at = at[key]
        at[last] = copy.deepcopy(draw(JUNK))
    return made


def shown(measures):
    found = evaluation_of(measures)
    if found is None:
        return ""
    page = Shown("n", found)
    assert all(isinstance(line, str) for line in (*page.differences, *page.lines))
    remarks(found)
    draw_systems(found)
    with out.capture() as caught:
        print_evaluations({"n": found})
    return caught.get()


@law(300)
@given(broken())
def test_measures_of_strangers_are_shown(measures):
    shown(measures)


def test_what_is_whole_is_shown_whole():
    said = " ".join(shown(SAMPLES[0]).split())
    for part in (
        "Mean score by exact 1 on 10 held-out rows", "a - b: +0.100 (-0.100 to +0.300)",
        "p = 0.2000 (exact sign test), 0.4000 with all comparisons (Holm)",
        "a has 0.900 (0.800 to 1.000) of the score of b", "what m learned from is not recorded",
        "is not beyond its interval", "2 rows in what it learned from", "by level: hard 0.500",
    ):  # fmt: skip
        assert part in said, part


def test_stages_of_systems_are_read_from_any_literals():
    told = {"systems": {"a": "x", "b": ["y", "z", 3], "c": None}, "models": [1]}
    assert systems_in(told) == {"a": ("x",), "b": ("y", "z"), "c": ()}
    assert systems_in({}) == {}
