"""What the owner of a key alters of bases, and of what was taken in, is found."""

import json
import shutil

import pytest
from tests_bases import (  # noqa: F401
    FILES,
    GIVEN,
    NEXT,
    ROWS,
    TUNED,
    nudging,
    table,
    write_base,
    write_next,
)  # fmt: skip
from tests_insider import Insider
from tests_support import run_stages, run_toy

from mashbill import Signer
from mashbill.lineage.circuit.nodes import NodeTable, reachable
from mashbill.lineage.evidence.audit import Auditor

pytestmark = pytest.mark.usefixtures("nudging")
pytest.importorskip("transformers")


def chain(root):
    """Make other/store with tuned@1 from Tiny, and own/store with next@2 from what it takes in."""
    sha256 = write_base(root / "other" / "tiny")
    run_stages(root / "other", table("tiny", sha256) + ROWS + TUNED, FILES, "")
    (root / "own").mkdir()
    path = write_next(root / "own", GIVEN.format("tuned@1", 'store = "../other/store"\n') + NEXT)
    run_toy(path, root / "own" / "store", [root / "other"])


def without_base(table):
    """Return a model's nodes with its bases left out."""
    body = json.loads(json.dumps(table.bodies[table.root]))
    body["members"] = [member for member in body["members"] if member[0] != "weights"]
    new = NodeTable(dict(table.bodies))
    new.root = new.add(body)
    keep = reachable(new, [new.root])
    new.bodies = {name: new.bodies[name] for name in keep}
    return new


def hide(insider, *, inputs=True, nodes=True, literals=False):
    manifest = insider.manifest("tuned@1")
    if inputs:
        manifest["inputs"] = [item for item in manifest["inputs"] if item["role"] != "base"]
    if literals:
        del manifest["stage"]["bases"]
    insider.put("tuned@1", manifest)
    if nodes:
        insider.nodes(
            "tuned@1", without_base(NodeTable.read(insider.of("tuned@1") / "nodes.parquet"))
        )


def other_license(insider):
    def change(body):
        if body["name"] == "Tiny":
            body["license"] = "Apache-2.0"

    insider.sources(change)


def taken_in(change):
    def forge(insider):
        (predicate,) = insider.about("tuned@1", "commit")
        change(insider, predicate)

    return forge


def cleaned(insider, predicate):
    del predicate
    insider.nodes("tuned@1", without_base(NodeTable.read(insider.of("tuned@1") / "nodes.parquet")))


def by_another(insider, predicate):
    told = predicate["taken_in"]
    told["signer"] = "ab" * 32


def another_key(insider, predicate):
    predicate["taken_in"]["public_key"] = Signer.default().public.hex()[:-2] + "00"


def another_line(insider, predicate):
    line = (insider.folder / "ledger.jsonl").read_bytes().splitlines()[0]
    predicate["taken_in"]["line"] = line.decode()


FORGED = {
    "a base that is no input": ("other", hide, "name the base 'tiny', which is not among"),
    "a base that is no node": (
        "other", lambda i: hide(i, inputs=False), "its node has other parts or weights",
    ),
    "a base that no literal names either": (
        "other", lambda i: hide(i, literals=True), "start from 'tiny', which is not among its in",
    ),
    "another licence than the literals'": ("other", other_license, "name the base 'tiny'"),
    "nodes of what was taken in": ("own", taken_in(cleaned), "commits something else"),
    "another signer": ("own", taken_in(by_another), "names another signer than the line"),
    "another key": ("own", taken_in(another_key), "does not hold"),
    "another line": ("own", taken_in(another_line), "commits something else"),
    "that it was taken in at all": (
        "own", taken_in(lambda _, told: told.pop("taken_in")), "which no entry of this ledger comm",
    ),
    "no line": (
        "own", taken_in(lambda _, told: told.update(taken_in={"line": "x"})), "keeps no line of",
    ),
    "nothing": ("own", taken_in(lambda _, told: told.update(taken_in=1)), "and not from where"),
}  # fmt: skip


def test_what_is_forged_of_bases_is_found_and_what_is_not_is_not(tmp_path):
    chain(tmp_path / "whole")
    wrong = []
    for store in ("own", "other"):
        shutil.copytree(tmp_path / "whole" / store / "store", tmp_path / store)
        Insider(tmp_path / store).sign()
        if found := Auditor(tmp_path / store).run().findings:
            wrong.append(f"{store}: accused: {found[0]}")
        shutil.rmtree(tmp_path / store)
    for name, (store, forge, told) in FORGED.items():
        shutil.copytree(tmp_path / "whole" / store / "store", tmp_path / "forged")
        insider = Insider(tmp_path / "forged")
        forge(insider)
        insider.sign()
        findings = [str(one) for one in Auditor(tmp_path / "forged").run().findings]
        if not any(told in one for one in findings):
            wrong.append(f"{name}: {findings[:3]}")
        shutil.rmtree(tmp_path / "forged")
    assert not wrong, "\n".join(wrong)
