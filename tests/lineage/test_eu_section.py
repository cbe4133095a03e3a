"""Section 2.5 of the EU template: one derivation, with which the definition and all lines agree."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from tests_circuits import circuits
from tests_laws import law

from mashbill import Source, Store
from mashbill.lineage.bills.bill import coverage
from mashbill.lineage.bills.definitions import judge, load_definitions
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.exports import eu_2_5, gather
from mashbill.lineage.exports.eu_answer import section_of

[EU] = load_definitions(["EU-2.5"])


def section(table):
    covered = coverage(Circuit.of(table))
    return section_of(SimpleNamespace(table=table, named=covered.named), EU)


@law(150)
@given(circuits())
def test_the_models_on_the_market_are_those_that_the_definition_reaches(table):
    found = section(table)
    for counted, verifiers in ((True, "count"), (False, "do not count")):
        verdict = judge(EU.model_copy(update={"verifiers": verifiers}), table, asked="any")
        names = sorted({source.title for source in verdict.sources})
        assert found.named(verifiers=counted, own=False) == names
        assert (verdict.conclusion == "yes") == bool(names)


@law(150)
@given(circuits())
def test_the_answer_says_yes_exactly_if_a_model_that_counts_is_listed(table):
    found = section(table)
    ours = [item for item in found.direct if item.behalf == "the provider"]
    assert found.answer.startswith("Yes") == bool(ours)
    assert ("if models that only check" in found.answer) == (
        bool(ours) and not any(item.counts_always for item in ours)
    )
    assert {*found.named(verifiers=False)} <= {*found.named(verifiers=True)}
    assert all(item.name in found.answer for item in ours if item.counts_always)
    if found.covered[0] < 1:
        assert not found.answer.startswith("No:")


def source(name, **fields):
    return Source(
        **{"name": name, "what": "model", "kind": "open-weights", "route": "weights", **fields}
    )


TEXTS = source("texts", what="dataset", kind="own-dataset", route="file")
ROWS = {"route": "dataset:Rows of others"}
UNKNOWN = Source(name="old dump", what="unknown", kind="unknown", route="file")
OWN = {"type": "model", "artifact": "tiny@1", "files": "t"}
CASES = [
    ("nothing but texts", [("content", TEXTS)], "No: every token"),
    ("unknown texts", [("content", TEXTS), ("content", UNKNOWN)], "Not to be answered: the origin"),
    ("a teacher", [("content", source("heron"))], "Yes: heron made data"),
    ("a teacher and what is unknown", [("content", source("heron")), ("content", UNKNOWN)],
     "Yes: heron made data"),
    ("two teachers", [("content", source("heron")), ("logits", source("crane"))],
     "Yes: crane and heron made"),
    ("a checker alone", [("judgement/verifying", source("heron")), ("content", TEXTS)],
     "Yes, if models that only check outputs count"),
    ("a cleaner alone", [("transform/cleaning", source("heron")), ("content", TEXTS)],
     "No: every token"),
    ("a base alone", [("weights", source("heron")), ("content", TEXTS)], "No: every token"),
    ("a picker alone", [("selection", source("heron"))], "No: every token"),
    ("rows of nobody knows whom", [("content", source("heron", **ROWS))],
     "Not to be answered: on whose behalf heron wrote is not recorded."),
    ("rows of others", [("content", source("heron", **ROWS, called_by="others"))],
     "No: every token has a recorded origin, and no model made any of them for the provider."),
    ("rows that we had written", [("content", source("heron", **ROWS, called_by="us"))],
     "Yes: heron made data"),
]  # fmt: skip


def table_of(members):
    table = NodeTable()
    rows = []
    for how, thing in members:
        node = table.add_source(thing)
        rows.append([how, node, None if how == "weights" else 500])
    table.root = table.add({"type": "model", "artifact": "m@1", "files": "f", "members": rows})
    return table


@pytest.fixture(scope="session")
def real(finished):
    store = Store(finished[0])
    return gather(store, store.find("scratch"))


def account(real, table):
    manifest = real.manifest.model_copy(update={"tokens": 1000})
    circuit = Circuit.of(table)
    from mashbill.lineage.bills.bill import bill
    from mashbill.lineage.bills.definitions import judge_all

    return replace(
        real, manifest=manifest, table=table, lines=tuple(bill(circuit)), covered=coverage(circuit),
        verdicts=tuple(judge_all(circuit)), named=coverage(circuit).named,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "members", "answer"), CASES, ids=[case[0] for case in CASES])
def test_each_case_is_answered_in_a_sentence_that_the_rest_agrees_with(real, name, members, answer):
    table = table_of(members)
    found = section(table)
    assert found.answer.startswith(answer)
    text = eu_2_5.write(account(real, table))
    assert found.answer in text
    for counted in (False, True):
        reading = "verifiers counted" if counted else "verifiers not counted"
        [row] = [line for line in text.splitlines() if line.startswith(f"| {reading} |")]
        names = found.named(verifiers=counted)
        assert row.split(" | ")[1].rstrip(" |") == (
            f"yes: {', '.join(names)}" if names else "none recorded"
        )
    [line] = [line for line in text.splitlines() if line.startswith("Definition EU-2.5")]
    assert ("From any model: none recorded" in line) == (not found.named(verifiers=True, own=False))
    assert "## Modality" in text
    assert ("No such data are recorded." in text) == (not found.direct)


def test_its_own_model_is_told_on_every_line(finished):
    store = Store(finished[0])
    text = eu_2_5.write(gather(store, store.find("scratch")))
    assert "Yes: classifier@1 made data that it was trained on." in text
    assert "From any model: none recorded. Beside them, of the provider's own: cl" in text
    assert "`mashbill export classifier@1 --format eu-2.5`" in text
    assert re.search(r"\| classifier@1 .*\| the provider \|", text)


def test_it_says_for_whom_and_after_which_text(finished):
    store = Store(finished[0])
    text = eu_2_5.write(gather(store, store.find("confident")))
    assert "providers of general-purpose AI models" in text
    assert "C(2025) 8311 final, 5 December 2025" in text
    assert "second-hand" in text
