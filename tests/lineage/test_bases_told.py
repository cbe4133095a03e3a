"""Who is a base: text that a model built on some weights wrote is no use of these weights."""

from datetime import date
from types import SimpleNamespace

import pytest
from hypothesis import given
from tests_circuits import circuits, paths
from tests_laws import law

from mashbill import Source
from mashbill.core.source import Channel, parse_via
from mashbill.core.use import Use
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.telling import did
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.duties.decisions import decide_circuit, students_of
from mashbill.lineage.exports import card
from mashbill.policy.documents import load_registry
from mashbill.publish.model_files import facts_of

W = Source(name="o/W", what="model", kind="open-weights", route="weights", provider="O",
           license="Apache-2.0")  # fmt: skip
LLAMA = Source(name="Llama-2-7b", what="model", kind="open-weights", route="weights",
               provider="Meta", license="Llama-2")  # fmt: skip
OWN = Source(name="texts", what="dataset", kind="own-dataset", route="file")
OTHER = W.model_copy(update={"name": "o/V"})


def _model(table, name, *members):
    parts = [[how, node, tokens] for how, node, tokens in members]
    return table.add({"type": "model", "artifact": name, "files": name, "members": parts})


def _text_by(table, writer):
    """Rows that a model wrote from prompts of one's own."""
    row = table.add_made([("content", table.add_source(OWN)), ("content", writer)])
    return table.add({"type": "dataset", "artifact": "rows@1", "members": [[row, 5, 50]]})


def tuned(table, base):
    return _model(table, "root@1", ("weights", table.add_source(base), None),
                  ("content", table.add_source(OWN), 9))  # fmt: skip


def twice_tuned(table, base):
    first = _model(table, "mid@1", ("weights", table.add_source(base), None))
    return _model(table, "root@1", ("weights", first, None))


def merged(table, base):
    adapters = [
        _model(table, f"adapter{n}@1", ("weights", table.add_source(base), None),
               ("content", table.add_source(OWN), n)) for n in (1, 2)
    ]  # fmt: skip
    return _model(table, "root@1", *(("weights", each, None) for each in adapters))


def of_its_students_text(table, base):
    student = _model(table, "student@1", ("weights", table.add_source(base), None))
    return _model(table, "root@1", ("content", _text_by(table, student), 50))


def both_ways(table, base):
    student = _model(table, "student@1", ("weights", table.add_source(base), None))
    return _model(table, "root@1", ("weights", table.add_source(base), None),
                  ("content", _text_by(table, student), 50))  # fmt: skip


def of_a_base_that_it_taught(table, base):
    """The base itself learned from the source's text: its weights are not the source's."""
    first = _model(table, "mid@1", ("content", _text_by(table, table.add_source(base)), 5),
                   ("weights", table.add_source(OTHER), None))  # fmt: skip
    return _model(table, "root@1", ("weights", first, None))


def of_its_own_samples(table, base):
    """What a learner samples adds no source and no hop: such rows carry its base as weights."""
    node = table.add_source(base)
    row = table.add_made([("weights", node), ("content", table.add_source(OWN))])
    rollouts = table.add({"type": "dataset", "artifact": "r@1", "members": [[row, 5, 50]]})
    return _model(table, "root@1", ("weights", node, None), ("content", rollouts, 50))


WEIGHTS, TEXT = frozenset({Channel.WEIGHTS}), frozenset({Channel.WEIGHTS, Channel.CONTENT})
SHAPES = [
    (tuned, True, [WEIGHTS], ["o/W"], "finetune"),
    (twice_tuned, True, [WEIGHTS], ["o/W"], "finetune"),
    (merged, True, [WEIGHTS], ["o/W"], "merge"),
    (of_its_students_text, False, [TEXT], None, None),
    (both_ways, True, [WEIGHTS, TEXT], ["o/W"], "finetune"),
    (of_a_base_that_it_taught, False, [TEXT], ["o/V"], "finetune"),
    (of_its_own_samples, True, [WEIGHTS], ["o/W"], "finetune"),
]


def _made(shape, base=W):
    table = NodeTable()
    table.root = shape(table, base)
    return table


def _account(table, shape):
    """As much of an account as the two that tell bases ask for."""
    item = SimpleNamespace(channel="weights")
    entry = SimpleNamespace(digest="e")
    taken = [item, item] if shape is merged else [item]
    return SimpleNamespace(
        lines=tuple(bill(table)), verdicts=(), stated_license=None, version="0",
        step=SimpleNamespace(taken=taken, entry=entry),
        manifest=SimpleNamespace(ref="root@1", digest="d", stage={"kind": "sft"}, files=()),
    )  # fmt: skip


@pytest.mark.parametrize(("shape", "is_base", "ways", "bases", "relation"), SHAPES)
def test_a_base_is_what_weights_alone_lead_to(shape, is_base, ways, bases, relation):
    table = _made(shape)
    (line,) = [each for each in bill(table) if each.source == W]
    assert line.channels == (Channel.WEIGHTS,)  # as every bill has told it
    assert line.is_base == is_base
    assert (did(line) == "gave its weights") == is_base
    students = students_of(Circuit.of(table), lambda _: "language-model")[W]
    assert [each.channels for each in students if each.name == "root@1"] == ways
    told = {source for each in students if each.name == "root@1" for source in each.bases}
    assert ("o/W" in told) == is_base
    account = _account(table, shape)
    found, related = card._bases(account)
    assert found == (bases or [])
    if relation:
        assert related == relation
    facts = facts_of(account, "")
    count = facts.get("general.base_model.count", 0)
    assert [facts[f"general.base_model.{n}.name"] for n in range(count)] == (bases or [])


@pytest.mark.parametrize("shape", [row[0] for row in SHAPES])
def test_a_bar_on_outputs_is_asked_about_text_and_not_about_weights(shape):
    circuit = Circuit.of(_made(shape, LLAMA))
    use = Use(competes_with=("Meta",), distribution="public", commercial=True)
    decisions = decide_circuit(
        load_registry(), [circuit], circuit, lambda _: "language-model", use, date(2024, 1, 1)
    ).decisions
    asked = [
        each for each in decisions
        if each.engine == "use restriction" and each.about.startswith(LLAMA.name)
    ]  # fmt: skip
    barred = [each for each in asked if each.rule in {"no-competing-model", "no-training"}]
    reads = shape in (of_its_students_text, both_ways, of_a_base_that_it_taught)
    assert any("root@1" in str(each.path) + each.because for each in barred) == reads, asked
    assert not (reads and any("only its weights are used" in each.because for each in asked))


@law(60)
@given(circuits())
def test_a_line_is_of_a_base_where_a_path_of_weights_alone_leads(table):
    wanted = set()
    for name, _, labels in paths(table, table.root):
        if labels and {parse_via(label)[0] for label in labels} == {Channel.WEIGHTS}:
            wanted.add(Circuit.of(table).source(_place(table, name)))
    found = {line.source for line in bill(table) if line.is_base}
    assert found == wanted


def _place(table, name):
    circuit = Circuit.of(table)
    return next(node for node in range(circuit.size) if circuit.digest(node) == name)
