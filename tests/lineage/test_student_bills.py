"""A law of DESIGN.md section 4: whatever a model teaches has its bill one hop further away."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests_circuits import circuits, source

from mashbill import Channel
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.composer import Composer, close_dataset, close_model
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.exports.trained_here import own_teachers

ASKED = source("asked", what="dataset")


def reached(table):
    """(source, channels) -> models between, by each route of a bill."""
    return {(line.source, line.channels): line.depth for line in bill(table)}


def prompts():
    table = NodeTable()
    table.number(table.add_source(ASKED))
    table.count(np.zeros(3, np.int64), np.ones(3, np.int64))
    close_dataset(table, "asked@1")
    return table


def written(model, how):
    """Return the nodes of what a model wrote when it was asked by rows of ``asked``."""
    composer = Composer([("prompt", prompts())], [(how, model)])
    composer.one_each(np.zeros(3, np.int64))
    composer.table.count(np.zeros(3, np.int64), np.ones(3, np.int64))
    close_dataset(composer.table, "written@1")
    return composer.table


def trained_on(data):
    """Return a model that learned from all that a circuit stands for."""
    if not data.numbered:
        data.number(data.root)
    return close_model("scratch@1", "f", [("content", data, np.array([5]))])


@given(data=circuits())
def test_what_a_model_wrote_has_its_bill_one_hop_further(data):
    model = trained_on(data)
    prompt = {(ASKED, (Channel.PROMPT,)): 1}
    expected = {key: depth + 1 for key, depth in reached(model).items()} | prompt
    assert reached(written(model, "content")) == expected


@given(data=circuits(), rounds=st.integers(2, 4))
def test_each_student_of_a_student_is_one_hop_further(data, rounds):
    model = first = trained_on(data)
    for _ in range(rounds):
        table = written(model, "content")
        model = close_model("next@1", "n", [("content", table, np.array([3]))])
    own = {key: depth + rounds for key, depth in reached(first).items()}
    assert own.items() <= reached(model).items()


@given(
    data=circuits(), how=st.sampled_from(["content", "judgement", "prompt", "judgement/verifying"])
)
def test_a_model_of_ones_own_is_named_by_how_it_acted(data, how):
    table = written(trained_on(data), how)
    channel = Channel(how.partition("/")[0])
    assert own_teachers(table) == {"scratch@1": {channel}}
