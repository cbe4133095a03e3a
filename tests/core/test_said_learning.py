"""What is said of a training elsewhere, against what our own trainers count of the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.learning import Learned, RowSizes, weigh
from mashbill.core.said_learning import SaidDataset, weigh_said
from mashbill.core.source import Source
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.composer import close_model
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.circuit.said_model import close_said, origins_of

BASE = Source(name="Base", what="model", kind="open-weights", route="weights")


def table_of(name, words, bills, nodes, *, by_student):
    """The nodes of a dataset whose rows were written by so many teachers, or students of theirs."""
    table = NodeTable()
    for number in range(nodes):
        leaf = table.add_source(
            Source(name=f"T{number}", what="model", kind="closed-api", route="api:x")
        )
        if by_student and number % 2:
            leaf = table.add(
                {"type": "model", "artifact": "s@1", "files": "", "members": [["content", leaf, 7]]}
            )
        table.number(table.add_made([("content", leaf), ("prompt", table.add_source(BASE))]))
    table.count(np.array(bills), np.array(words))
    members = [list(row) for row in table.numbered_rows() if row[1]]
    table.root = table.add({"type": "dataset", "artifact": name, "members": members})
    return table


@st.composite
def trainings(draw):
    """Datasets, each with the words, tokens, origin and passes of its rows, and its loss weight."""
    made = {}
    for number in range(draw(st.integers(1, 4))):
        nodes, rows = draw(st.integers(1, 3)), draw(st.integers(1, 8))
        each = st.lists(st.integers(1, 500), min_size=rows, max_size=rows)
        words, tokens = draw(each), draw(each)
        bills = draw(st.lists(st.integers(0, nodes - 1), min_size=rows, max_size=rows))
        epochs = draw(st.integers(1, 4))
        weight = draw(st.sampled_from([1.0, 1.0, 0.5, 2.0, 0.1]))
        table = table_of(f"d{number}@1", words, bills, nodes, by_student=draw(st.booleans()))
        made[f"d{number}@1"] = (table, words, tokens, bills, epochs, weight)
    return made


def ours(made, *, counted):
    """The model's nodes as a trainer of ours has them."""
    learned, rows = {}, {}
    for name, (table, words, tokens, bills, epochs, weight) in made.items():
        times = np.full(len(words), epochs, np.int64)
        learned[name] = Learned(
            times, np.full(len(words), weight), np.array(tokens, np.int64) if counted else None
        )
        rows[name] = RowSizes(np.array(words, np.int64), np.array(bills), len(table.numbered))
    found = weigh(learned, rows)
    members = [("content", made[name][0], found.by_node[name]) for name in made]
    return close_model("m@1", "f", members, [("weights", BASE)]), found


def theirs(made, said):
    """The same from what is said."""
    tables = {name: each[0] for name, each in made.items()}
    origins = {name: origins_of(table) for name, table in tables.items()}
    bases = [(("weights", BASE), None)]
    return close_said("m@1", "f", said, tables, origins, bases, has_unnamed=False)


def counted_apart(name, each):
    """All that a trainer can say of one dataset."""
    table, _, tokens, bills, epochs, weight = each
    parts: dict[str, int] = {}
    for bill_, count in zip(bills, tokens, strict=True):
        node = table.numbered[bill_]
        parts[node] = parts.get(node, 0) + count * epochs
    total = sum(parts.values())
    return SaidDataset(
        name, rows=len(bills), tokens=total, epochs=epochs, weight=weight, parts=parts
    )


@law(60)
@given(trainings())
def test_who_counted_as_our_trainer_does_gets_its_bill_to_the_digest(made):
    wanted, weighed = ours(made, counted=True)
    table, found = theirs(made, [counted_apart(*item) for item in made.items()])
    assert table.digest == wanted.digest
    assert (found.unit, found.tokens) == (weighed.unit, weighed.tokens)
    assert found.learned_from == weighed.learned_from
    assert not found.unknown


@law(40)
@given(trainings())
def test_whole_passes_alone_give_the_bill_of_a_trainer_that_counts_no_tokens(made):
    wanted, weighed = ours(made, counted=False)
    said = [SaidDataset(n, epochs=each[4], weight=each[5]) for n, each in made.items()]
    table, found = theirs(made, said)
    assert table.digest == wanted.digest
    assert found.learned_from == weighed.learned_from


@law(40)
@given(trainings())
def test_tokens_of_a_dataset_with_one_origin_are_enough(made):
    made = {n: each for n, each in made.items() if len(set(each[3])) == 1}
    if not made:
        return
    wanted, _ = ours(made, counted=True)
    said = [
        SaidDataset(n, tokens=sum(each[2]) * each[4], weight=each[5]) for n, each in made.items()
    ]
    assert theirs(made, said)[0].digest == wanted.digest


@law(60)
@given(trainings(), st.data())
def test_whatever_is_left_out_the_bill_of_who_counted_lies_within(made, data):
    wanted, _ = ours(made, counted=True)
    said = []
    for name, each in made.items():
        whole = counted_apart(name, each)
        how = data.draw(st.sampled_from(["all", "nothing", "tokens", "some passes"]))
        bare = SaidDataset(name, weight=whole.weight)
        said.append(
            {
                "all": whole,
                "nothing": bare,
                "tokens": SaidDataset(name, tokens=whole.tokens, weight=whole.weight),
                "some passes": SaidDataset(name, epochs=0.5, weight=whole.weight),
            }[how]
        )
    table, found = theirs(made, said)
    if found.unit == "words" and not found.unknown:
        return
    lines = {(one.source, one.channels, one.depth): one for one in bill(table)}
    for one in bill(wanted):
        told = lines[one.source, one.channels, one.depth]
        assert told.share[0] <= one.share[0] + 1e-9
        assert told.share[1] >= one.share[1] - 1e-9
        assert told.owed[0] <= one.owed[0] + 1e-9
        assert told.owed[1] >= one.owed[1] - 1e-9


@law(20)
@given(trainings())
def test_what_is_said_is_read_as_it_was_written(made):
    for name, each in made.items():
        whole = counted_apart(name, each)
        assert SaidDataset.read(whole.as_json()) == whole
        outside = SaidDataset(name, outside=origins_of(each[0]), told="somebody's word")
        assert SaidDataset.read(outside.as_json()) == outside


def test_a_dataset_of_which_nothing_was_seen_is_not_on_the_bill():
    made = {"d0@1": (table_of("d0@1", [3], [0], 1, by_student=False), [3], [3], [0], 1, 1.0)}
    table, found = theirs(made, [SaidDataset("d0@1", epochs=0.0)])
    assert [line.source for line in bill(table)] == [BASE]
    assert found.by_node == {"d0@1": [0]}


def test_tokens_and_words_are_not_weighed_against_each_other():
    made = {
        f"d{n}@1": (table_of(f"d{n}@1", [3], [0], 1, by_student=False), [3], [3], [0], 1, 1.0)
        for n in (0, 1)
    }
    _, found = theirs(made, [SaidDataset("d0@1", tokens=9), SaidDataset("d1@1", epochs=2.0)])
    assert sorted(None in each for each in found.by_node.values()) == [False, True]
    assert len(weigh_said([], {}).by_node) == 0
