"""A model's bill weighs by tokens x epochs x loss weight, and an audit derives the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests_insider import Insider

import mashbill as mb
from mashbill import Channel, Signer, StageSpec, Store, StoreError, Uses
from mashbill.core.canonical import digest_bytes
from mashbill.core.source import Source
from mashbill.core.store import LEARNED
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.testing import LawError, check_trainer
from mashbill.testing.trial import GivenRows, Trial

WORDS = {"one": [2, 3, 5, 0], "two": [10, 20]}
TABLES = {
    name: pa.table({"text": [" ".join(["w"] * many) or "" for many in each]})
    for name, each in WORDS.items()
}
SEEN = {"one": [1, 2, 3, 4], "two": [2, 0]}


class Said:
    labels = ("a", "b")

    def probabilities(self, texts):
        return np.tile([0.5, 0.5], (len(texts), 1))


class Weighing(StageSpec):
    """Learns nothing, and says by what it weighed its two datasets."""

    kind: Literal["weighing"] = "weighing"
    output: ClassVar[Any] = "model"
    loss: ClassVar[dict[str, Any]] = {}
    tokens: ClassVar[dict[str, Any]] = {}
    seen: ClassVar[dict[str, Any]] = SEEN
    inputs: tuple[str, ...] = ("one", "two")

    def uses(self):
        return tuple(Uses(name, "trained-on", Channel.CONTENT) for name in self.inputs)

    def train(self, ctx, out: Path):
        for name in self.inputs:
            ctx.seen[name] = np.array(type(self).seen[name])
        ctx.loss_weight |= type(self).loss
        ctx.tokens |= {name: np.array(each) for name, each in type(self).tokens.items()}
        ctx.trained = Said()
        (out / "m.json").write_text("{}")

    @staticmethod
    def load(folder, threads):
        del folder, threads
        return Said()


class OwnRows(GivenRows):
    """Rows of a source of its own, so that a bill tells the two datasets apart."""

    kind: Literal["own-rows"] = "own-rows"  # type: ignore[assignment]

    def sources(self, folder):
        del folder
        return (Source(name=self.file, what="dataset", kind="own-dataset", route="file"),)


@pytest.fixture(autouse=True)
def own_rows(monkeypatch):
    monkeypatch.setattr("mashbill.testing.trial.GivenRows", OwnRows)


def made(folder, monkeypatch, **said):
    for key, value in said.items():
        monkeypatch.setattr(Weighing, key, value)
    signer = Signer(Ed25519PrivateKey.generate())
    store = Store(folder / "store", signer)
    manifest = Trial(Weighing(), TABLES).run_in(store, folder)
    result = Auditor(store.root).run()
    assert result.holds, result.findings
    assert not [each for each in result.not_derived if "out@1" in each.file]
    lines = bill(Circuit.of_artifact(store, manifest))
    shares = {line.source.name.removesuffix(".parquet"): line.share[0] for line in lines}
    return store, manifest, shares, signer


TOKENS = {"one": [4, 0, 6, 8], "two": [3, 9]}
CASES = {
    # 1*2 + 2*3 + 3*5 + 0 = 23 words and 2*10 = 20
    "nothing set": ({}, (23, 20), (23, 20), "words"),
    "one weight for all": ({"loss": {"one": 0.3, "two": 0.3}}, (23, 20), (23, 20), "words"),
    "a number a dataset": ({"loss": {"two": 0.5}}, (23, 20), (23, 10), "words"),
    "one a row": ({"loss": {"one": [0, 1, 0.5, 9]}}, (21, 20), (6 + 7.5, 20), "words"),
    "tokens counted": ({"tokens": TOKENS}, (4 + 18 + 32, 6), (54, 6), "tokens"),
    "both": ({"tokens": TOKENS, "loss": {"one": 0.1}}, (54, 6), (5.4, 6), "tokens"),
    "a dataset without weight": ({"loss": {"two": 0.0}}, (23, 0), (23, 0), "words"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bill_weighs_by_tokens_epochs_and_loss(name, tmp_path, monkeypatch):
    said, seen, weights, unit = CASES[name]
    _, manifest, shares, _ = made(tmp_path, monkeypatch, **said)
    assert (manifest.tokens, manifest.token_unit) == (sum(seen), unit)
    assert [each.name for each in manifest.learned_from] == ["one@1", "two@1"]
    assert [each.seen for each in manifest.learned_from] == list(seen)
    assert shares.get("one", 0) == pytest.approx(weights[0] / sum(weights), abs=1e-8)
    assert shares.get("two", 0) == pytest.approx(weights[1] / sum(weights), abs=1e-8)
    assert ("two" in shares) == (weights[1] > 0)  # what has no weight is not on the bill


def test_the_table_of_what_it_learned_from(tmp_path, monkeypatch):
    store, *_ = made(tmp_path, monkeypatch, loss={"two": 0.5})
    told = mb.open(store.root).bill("out@1").as_json()["learned_from"]
    assert told[0] == {"dataset": "one@1", "rows": 4, "tokens": 10, "epochs": 2.3,
                       "loss_weight": [1.0, 1.0], "part": pytest.approx(23 / 33)}  # fmt: skip
    assert told[1] == {"dataset": "two@1", "rows": 1, "tokens": 10, "epochs": 2.0,
                       "loss_weight": [0.5, 0.5], "part": pytest.approx(10 / 33)}  # fmt: skip


def _forged(store, signer, change):
    """Alter learned.parquet and sign for it, so that its digests agree again."""
    insider = Insider(store.root, signer)
    path = insider.of("out@1") / LEARNED
    pq.write_table(change(pq.read_table(path)), path)
    manifest = insider.manifest("out@1")
    manifest["learned"]["sha256"] = digest_bytes(path.read_bytes())
    insider.put("out@1", manifest)
    insider.sign()
    return [finding.what for finding in Auditor(store.root).run().findings]


def _column(name, value):
    def change(rows):
        at = rows.schema.get_field_index(name)
        values = pa.array([value] * rows.num_rows, rows.schema.field(name).type)
        return rows.set_column(at, rows.schema.field(name), values)

    return change


FORGED = {
    "other weights": (_column("loss_weight", 1.0), "other parts or weights"),
    "no weights": (lambda rows: rows.drop_columns(["loss_weight"]), "other parts or weights"),
    "other tokens": (_column("tokens", 1), "other parts or weights"),
    "no tokens": (lambda rows: rows.drop_columns(["tokens"]), "it learned from 43 words"),
    "a weight that is none": (_column("loss_weight", float("nan")), "cannot be read"),
    "less than no token": (_column("tokens", -1), "cannot be read"),
}


@pytest.mark.parametrize("name", FORGED)
def test_weights_that_an_insider_altered_are_found(name, tmp_path, monkeypatch):
    said = {"tokens": TOKENS, "loss": {"one": 0.1}}
    store, _, _, signer = made(tmp_path, monkeypatch, **said)
    change, words = FORGED[name]
    found = _forged(store, signer, change)
    assert any(words in what for what in found), found


@pytest.mark.parametrize("key", ["rows", "tokens", "seen", "weight", "loss_weights"])
def test_another_account_of_what_it_learned_from_is_found(key, tmp_path, monkeypatch):
    store, _, _, signer = made(tmp_path, monkeypatch, loss={"one": 0.1})
    insider = Insider(store.root, signer)
    manifest = insider.manifest("out@1")
    manifest["learned_from"][0][key] = [0.5, 0.5] if key == "loss_weights" else 1
    insider.put("out@1", manifest)
    insider.sign()
    found = [finding.what for finding in Auditor(store.root).run().findings]
    assert any("other rows, tokens, times or weights" in what for what in found), found


WRONG = [
    ({"loss": {"three": 1.0}}, "sets ctx.loss_weight['three']"),
    ({"loss": {"one": -1.0}}, "no number from 0"),
    ({"loss": {"one": [1.0]}}, "there are 4 rows"),
    ({"tokens": {"one": [1, 1, 1, 1]}}, "set it of all or of none"),
    ({"loss": {"one": 0.0, "two": 0.0}}, "learned from no row"),
]


@pytest.mark.parametrize("said", WRONG, ids=lambda said: said[1])
def test_what_a_trainer_says_wrong_commits_nothing_and_is_told(said, tmp_path, monkeypatch):
    for key, value in said[0].items():
        monkeypatch.setattr(Weighing, key, value)
    with pytest.raises(StoreError, match="fault of the trainer") as told:
        Trial(Weighing(), TABLES).run(tmp_path)
    assert said[1] in str(told.value)
    assert "stages.out: kind 'weighing'" in str(told.value)


def test_the_kit_tells_it_to_an_author(monkeypatch):
    monkeypatch.setattr(Weighing, "loss", {"one": [0.5] * 3})
    rows = {name: each.to_pylist() for name, each in TABLES.items()}
    with pytest.raises(LawError, match="loss_weight has the shape"):
        check_trainer(Weighing(), rows)


def test_a_dataset_taken_through_two_channels_is_counted_once(tmp_path, monkeypatch):
    class Twice(Weighing):
        kind: Literal["twice"] = "twice"  # type: ignore[assignment]
        inputs: tuple[str, ...] = ("one",)

        def uses(self):
            return tuple(
                Uses("one", "trained-on", how) for how in (Channel.CONTENT, Channel.LOGITS)
            )

    monkeypatch.setattr(Weighing, "seen", SEEN)
    store = Store(tmp_path / "store", Signer(Ed25519PrivateKey.generate()))
    manifest = Trial(Twice(), {"one": TABLES["one"]}).run_in(store, tmp_path)
    assert manifest.tokens == 23
    result = Auditor(store.root).run()
    assert result.holds, result.findings
    lines = bill(Circuit.of_artifact(store, manifest))
    assert {each.value for line in lines for each in line.channels} == {"content", "logits"}
    assert json.loads(manifest.to_bytes())["learned_from"][0]["seen"] == 23


def test_a_card_has_the_same_table(tmp_path, monkeypatch):
    store, *_ = made(tmp_path, monkeypatch, loss={"two": [0.5, 0.25]}, tokens=TOKENS)
    card = mb.open(store.root)["out@1"].export("card")
    assert "| learned from | rows | tokens a pass | epochs | loss weight | part |" in card
    assert "| one@1 | 4 | 18 | 3 | 1 |" in card
    assert "| two@1 | 1 | 3 | 2 | 0.5 |" in card
