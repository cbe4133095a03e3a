"""A bill that was published and read back says what it said: never less unknown, never narrower."""

import json
import re

import pytest
from hypothesis import given
from tests_circuits import circuits, source
from tests_laws import law
from tests_trained import MODEL, take
from typer.testing import CliRunner

import mashbill
from mashbill import Source, Store
from mashbill.cli import app
from mashbill.lineage.bills.bill import bill, coverage
from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.catalogue.hub import hub_of
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.exports import bill_file
from mashbill.lineage.exports.making import MOST, making
from mashbill.policy.claims import Claim, Entity, load_catalogue
from mashbill.policy.importers import add_to, import_claims
from mashbill.policy.importers.card_making import read_making
from mashbill.policy.importers.imported import Gathering
from mashbill.policy.index import Index
from mashbill.policy.keeping import open_index

NAME = "me/it"
CLOSE = 1e-9


def imported(told, what, name=NAME):
    gathered = Gathering("card")
    gathered.add_entity("here", id=name, what=what, source="here")
    found = read_making(gathered, "here", told, (name, what), "here")
    assert not isinstance(found, str), found
    assert not gathered.left_out
    return gathered.finish()


def read_back(table, folder):
    """The circuit of a table that went through JSON, claims, CSV and the catalogue."""
    told = json.loads(json.dumps(making(table)))
    what = told[-1]["is"]
    add_to(folder, imported(told, what), load_catalogue(shipped=False))
    read = load_catalogue([folder], shipped=False)
    return lineage_of(read).of(read.find(NAME))


def verdicts(circuit):
    return [
        (v.definition.name, v.asked, v.conclusion, v.lineage_part, v.depth, v.share,
         sorted(s.kind for s in v.sources), len(v.path))
        for pair in judge_all(circuit) for v in pair
    ]  # fmt: skip


def contains(outer, inner):
    return outer[0] <= inner[0] + CLOSE and inner[1] <= outer[1] + CLOSE


def lines(circuit):
    return {
        (ln.source.name.removeprefix(f"{NAME}: "), ln.channels, ln.depth): ln
        for ln in bill(circuit)
    }


@law(120)
@given(circuits())
def test_verdicts_and_lines_of_any_chain_come_back(tmp_path_factory, table):
    own = Circuit.of(table)
    back = read_back(table, tmp_path_factory.mktemp("back"))
    for one, other in zip(verdicts(own), verdicts(back), strict=True):
        assert one[:5] == other[:5]
        assert contains(other[5], one[5])
        assert one[5] == pytest.approx(other[5], abs=CLOSE)
        assert one[6:] == other[6:]
    ours, theirs = lines(own), lines(back)
    assert ours.keys() == theirs.keys()
    for key, line in ours.items():
        assert theirs[key].share == pytest.approx(line.share, abs=CLOSE)
        assert contains(theirs[key].owed, line.owed)
    assert contains(coverage(back).recorded, coverage(own).recorded)


@law(30)
@given(circuits())
def test_the_whole_catalogue_by_column_has_the_same_steps(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("hub")
    back = read_back(table, folder)
    index = open_index([folder], shipped=False)
    assert isinstance(index, Index)
    hub = hub_of(index)
    row = next(n for n in range(index.size) if index.ids_of([n])[0].as_py() == NAME)
    whole = hub.circuit.under(int(hub.circuit.place[row]))
    assert verdicts(whole) == verdicts(back)


def of(*members, nodes=()):
    table = NodeTable()
    made = [make(table) for make in nodes]
    table.root = table.add({
        "type": "model", "artifact": "m@1", "files": "f",
        "members": [[how, made[at] if isinstance(at, int) else table.add_source(at), tokens]
                    for how, at, tokens in members],
    })  # fmt: skip
    return table


def test_three_that_reached_all_of_it_are_no_sum(tmp_path):
    """Shares of 1, three times: rows that one wrote, another judged and a third one chose."""
    table = NodeTable()
    parts = [
        (how, table.add_source(source(n)))
        for n, how in enumerate(["content", "judgement", "selection"])
    ]
    row = table.add_made(parts)
    table.root = table.add(
        {"type": "model", "artifact": "m@1", "files": "f", "members": [["content", row, 100]]}
    )
    back = read_back(table, tmp_path)
    assert [line.share for line in bill(back)] == [(1.0, 1.0)] * 3


def test_what_is_of_unknown_origin_stays_so_and_keeps_its_part(tmp_path):
    unknown = Source(name="dump: origin not recorded", what="unknown", kind="unknown", route="file")
    table = of(("content", source(0), 30), ("content", unknown, 70))
    own, back = coverage(Circuit.of(table)), coverage(read_back(table, tmp_path))
    assert own.named == back.named == (pytest.approx(0.3), pytest.approx(0.3))


def test_versions_of_one_thing_are_added_up_and_other_facts_are_another_thing(tmp_path):
    one = Source(name="o/m", what="model", kind="open-weights", route="weights", version="1")
    table = of(
        ("content", one, 20), ("content", one.model_copy(update={"version": "2"}), 20),
        ("content", one.model_copy(update={"kind": "closed-api"}), 60),
    )  # fmt: skip
    back = read_back(table, tmp_path)
    shares = {ln.source.kind: ln.share[0] for ln in bill(back)}
    assert shares == {"open-weights": pytest.approx(0.4), "closed-api": pytest.approx(0.6)}
    assert {ln.source.name for ln in bill(back)} == {"o/m", "o/m (2)"}


def test_a_graph_that_is_too_large_is_not_told():
    members = [("content", source(n), 1) for n in range(MOST + 1)]
    assert making(of(*members)) is None
    assert making(of(*members[:50])) is not None


def test_a_bill_whose_making_is_too_long_tells_its_lines(finished, tmp_path, monkeypatch):
    store = Store(finished[0])
    monkeypatch.setattr(bill_file, "_LARGEST", 10)
    mashbill.open(store.root)["scratch"].publish(str(tmp_path / "acme" / "it"))
    imported = import_claims("card", tmp_path / "acme" / "it" / "README.md")
    assert json.loads((tmp_path / "acme" / "it" / "bill.json").read_text())["making"] is None
    assert imported.claims
    add_to(tmp_path / "claims", imported, load_catalogue(shipped=False))
    read = load_catalogue([tmp_path / "claims"], shipped=False)
    back = lineage_of(read).of(read.find("acme/it"))
    own = {v[:2]: v for v in verdicts(Circuit.of_artifact(store, store.find("scratch")))}
    for verdict in verdicts(back):  # what is not known to be no is not told as no without a word
        if verdict[2] != own[verdict[:2]][2]:
            assert verdict[2] in ("none recorded", "cannot be decided from lineage")
    unknown = [v.unknown for pair in judge_all(back) for v in pair]
    assert all(any("what else it was made from" in text for text in told) for told in unknown)


def test_shares_of_lines_that_overlap_are_in_notes_and_no_sum(tmp_path):
    line = {"source": source(0).model_dump(mode="json"), "channels": ["content"], "depth": 1,
            "share": [1.0, 1.0]}  # fmt: skip
    other = {**line, "source": source(1).model_dump(mode="json"), "channels": ["judgement"]}
    third = {**line, "source": source(2).model_dump(mode="json"), "share": [0.2, 0.4]}
    block = {"format": 1, "artifact": "m@1", "bill": [line, other, third]}
    file = tmp_path / "acme" / "m" / "README.md"
    file.parent.mkdir(parents=True)
    file.write_text(f"---\nx-mashbill: {json.dumps(block)}\npipeline_tag: x\n---\n")
    imported = import_claims("card", file)
    assert [claim.share for claim in imported.claims] == [None] * 3
    notes = " ".join(claim.note for claim in imported.claims)
    assert "it reached a share of 1" in notes
    assert "between 0.2 and 0.4" in notes
    add_to(tmp_path / "claims", imported, load_catalogue(shipped=False))
    read = load_catalogue([tmp_path / "claims"], shipped=False)
    for found in bill(lineage_of(read).of(read.find("acme/m"))):
        assert found.share == (0.0, 1.0)


FLAWS = {
    "no list": ({}, "it holds no making"),
    "empty": ([], "it holds no making"),
    "forward": ([{"is": "model", "name": "m", "parts": [["content", 0, 1]]}], "no place before it"),
    "truth": ([{"is": "made", "name": "", "parts": [["content", True, 1]]}], "no place before it"),
    "channel": (
        [{"is": "source", "source": source(0).model_dump(mode="json")},
         {"is": "model", "name": "m", "parts": [["telepathy", 0, 1]]}],
        "telepathy",
    ),
    "tokens": (
        [{"is": "source", "source": source(0).model_dump(mode="json")},
         {"is": "model", "name": "m", "parts": [["content", 0, -1]]}],
        "-1 tokens",
    ),
    "kind": ([{"is": "spell", "name": "", "parts": []}], "spell"),
    "whose": (
        [{"is": "source", "source": source(0).model_dump(mode="json")},
         {"is": "dataset", "name": "m", "parts": [["content", 0, 1]]}],
        "is that of a dataset, and the card is of a model",
    ),
    "leaf": ([{"is": "source", "source": source(0).model_dump(mode="json")}], "making is that of"),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAWS)
def test_a_making_that_is_none_is_told_and_adds_nothing(name):
    told, reason = FLAWS[name]
    gathered = Gathering("card")
    found = read_making(gathered, "here", told, (NAME, "model"), "here")
    assert isinstance(found, str)
    assert reason in found
    assert not gathered.claims
    assert not gathered.entities


def test_a_sum_of_parts_is_still_checked():
    claims = tuple(
        Claim(child="a/a", parent=f"b/{n}", relation="trained-on", share=0.6, source="s")
        for n in range(2)
    )
    entities = {name: Entity(id=name, what="dataset") for name in ("a/a", "b/0", "b/1")}
    catalogue = load_catalogue(shipped=False)
    catalogue = type(catalogue)(entities, claims, {name: name for name in entities})
    with pytest.raises(mashbill.InputError, match=r"add up to 1\.2 of 1"):
        lineage_of(catalogue)


def test_a_model_whose_weights_of_datasets_are_not_known_comes_back_with_intervals(tmp_path):
    store = take(tmp_path / "made", MODEL + "epochs.said = 1\n")
    folder = tmp_path / "acme" / "student"
    mashbill.open(store.root)["student"].publish(str(folder))
    imported = import_claims("card", folder / "README.md")
    assert imported.left_out == ()
    add_to(tmp_path / "claims", imported, load_catalogue(shipped=False))
    read = load_catalogue([tmp_path / "claims"], shipped=False)
    back = lineage_of(read).of(read.find("acme/student"))
    own = Circuit.of_artifact(store, store.find("student"))
    assert sorted(ln.share for ln in bill(back)) == sorted(ln.share for ln in bill(own))
    assert [v[2:6] for v in verdicts(back)] == [v[2:6] for v in verdicts(own)]
    assert any(ln.share == (0.0, 1.0) for ln in bill(back))


@pytest.mark.parametrize("name", ["scratch", "classifier", "confident", "corpus"])
def test_published_imported_and_asked_by_hand(finished, tmp_path, name):
    root = finished[0]
    folder = tmp_path / "acme" / name
    mashbill.open(root)[name].publish(str(folder))
    to = tmp_path / "claims"
    run = CliRunner().invoke
    kind = Store(root).find(name).kind
    whose = f"{'datasets/' if kind == 'dataset' else ''}acme/{name}"
    done = run(app, ["catalogue", "import", "card", str(folder), "--to", str(to)])
    if done.exit_code:
        done = run(app, ["catalogue", "import", "card", str(folder / "README.md"), "--to", str(to),
                         "--entity", whose])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "no statements left out" in re.sub(r"\s+", " ", done.output)
    asked = ["--definition", "all", "--json"]
    theirs = run(app, ["bill", f"hf:acme/{name}", "--catalogue", str(to), *asked])
    assert theirs.exit_code == 0, theirs.output
    ours = json.loads(run(app, ["bill", name, "--store", str(root), *asked]).stdout)
    told = json.loads(theirs.stdout)
    keys = ("definition", "asked", "conclusion", "lineage_part", "depth")
    assert [[v[k] for k in keys] for v in told["verdicts"]] == [
        [v[k] for k in keys] for v in ours["verdicts"]
    ]
    for one, other in zip(ours["verdicts"], told["verdicts"], strict=True):
        assert contains(other["share"], one["share"])
    shares = sorted(
        (sorted(ln["channels"]), ln["depth"], *ln["share"])
        for ln in told["bill"]
        if ln["source"]["route"] != "not recorded"  # who wrote the words of prompts
    )
    expected = sorted((sorted(ln["channels"]), ln["depth"], *ln["share"]) for ln in ours["bill"])
    assert len(shares) == len(expected)
    for one, other in zip(shares, expected, strict=True):
        assert one[:2] == other[:2]
        assert one[2:] == pytest.approx(other[2:], abs=1e-6)
    assert contains(told["coverage"], ours["coverage"])
    again = run(app, ["catalogue", "import", "card", str(folder / "README.md"), "--to", str(to),
                      "--entity", whose])  # fmt: skip
    assert "no claims and no models or datasets added" in again.output or "0 claims" in again.output
