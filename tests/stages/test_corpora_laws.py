"""Laws of the stages that filter, mix, split and redact: no slice decides anything."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_toy

from mashbill import InputError
from mashbill.core.record import FROM, ID, identify
from mashbill.core.stage import StageContext
from mashbill.stages.filter import FilterSpec
from mashbill.stages.mix import MixSpec
from mashbill.stages.pii import PiiSpec
from mashbill.stages.split import SplitSpec
from mashbill.testing import check_stage
from mashbill.workspace.space import open_workspace

WORDS = "the river of stone and light that have winter seen".split()  # noqa: SIM905
ROWS = [
    {"text": " ".join(WORDS[(n * k) % 10] for k in range(n % 70 + 1)), "user": f"u{n % 7}",
     "task": f"t{n % 7 % 3}", "score": n / 40, "mail": f"write to a{n % 3}@example.com"}
    for n in range(40)
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "rows", "may_drop"),
    [
        (FilterSpec(input="rows", heuristics=("gopher-quality", "fineweb-short-lines"),
                    limits={"gopher-fewest-words": 20}),
         ROWS, False),
        (FilterSpec(input="rows", by="rule", where=[{"column": "score", "above": 0.5}],
                    column="score", keep_top=0.7), ROWS, False),
        (MixSpec(weights={"a": 2, "b": 1}, total=30, most_times={"b": 2.0}),
         {"a": ROWS, "b": ROWS[:7]}, True),
        (SplitSpec(input="rows", range=(0, 0.5), by=("user",)), ROWS, True),
        (SplitSpec(input="rows", range=(0, 0.9), by=("user", "task")), ROWS, True),
        (PiiSpec(input="rows"), ROWS, False),
        (PiiSpec(input="rows", found="reject"), [*ROWS, {"text": "x"}], False),
    ],
)  # fmt: skip
def test_all_laws_of_stages_hold(spec, rows, may_drop):
    assert check_stage(spec, rows, may_drop=may_drop)


class Rows:
    """A dataset in memory, as stages read one."""

    def __init__(self, table):
        self.table, self.num_rows = table, table.num_rows
        self.manifest = type("Manifest", (), {"ref": "rows@1"})

    def chunks(self, rows, columns=None):
        for start in range(0, self.num_rows, rows):
            yield start, self.table.select(columns or self.table.column_names).slice(start, rows)


def sides(table, by, cuts, size, seed):
    """Return the rows that each range takes, slices of this size apart."""
    data, found = Rows(table), []
    for low, high in cuts:
        spec = SplitSpec(input="rows", range=(low, high), by=by, ungrouped="alone")
        context = StageContext(
            name="out", seed=seed, recipe_folder=None, cache=None, work=None, threads=1,
            input=lambda _: data, teacher=None, predictor=None, progress=lambda *_: None,
        )  # fmt: skip
        taken = []
        for start in range(0, table.num_rows, size):
            context.first, context.measures = start, {}
            for batch in table.slice(start, size).combine_chunks().to_batches():
                for made in spec.run(iter([batch]), context):
                    taken += [start + at for at in made.column(FROM).to_pylist()]
        found.append(taken)
    return found


CELLS = st.one_of(st.none(), st.sampled_from(["A", "a!", "b", "c++", "c", "用户", "🎉", "", "d e"]))


@law(80)
@given(
    st.lists(st.tuples(CELLS, CELLS, st.integers(0, 3)), min_size=1, max_size=30),
    st.integers(1, 31),
    st.floats(0.05, 0.95),
    st.sampled_from([("x",), ("y",), ("x", "y"), ("x", "y", "n")]),
    st.integers(0, 9),
)
def test_no_group_is_divided_whatever_rows_ranges_and_slices(rows, size, cut, by, seed):
    columns = {
        "x": pa.array([x for x, _, _ in rows], pa.string()),
        "y": pa.array([y for _, y, _ in rows], pa.string()),
        "n": pa.array([n for _, _, n in rows], pa.int64()),
        "row": pa.array(np.arange(len(rows))),
    }
    table = identify(pa.table(columns))
    assert ID in table.column_names
    try:
        one, other = sides(table, by, [(0, cut), (cut, 1)], size, seed)
    except InputError as error:
        tied = str(error)
        assume("into one group" not in tied)
        raise
    assert sorted(one + other) == list(range(len(rows)))  # each row is on one side
    assert [one, other] == sides(table, by, [(0, cut), (cut, 1)], 1000, seed)
    for name in by:
        values = table.column(name).to_pylist()
        both = {values[at] for at in one} & {values[at] for at in other}
        assert not {each for each in both if each is not None and str(each).strip()}


def test_the_recipe_of_a_corpus_does_what_it_says(tmp_path):
    store, _ = run_toy(Path(__file__).parents[2] / "recipes" / "corpora.toml", tmp_path / "store")
    space = open_workspace(store.root)
    assert space.overlap("train", "test", ["customer", "text"]).is_apart
    train, read = rows_of(store, "train"), store.find("read").measures
    assert sum(row["customer"] is None for row in train) * 4 in range(
        len(train) - 3, len(train) + 4
    )
    told = repr(train)
    assert "@example.com" not in told
    assert "202-555" not in told
    assert "<EMAIL_1>" in told
    assert "version 1.2.3 from 2024" not in told
    assert "It is version 1.2.3.4 from 2024-01-15." in told
    assert read["rules"]["gopher-commonest-n3"]["rejected"] > 0
    (data,) = space.data("train")
    reasons = [each.reason for each in data.yields[2].reasons]
    assert any(reason.startswith("gopher-commonest-n4: ") for reason in reasons)
