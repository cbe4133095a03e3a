"""Sides with their numbers: means over seeds, intervals, and differences that are paired."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from tests_support import run_stages
from tests_tables import table

from mashbill.core.artifact import FileDigest, InputRef, Manifest
from mashbill.core.paired import difference_of_seeds, spread_of
from mashbill.core.proportions import wilson
from mashbill.report.arm_drawing import draw_arms, draw_gaps
from mashbill.report.comparing import Run, Side, compared
from mashbill.report.comparing_numbers import counts_among, numbers_of
from mashbill.report.comparing_rows import row_scores

NAN = float("nan")
NODES = FileDigest(file="nodes.parquet", sha256="0" * 64)


class Rows:
    """A dataset of an evaluation, as a store gives it."""

    def __init__(self, columns):
        self._table = pa.table(columns)
        self.columns = tuple(self._table.column_names)
        self.num_rows = self._table.num_rows

    def column(self, name):
        return self._table.column(name)


class Held:
    """A store that holds the rows of evaluations."""

    def __init__(self):
        self.rows = {}

    def dataset(self, ref):
        return self.rows[str(ref)]

    def removal(self, ref):  # noqa: ARG002 - as a store has it
        return None


def evaluation(store, name, systems, rows=None, digest="same", stage=None, **measures):
    """Return the manifest of an evaluation, whose rows the store then holds."""
    rows = rows or {"x": [1]}
    store.rows[f"{name}@1"] = Rows(rows)
    return Manifest(
        kind="dataset", name=name, version="1", fingerprint="f",
        stage={"kind": "evaluate", **(stage or {})},
        nodes=NODES, nodes_digest="n", bill="b", rows=len(next(iter(rows.values()))),
        inputs=(InputRef(name="heldout@1", role="rows", channel="content", digest=digest),),
        measures={"systems": systems, **measures},
    )  # fmt: skip


def labelled(store, name, right, digest="same"):
    """Return an evaluation of one system that is right on some rows."""
    gold = ["good"] * len(right)
    said = ["good" if one else "bad" for one in right]
    share = sum(right) / len(right)
    facts = {"accuracy": share, "low": share - 0.1, "high": share + 0.1, "macro_f1": share / 2}
    texts = [f"{digest} text {n}" for n in range(len(right))]
    rows = {"text": texts, "gold": gold, "student": said}
    return evaluation(store, name, {"student": facts}, rows, digest)


def scores(seed, rows=60, share=0.5):
    return (np.random.default_rng(seed).random(rows) < share).tolist()


def side(name, *runs):
    return Side(name, {"evaluation": tuple(runs)})


def main_of(found):
    return next(one for one in found.measures if one.is_main)


def test_a_mean_over_seeds_and_a_difference_paired_by_row_and_seed():
    store = Held()
    one = [labelled(store, f"a{n}", scores(n, share=0.8)) for n in (1, 2, 3)]
    other = [labelled(store, f"b{n}", scores(n, share=0.5)) for n in (1, 2, 3)]
    found = compared(store, [
        side("a", *(Run(m, n) for n, m in enumerate(one, 1))),
        side("b", *(Run(m, n) for n, m in enumerate(other, 1))),
    ])  # fmt: skip
    main = main_of(found)
    assert main.title == "student accuracy"
    means = {name: value.mean for name, value in main.sides.items()}
    assert means["a"] == pytest.approx(np.mean([m.measures["systems"]["student"]["accuracy"]
                                                for m in one]))  # fmt: skip
    assert {value.over for value in main.sides.values()} == {"seeds and rows"}
    (gap,) = main.gaps
    assert (gap.by, gap.found.pairs, gap.found.p_corrected) == ("rows and seeds", 60, None)
    assert gap.found.difference == pytest.approx(means["a"] - means["b"])
    assert gap.found.is_beyond
    f1 = next(one for one in found.measures if one.name == "macro_f1")
    values = [m.measures["systems"]["student"]["macro_f1"] for m in one]
    spread = spread_of(values)
    assert (f1.sides["a"].low, f1.sides["a"].over) == (spread.low, "seeds")
    told = difference_of_seeds(values, [m.measures["systems"]["student"]["macro_f1"]
                                        for m in other])  # fmt: skip
    assert f1.gaps[0].found == told
    assert "<svg" in draw_arms(main)
    assert "a − b" in draw_gaps(main)  # noqa: RUF001


def test_one_seed_is_paired_by_rows_and_has_the_evaluations_own_interval():
    store = Held()
    found = compared(store, [
        side("a", Run(labelled(store, "a", scores(1)))),
        side("b", Run(labelled(store, "b", scores(2)))),
    ])  # fmt: skip
    main = main_of(found)
    assert main.sides["a"].over == "rows"
    assert main.sides["a"].high == pytest.approx(main.sides["a"].mean + 0.1)
    assert main.gaps[0].by == "rows"


def test_a_side_without_seeds_stands_beside_every_seed_of_the_other():
    store = Held()
    found = compared(store, [
        side("none", Run(labelled(store, "base", scores(9, share=0.2)))),
        side("a", *(Run(labelled(store, f"a{n}", scores(n, share=0.9)), n) for n in (1, 2))),
    ])  # fmt: skip
    gap = main_of(found).gaps[0]
    assert gap.by == "rows and seeds"
    assert gap.found.is_beyond
    f1 = next(one for one in found.measures if one.name == "macro_f1")
    assert (f1.gaps[0].by, f1.gaps[0].found.pairs) == ("seeds", 2)


def test_other_rows_are_not_paired_and_it_is_said():
    store = Held()
    found = compared(store, [
        side("a", *(Run(labelled(store, f"a{n}", scores(n)), n) for n in (1, 2))),
        side("b", *(Run(labelled(store, f"b{n}", scores(n), "else"), n) for n in (1, 2))),
    ])  # fmt: skip
    gap = main_of(found).gaps[0]
    assert gap.by == "seeds"
    assert "measured on different rows" in gap.why
    assert found.notes == (gap.why,)
    one = compared(store, [side("a", Run(labelled(store, "a1", scores(1)))),
                           side("b", Run(labelled(store, "b1", scores(1), "else")))])  # fmt: skip
    gap = main_of(one).gaps[0]
    assert gap.by == ""
    assert math.isnan(gap.found.low)


def test_the_same_texts_of_another_input_are_paired():
    store = Held()
    one, other = labelled(store, "a", scores(1)), labelled(store, "b", scores(2))
    moved = other.model_copy(
        update={"inputs": (other.inputs[0].model_copy(update={"digest": "anew"}),)}
    )
    found = compared(store, [side("a", Run(one)), side("b", Run(moved))])
    assert main_of(found).gaps[0].by == "rows"


def test_seeds_that_one_side_lacks_are_left_out_and_none_in_common_is_said():
    store = Held()
    made = {(s, n): labelled(store, f"{s}{n}", scores(n)) for s in "ab" for n in (1, 2, 3, 4)}
    found = compared(store, [
        side("a", *(Run(made["a", n], n) for n in (1, 2, 3))),
        side("b", *(Run(made["b", n], n) for n in (2, 3, 4))),
    ])  # fmt: skip
    gap = main_of(found).gaps[0]
    assert gap.why == "seeds of one side alone are left out: 1, 4"
    assert gap.found.difference == 0  # the same answers under the seeds in common
    apart = compared(store, [side("a", Run(made["a", 1], 1)), side("b", Run(made["b", 2], 2))])
    assert main_of(apart).gaps[0].why == "they have no seed in common"


def test_what_is_the_same_everywhere_is_told_once():
    store = Held()
    facts = {"teacher": {"accuracy": 1}, "student": {"accuracy": 0.5}}
    other = {"teacher": {"accuracy": 1}, "student": {"accuracy": 0.75}}
    found = compared(store, [
        side("a", Run(evaluation(store, "a", facts))),
        side("b", Run(evaluation(store, "b", other))),
    ])  # fmt: skip
    assert found.shared == ("teacher accuracy",)
    assert [one.title for one in found.telling] == ["student accuracy"]


def test_seeds_that_change_nothing_are_told():
    store = Held()
    runs = [Run(labelled(store, f"a{n}", scores(1)), n) for n in (1, 2, 3)]
    found = compared(store, [side("all seeds", *runs)])
    assert "all 3 seeds have the same student accuracy" in found.notes[0]


def test_only_systems_of_other_names_are_one():
    store = Held()
    found = compared(store, [
        side("a", Run(evaluation(store, "a", {"before": {"accuracy": 0.5}}))),
        side("b", Run(evaluation(store, "b", {"after": {"accuracy": 0.75}}))),
    ])  # fmt: skip
    assert [one.title for one in found.measures] == ["system accuracy"]
    assert main_of(found).gaps[0].found.difference == pytest.approx(-0.25)


def test_scores_of_a_verifier_with_rows_that_have_none():
    store = Held()
    values = {"a": [1.0, 0.5, None, 0.0], "b": [0.5, 0.5, 1.0, 0.0]}
    made = {
        name: evaluation(store, name, {"s": {"score": 0.5}}, {"text": list("wxyz"), "s": own},
                         metric="score")
        for name, own in values.items()
    }  # fmt: skip
    found = compared(store, [side(name, Run(one)) for name, one in made.items()])
    gap = main_of(found).gaps[0]
    assert (gap.found.pairs, gap.found.unpaired) == (3, 1)
    assert gap.found.difference == pytest.approx(0.5 / 3)


def test_bits_per_byte_are_weighed_by_bytes():
    store = Held()
    texts = ["a", "é" * 4]  # 1 and 8 bytes
    made = {
        name: evaluation(
            store, name, {"m": {"bits_per_byte": bits}},
            {"text": texts, "m_nats": [math.log(2) * n for n in nats]}, metric="bits_per_byte",
        )
        for name, bits, nats in (("a", 10 / 9, [2.0, 8.0]), ("b", 1.0, [1.0, 8.0]))
    }  # fmt: skip
    found = compared(store, [side(name, Run(one)) for name, one in made.items()])
    assert main_of(found).gaps[0].found.difference == pytest.approx(1 / 9)


def test_many_sides_stand_against_the_first():
    store = Held()
    sides = [side(f"arm{n}", Run(labelled(store, f"e{n}", scores(n)))) for n in range(8)]
    gaps = main_of(compared(store, sides)).gaps
    assert [(gap.first, gap.second) for gap in gaps] == [(f"arm{n}", "arm0") for n in range(1, 8)]
    assert all(gap.found.p_corrected is not None for gap in gaps)


def test_counts_are_no_measures():
    store = Held()
    one = numbers_of(evaluation(store, "a", {"s": {"accuracy": 1, "unanswered": 3, "only": None}}))
    other = numbers_of(evaluation(store, "b", {"s": {"accuracy": 0.5, "unanswered": 0}}))
    assert counts_among([one, other]) == {"unanswered"}


def test_a_comparison_of_a_real_store(tmp_path):
    rows = [{"text": f"kind {n}", "mood": "good"} if n % 2 else {"text": f"cold {n}", "mood": "bad"}
            for n in range(40)]  # fmt: skip
    teachers = """
[teachers.t]
kind = "fake"
words.good = ["kind"]
words.bad = ["cold"]
[teachers.u]
kind = "fake"
name = "u"
words.good = ["cold"]
words.bad = ["kind"]
"""
    stages = """
[stages.rows]
kind = "corpus"
title = "rows"
license = "CC0-1.0"
source = "rows.jsonl"
gold.column = "mood"
gold.labels.good.equals = "good"
gold.labels.bad.equals = "bad"
"""
    for name in "tu":
        stages += f"""
[stages.by-{name}]
kind = "label"
input = "rows"
teacher = "{name}"
prompt = "p.txt"
labels = {{ good = " good", bad = " bad" }}
[stages.e-{name}]
kind = "evaluate"
input = "rows"
systems.s = "by-{name}"
"""
    store = run_stages(tmp_path, stages, {"rows.jsonl": rows, "p.txt": "{{ text }} ->\n"}, teachers)
    found = compared(store, [side(n, Run(store.find(f"e-{n}"))) for n in "tu"])
    assert main_of(found).gaps[0].found.difference == 1.0
    assert main_of(found).gaps[0].found.wins == 40


GROUPED = """
[stages.rows]
kind = "corpus"
title = "rows"
license = "CC0-1.0"
source = "rows.jsonl"
columns = ["document"]
gold.column = "mood"
gold.labels.good.equals = "good"
gold.labels.bad.equals = "bad"
[stages.one]
kind = "label"
input = "rows"
teacher = "t"
prompt = "p.txt"
labels = { good = " good", bad = " bad" }
[stages.other]
kind = "label"
input = "rows"
teacher = "u"
prompt = "p.txt"
labels = { good = " good", bad = " bad" }
[stages.both]
kind = "evaluate"
input = "rows"
systems = { s = "one", o = "other" }
compare = [["s", "o"]]
KEY
[stages.e-one]
kind = "evaluate"
input = "rows"
systems.s = "one"
KEY
[stages.e-other]
kind = "evaluate"
input = "rows"
systems.s = "other"
KEY
"""


@pytest.mark.parametrize("column", ["document", "s"])
def test_rows_that_belong_together_do_so_in_a_comparison(tmp_path, column):
    """As in one evaluation; a system of the group's name displaces its column."""
    rows = [
        {"text": f"{word} {d} {n}", "mood": "bad" if word == "dire" else "good", column: f"d{d}"}
        for d, word in enumerate(["kind"] * 4 + ["cold"] * 5 + ["dire"])
        for n in range(20)
    ]
    teachers = """
[teachers.t]
kind = "fake"
words.good = ["kind", "cold"]
words.bad = ["dire"]
[teachers.u]
kind = "fake"
name = "u"
words.good = ["cold"]
words.bad = ["kind", "dire"]
"""
    stages = GROUPED.replace("document", column).replace("KEY", f'group = ["{column}"]')
    store = run_stages(tmp_path, stages, {"rows.jsonl": rows, "p.txt": "{{ text }} ->\n"}, teachers)
    (told,) = store.find("both").measures["compare"]
    found = compared(store, [side(n, Run(store.find(f"e-{n}"))) for n in ("one", "other")])
    gap = main_of(found).gaps[0].found
    assert (gap.difference, gap.p, gap.pairs) == (told["difference"], told["p"], told["pairs"])
    assert (gap.low, gap.high) == pytest.approx((told["low"], told["high"]), abs=0.01)
    assert gap.difference == pytest.approx(0.4)
    assert gap.p == pytest.approx(0.125)  # four documents of ten
    assert not gap.is_beyond


def grouped(store, name, right, document, **kept):
    """Return an evaluation whose rows belong together, and its rows' columns."""
    made = labelled(store, name, right)
    columns = {key: store.rows[f"{name}@1"].column(key) for key in store.rows[f"{name}@1"].columns}
    facts = made.measures["systems"]
    stage = {"group": [*kept] or ["document"]}
    rows = {**columns, **({"document": document} if document is not None else {}), **kept}
    return evaluation(store, name, facts, rows, stage=stage)


def test_means_over_seeds_are_over_rows_that_belong_together():
    store = Held()
    documents = np.repeat(np.arange(6), 10).tolist()
    right = np.repeat([True, True, True, True, False, False], 10).tolist()
    widths = []
    for name, document in (("one", None), ("together", documents)):
        made = [
            labelled(store, f"{name}{n}", right) if document is None
            else grouped(store, f"{name}{n}", right, document)
            for n in (1, 2)
        ]  # fmt: skip
        value = main_of(compared(store, [side("a", *map(Run, made, (1, 2)))])).sides["a"]
        assert value.over == "seeds and rows"
        widths.append(value.high - value.low)
    assert widths[1] > 2 * widths[0]


def test_rows_that_belong_together_by_one_of_two_evaluations_do():
    store = Held()
    right = np.repeat([True, False], 30).tolist()
    documents = np.repeat(np.arange(6), 10).tolist()
    one, other = grouped(store, "a", right, documents), labelled(store, "b", [False] * 60)
    gap = main_of(compared(store, [side("a", Run(one)), side("b", Run(other))])).gaps[0]
    assert gap.by == "rows"
    assert gap.found.p == pytest.approx(0.25)  # three documents


def test_rows_of_before_that_do_not_say_what_belongs_together_are_not_paired():
    store = Held()
    one, other = (grouped(store, name, scores(n), None) for n, name in enumerate("ab"))
    gap = main_of(compared(store, [side("a", Run(one)), side("b", Run(other))])).gaps[0]
    assert gap.by == ""
    assert gap.why == "a@1 does not hold its rows' 'document', by which they belong together"
    assert not gap.found.is_beyond


@table(
    ("gold", "said", "right"),
    [
        ([0, 1, 1], ["0", "1", "0"], [1, 1, 0]),
        ([0, 1, 1], [0, 1, 0], [1, 1, 0]),
        (["0", "1", "1"], [0, 1, 0], [1, 1, 0]),
        ([True, False, True], ["True", "False", "False"], [1, 1, 0]),
        ([1.0, 2.0, 1.0], ["1.0", "2.0", "2.0"], [1, 1, 0]),
        (["a", "b", "a"], ["a", None, ""], [1, 0, 0]),
        (["None", "b", "a"], [None, "b", "a"], [0, 1, 1]),
        (["a", None, "b"], ["a", "b", "b"], [1, NAN, 1]),
        (["a", None, "b"], ["a", None, "b"], [1, NAN, 1]),
    ],
)
def test_labels_are_the_humans_whatever_type_rows_keep_them_in(gold, said, right):
    store = Held()
    rows = {"text": ["x", "y", "z"], "gold": gold, "s": said}
    found = row_scores(store, evaluation(store, "e", {"s": {"accuracy": 0.5}}, rows), "s")
    assert np.array_equal(found.values, [right], equal_nan=True)


def test_gold_of_another_type_is_the_same_rows():
    store = Held()
    made = [
        evaluation(store, name, {"s": {"accuracy": 0.5}},
                   {"text": ["x", "y"], "gold": gold, "s": ["0", "0"]}, digest=name)
        for name, gold in (("a", [0, 1]), ("b", ["0", "1"]))
    ]  # fmt: skip
    found = compared(store, [side(str(one.ref), Run(one)) for one in made])
    assert main_of(found).gaps[0].by == "rows"


def test_a_system_called_as_the_seed_of_another_is_itself():
    store = Held()
    rows = {"text": ["x", "y"], "gold": ["a", "a"], "s": ["a", "a"], "s_1": ["a", "b"]}
    stage = {"systems": {"s": "x", "s_1": "y"}}
    made = evaluation(store, "e", {"s": {"accuracy": 1}, "s_1": {"accuracy": 0.5}}, rows,
                      stage=stage)  # fmt: skip
    assert row_scores(store, made, "s").values.tolist() == [[1, 1]]
    assert row_scores(store, made, "s_1").values.tolist() == [[1, 0]]


def test_seeds_are_paired_whatever_order_they_were_made_in():
    store = Held()
    seeds = {n: scores(n, share=n / 5) for n in (1, 2, 3, 4)}
    one, other = (
        [Run(labelled(store, f"{name}{n}", seeds[n]), n) for n in order]
        for name, order in (("a", (1, 2, 3, 4)), ("b", (3, 1, 4, 2)))
    )
    gap = main_of(compared(store, [side("a", *one), side("b", *other)])).gaps[0].found
    assert (gap.difference, gap.low, gap.high) == (0, 0, 0)


def test_seeds_that_are_all_right_have_an_interval_and_those_without_say_nothing():
    store = Held()
    runs = [Run(labelled(store, f"a{n}", [True, True]), n) for n in (1, 2)]
    found = compared(store, [side("a", *runs)])
    value = main_of(found).sides["a"]
    assert (value.low, value.high) == pytest.approx(wilson(1.0, 2))
    f1 = next(one for one in found.measures if one.name == "macro_f1").sides["a"]
    assert math.isnan(f1.low)
    assert f1.over == ""


def test_a_mean_lies_within_its_interval_where_seeds_lack_scores_of_other_rows():
    store = Held()
    easy, hard = [1.0] * 40, [0.0] * 40
    values = {1: [*easy, *hard, *[None] * 400], 2: [*easy, *hard, *[1.0] * 400]}
    runs = [
        Run(evaluation(store, f"e{n}", {"s": {"score": np.mean([v for v in own if v is not None])}},
                       {"text": [str(k) for k in range(480)], "s": own}, metric="score"), n)
        for n, own in values.items()
    ]  # fmt: skip
    value = main_of(compared(store, [side("a", *runs)])).sides["a"]
    assert value.low <= value.mean <= value.high
    assert value.mean == pytest.approx(0.5)
    assert [*value.seeds.values()] == pytest.approx([0.5, 440 / 480])
