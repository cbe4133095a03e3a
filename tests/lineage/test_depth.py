"""Chains of 5,000: nothing nests as deep as data do."""

import json
import os
import sys
from contextlib import contextmanager
from datetime import date

import numpy as np
import pytest
from tests_support import execute
from typer.testing import CliRunner

from mashbill import Signer, Source, Store, load_recipe
from mashbill.cli import app
from mashbill.cli.show import hop_tree
from mashbill.client.wire import schemas
from mashbill.core.canonical import canonical_row, changed_keys
from mashbill.core.errors import CanonicalError
from mashbill.core.record import BILL
from mashbill.core.use import Use
from mashbill.lineage.bills.bill import bill, coverage, summarised
from mashbill.lineage.bills.definitions import judge_all, load_definitions
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.circuit.arrays import MADE, Circuit
from mashbill.lineage.circuit.composer import Composer, close_dataset, close_model
from mashbill.lineage.circuit.nodes import NodeTable, reachable
from mashbill.lineage.circuit.semirings import proportional
from mashbill.lineage.duties.decisions import decide_circuit
from mashbill.lineage.duties.obligations import output_licence
from mashbill.lineage.evidence.hop import Hop
from mashbill.lineage.evidence.proven import _closure
from mashbill.lineage.whatif.lead import shipped
from mashbill.lineage.whatif.passes import what_if
from mashbill.lineage.whatif.removal import Selector, touch
from mashbill.lineage.whatif.scenarios import Scenario
from mashbill.lineage.whatif.summary import Summary
from mashbill.lineage.whatif.things import FACTS, Column, Things
from mashbill.plan import build
from mashbill.policy.claims import Catalogue, Claim, Entity
from mashbill.policy.documents import load_registry
from mashbill.report import _hops
from mashbill.report.chain_drawing import draw_chain
from mashbill.report.gather import Box
from mashbill.run.executor import Execution

DEEP = 5_000
STAGES = 250
FRAMES = 200  # that a question may take, however deep the data are
DAY = date(2026, 11, 24)


@contextmanager
def few_frames(most=FRAMES):
    """Let calls nest only so much deeper than here."""
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + most)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def source(number, what="model", kind="closed-api"):
    return Source(name=f"s{number}", what=what, kind=kind, route="api", license="Apache-2.0")


@pytest.fixture(scope="module")
def chain():
    """The node table at the end of 5,000 stages: each judged, and now and then a model between."""
    table = NodeTable()
    table.number(table.add_source(source(0, "dataset", "own-dataset")))
    one = np.zeros(3, np.int64)
    table.count(one, np.full(3, 5))
    for number in range(1, DEEP + 1):
        actor = source(number % 6)
        if number % 2_000 == 50:
            actor = close_model(f"m{number}@1", "", [("content", table, np.array(table.tokens))])
        composer = Composer([("content", table)], [("judgement", actor)])
        bills = composer.one_each(one)
        table = composer.table
        table.count(bills, np.full(3, 5))
    close_dataset(table, "last@1")
    return table


@pytest.fixture(scope="module")
def circuit(chain):
    return Circuit.of(chain)


def things_of(circuit):
    blank = Column.of([""] * circuit.size)
    names = Column.of([circuit.title(node) for node in range(circuit.size)])
    columns = {**dict.fromkeys(FACTS, blank), "name": names}
    return Things(circuit, circuit.type != MADE, columns)


def test_the_chain_is_as_deep_as_it_says(circuit):
    assert len(circuit.levels) > DEEP


def told(circuit):
    things = things_of(circuit)
    removed = np.zeros(circuit.size, bool)
    removed[circuit.sources()[:3]] = True
    outcome = what_if(things, removed, load_definitions("ABC"), lead=shipped())
    return Summary(Scenario("", "", removed, DAY), things, outcome, shipped())


QUESTIONS = {
    "table": lambda table, _: NodeTable(**vars(table)).digest,
    "closure": lambda table, _: _closure(list(table.bodies.values()), {BILL: table.root}),
    "reachable": lambda table, _: len(reachable(table, [table.root])),
    "bill": lambda _, circuit: summarised(bill(circuit)),
    "coverage": lambda _, circuit: coverage(circuit),
    "verdicts": lambda _, circuit: judge_all(circuit, paths=3),
    "proportional": lambda _, circuit: proportional(
        circuit, circuit.matching(lambda s: s.what == "model"), np.ones(21, bool)
    ),
    "under": lambda _, circuit: circuit.under(circuit.root).size,
    "removal": lambda _, circuit: touch(circuit, Selector(kind="closed-api")).share,
    "what if": lambda _, circuit: told(circuit).as_json(),
    "flows": lambda _, circuit: told(circuit).flows(),
    "duties": lambda _, circuit: output_licence(load_registry(), circuit, DAY),
    "decisions": lambda _, circuit: decide_circuit(
        load_registry(), [circuit], circuit, lambda _: "language", Use(), DAY
    ),
}


@pytest.mark.few(5)
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_over_a_chain_of_5000_is_answered(chain, circuit, name):
    with few_frames():
        assert QUESTIONS[name](chain, circuit) is not None


def test_a_table_of_a_chain_of_5000_reads_back(chain, tmp_path):
    path = tmp_path / "nodes.parquet"
    with few_frames():
        path.write_bytes(chain.to_parquet())
        again = NodeTable.read(path)
        assert Circuit.read(path).size == len(again.bodies)
    assert again == chain


def claims(pairs):
    names = {name for pair in pairs for name in pair}
    entities = {name: Entity(id=name, what="model", kind="open-weights") for name in names}
    made = (Claim(child=a, parent=b, relation="sft-data", source="x") for a, b in pairs)
    return Catalogue(entities, tuple(made), {})


def test_claims_that_stand_on_each_other_5000_times_make_a_circuit():
    made = claims([(f"m{i}", f"m{i + 1}") for i in range(DEEP)])
    with few_frames():
        lineage = lineage_of(made)
        verdicts = judge_all(lineage.of(made.entities["m0"]), ["B"])
    assert verdicts[0][1].depth == 1
    assert len(lineage.circuit.levels) > DEEP


def test_a_circle_at_the_end_of_5000_claims_loses_one_claim():
    made = claims([*((f"m{i}", f"m{i + 1}") for i in range(DEEP)), (f"m{DEEP}", f"m{DEEP - 1}")])
    with few_frames():
        assert len(lineage_of(made).left_out) == 1


def long_trace():
    top = hop = Hop("row", "row 0", {"text": "a"})
    for number in range(1, DEEP):
        hop.behind = [Hop("call", f"call {number}"), Hop("row", f"row {number}")]
        hop = hop.behind[1]
    return top


def test_a_trace_of_5000_hops_is_told_whole_to_programs_and_people():
    top = long_trace()
    with few_frames():
        text = json.dumps(top.as_json())
        again = json.loads(text)
        assert len(list(_hops(top))) <= 301
        assert hop_tree(top).children
    assert [hop.what for _, hop in top.walk()][1:4] == ["call 1", "row 1", "call 2"]
    found, waiting = 0, [again]
    while waiting:
        hop = waiting.pop()
        if hop["kind"] == "further":
            hop = again["further"][hop["facts"]["place"]]
        found += 1
        waiting += hop["behind"]
    assert found == 2 * DEEP - 1


def test_5000_steps_in_a_row_are_drawn_as_one_box():
    boxes = [Box(f"b{i}", "dataset", "1 row", ((f"b{i + 1}", "content"),)) for i in range(DEEP)]
    boxes.append(Box(f"b{DEEP}", "dataset", "1 row", (("t", "judgement"),)))
    boxes.append(Box("t", "teacher", "teacher", ()))
    with few_frames():
        picture = draw_chain(boxes)
    assert picture.failed == ""
    assert [len(place.members) for place in picture.places] == [1, DEEP, 1]
    assert picture.svg.count("<rect") == 1 + 3
    assert len(picture.boxes) == DEEP + 2


def nested(depth, last, wrap):
    for _ in range(depth):
        last = wrap(last)
    return last


def test_what_is_nested_is_walked_or_refused():
    old, new = (nested(DEEP, value, lambda v: {"a": v}) for value in (1, 2))
    lists = nested(101, 1, lambda v: [v])
    arrays = nested(DEEP, {"type": "string"}, lambda v: {"type": "array", "items": v})
    with few_frames(500):
        assert len(changed_keys(old, new)) == 1
        with pytest.raises(CanonicalError, match="more than 100 lists inside each other"):
            canonical_row({"column": lists})
        assert canonical_row({"column": lists[0]})
        assert len(list(schemas._nodes(arrays))) == DEEP + 1
        assert not schemas._contains_itself(arrays)
        with pytest.raises(schemas.WireError, match="nested more than 100 levels deep"):
            schemas.for_gemini(arrays)


@pytest.mark.parametrize("contains", [True, False])
def test_a_schema_contains_itself_only_if_a_reference_leads_back(contains):
    inner = {"$ref": "#"} if contains else {"type": "string"}
    schema = {"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"items": inner}}}
    assert schemas._contains_itself(schema) == contains


@pytest.fixture(scope="module")
def deep_store(tmp_path_factory):
    """A real run of stages one after the other; that each is on the disk is not what counts."""
    folder = tmp_path_factory.mktemp("deep")
    (folder / "some.jsonl").write_text('{"text": "a kind day"}\n{"text": "a cold river"}\n')
    stages = [
        f'[stages.s{i}]\nkind = "split"\ninput = "{f"s{i - 1}" if i else "corpus"}"\n'
        "range = [0.0, 1.0]\n"
        for i in range(STAGES)
    ]
    recipe = folder / "deep.toml"
    recipe.write_text(
        f'[recipe]\nname = "deep"\nversion = "1"\nseed = 1\nresult = "s{STAGES - 1}"\n'
        '[stages.corpus]\nkind = "corpus"\ntitle = "few"\nlicense = "CC0-1.0"\n'
        'source = "some.jsonl"\n' + "".join(stages)
    )
    store = Store(folder / "store", Signer.default())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        execute(build(load_recipe(recipe), store), store, Execution(folder / "cache", threads=1))
    return folder


ASKED = [
    "plan RECIPE --store STORE", "run RECIPE --store STORE", "bill NAME --store STORE",
    "bill NAME --against s3 --store STORE", "trace NAME --row 1 --store STORE",
    "trace NAME --row 1 --json --store STORE", "trace corpus --row 1 --forward --store STORE",
    "trace corpus --row 1 --forward --json --store STORE", "report NAME --to TO --store STORE",
    "audit --store STORE", "prove NAME --row 0 --to TO --store STORE",
    "affected --license CC0-1.0 --store STORE", "check NAME --store STORE",
    "rebuild RECIPE --license CC0-1.0 --to TO --store STORE",
    "whatif --remove what=='dataset' --store STORE", "export NAME --format cyclonedx --store STORE",
    "export NAME --format prov --store STORE", "export NAME --format croissant --store STORE",
    "export NAME --format card --store STORE", "export NAME --format eu-2.5 --store STORE",
    "export NAME --format openlineage --store STORE", "export NAME --format spdx --store STORE",
    "publish NAME --to TO --store STORE",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("words", ASKED)
def test_a_command_over_a_real_chain_of_stages_nests_no_deeper(deep_store, words, tmp_path):
    def ask(name, to):
        filled = {"RECIPE": str(deep_store / "deep.toml"), "STORE": str(deep_store / "store"),
                  "NAME": name, "TO": str(tmp_path / to)}  # fmt: skip
        return CliRunner().invoke(app, [filled.get(word, word) for word in words.split()])

    ask("s1", "first")  # imports nest deep, and are done once
    with few_frames():
        done = ask(f"s{STAGES - 1}", "second")
    assert not isinstance(done.exception, RecursionError), words
    assert done.exit_code == ask("s1", "third").exit_code, done.output


@pytest.mark.slow
def test_a_proof_of_a_row_of_a_deep_chain_holds(deep_store, tmp_path):
    name, to = f"s{STAGES - 1}", str(tmp_path / "proof.json")
    store = str(deep_store / "store")
    prove = ["prove", name, "--row", "0", "--to", to, "--store", store]
    assert CliRunner().invoke(app, prove).exit_code == 0
    assert CliRunner().invoke(app, ["audit", "--proof", to]).exit_code == 0
