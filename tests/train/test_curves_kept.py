"""A trainer that is cut off and resumed makes the same model, its curves too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mashbill import Channel, Signer, StageSpec, Store, StoreError, Uses
from mashbill.core.curves import CURVES, LINES, read_curves
from mashbill.lineage.evidence.audit import Auditor
from mashbill.testing import LawError, check_trainer
from mashbill.testing.trial import Trial, tables_of

ROWS = [{"text": f"text {at}", "label": "ab"[at % 2]} for at in range(8)]
STEPS, EVERY = 20, 4


class CutError(Exception):
    """Stands for SIGKILL: nothing is done once it came up."""


class Walk:
    labels = ("a", "b")

    def __init__(self, at: float) -> None:
        self.at = at

    def probabilities(self, texts):
        return np.tile([self.at, 1 - self.at], (len(texts), 1))


class Walking(StageSpec):
    """Halves the way to a goal at each step, and keeps every fourth."""

    kind: Literal["walking"] = "walking"
    output: ClassVar[Any] = "model"
    cut: ClassVar[int] = -1
    writes: ClassVar[str] = "at.json"
    input: str = "rows"

    def uses(self):
        return (Uses(self.input, "trained-on", Channel.CONTENT),)

    def train(self, ctx, out: Path):
        saved = ctx.work / "saved.json"
        first, at = json.loads(saved.read_text()) if saved.exists() else (0, 0.0)
        ctx.curves.resume(first)
        for step in range(first, STEPS):
            at += (0.75 - at) / 2
            ctx.curves.log(step, loss=abs(0.75 - at), tokens=16, tokens_per_second=step / 3)
            if step == type(self).cut:
                raise CutError
            if step % EVERY == EVERY - 1:
                ctx.curves.log(step, held_out_loss=at)
                ctx.curves.sync()
                saved.write_text(json.dumps([step + 1, at]))
        ctx.seen[self.input] = np.ones(len(ROWS), np.int64)
        ctx.trained = Walk(at)
        (out / type(self).writes).write_text(json.dumps(at))

    @staticmethod
    def load(folder, threads):
        del threads
        return Walk(json.loads((folder / Walking.writes).read_text()))


def _trial():
    spec = Walking()
    return Trial(spec, tables_of(spec, ROWS))


@pytest.fixture
def whole(tmp_path):
    return _trial().run(tmp_path / "whole")


def test_cut_at_any_step_and_resumed_the_model_is_the_same(whole, tmp_path, monkeypatch):
    _, wanted = whole
    for cut in (0, 3, 4, 10, STEPS - 1):
        folder = tmp_path / f"cut-{cut}"
        store = Store(folder / "store", Signer(Ed25519PrivateKey.generate()))
        monkeypatch.setattr(Walking, "cut", cut)
        with pytest.raises(CutError):
            _trial().run_in(store, folder)
        left = next((store.root / ".work").rglob(LINES)).read_text().splitlines()
        assert json.loads(left[-1])["step"] == cut
        monkeypatch.setattr(Walking, "cut", -1)
        assert _trial().run_in(store, folder).digest == wanted.digest


def test_curves_are_among_the_models_files_without_the_clock(whole):
    store, manifest = whole
    assert CURVES in {item.file for item in manifest.files}
    read = read_curves(store.folder("model", manifest.ref))
    assert read.keys() == {"loss", "held_out_loss", "tokens"}
    assert read["loss"].steps.tolist() == list(range(STEPS))
    assert read["held_out_loss"].steps.tolist() == [3, 7, 11, 15, 19]
    result = Auditor(store.root).run()
    assert result.holds, result.findings


def test_a_trainer_that_writes_that_file_itself_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Walking, "writes", CURVES)
    with pytest.raises(StoreError, match=r"call it otherwise"):
        _trial().run(tmp_path)


def test_the_kit_holds_a_trainer_to_going_on_where_it_was_cut(monkeypatch):
    assert "cut off and resumed" in check_trainer(Walking(), ROWS)

    def forgets(self, ctx, out):
        """Begins at its checkpoint and forgets what its numbers were made of."""
        saved = ctx.work / "saved"
        first, total = int(saved.read_text()) if saved.exists() else 0, 0.0
        ctx.curves.resume(first)
        for step in range(first, 8):
            total += step
            ctx.curves.log(step, loss=total)
            saved.write_text(str(step + 1))
        ctx.seen[self.input] = np.ones(len(ROWS), np.int64)
        ctx.trained = Walk(0.5)
        (out / "at.json").write_text("0.5")

    monkeypatch.setattr(Walking, "train", forgets)
    with pytest.raises(LawError, match="has other curves") as told:
        check_trainer(Walking(), ROWS)
    assert told.value.laws == ("cut off and resumed",)
