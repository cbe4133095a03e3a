"""What sft and logit_kd say of what they learned from, and a few answers before and after."""

from __future__ import annotations

import pytest
from tests_support import run_stages
from tests_tiny_base import make_base
from train.test_sft import ASKED, BASE, ROWS, digest_of, rows

from mashbill.core.learning import COUNTED_UNIT
from mashbill.core.samples import samples_of
from mashbill.lineage.evidence.audit import Auditor
from mashbill.train import fine_tuning

STUDENT = """
[stages.student]
kind = "sft"
inputs = ["said", "more"]
weights = { more = 0.5 }
base = "small"
heldout = "held"
method = "full"
batch = 4
steps = 90
rate = 0.02
warmup = 0.0
dtype = "float32"
"""


class CutError(Exception):
    """Stands for SIGKILL."""


def again(name):
    return ROWS.replace("[stages.said]", f"[stages.{name}]").replace("rows.jsonl", f"{name}.jsonl")


def run(folder):
    made = make_base(folder / "base")
    stages = BASE.replace("DIGEST", digest_of(made)) + ROWS + again("more") + again("held")
    more = [{**row, "prompt": f"say, {row['prompt']}"} for row in rows(1)]
    held = [{**row, "prompt": f"so {row['prompt']}"} for row in rows(2)]
    return run_stages(
        folder, stages + STUDENT, {"rows.jsonl": rows(), "more.jsonl": more, "held.jsonl": held}
    )


def test_what_was_learned_is_counted_in_tokens_and_answers_stand_side_by_side(
    tmp_path, monkeypatch
):
    store = run(tmp_path / "whole")
    manifest = store.find("student")
    assert manifest.token_unit == COUNTED_UNIT
    assert manifest.tokens == manifest.measures["learned_tokens"]
    said, more = manifest.learned_from
    assert (said.name, said.rows, said.loss_weights) == ("said@1", 16, (1, 1))
    assert (more.name, more.rows, more.loss_weights) == ("more@1", 4, (0.5, 0.5))
    assert said.epochs == pytest.approx(18, abs=0.5)
    assert more.weight / said.weight == pytest.approx(more.seen / said.seen / 2, rel=1e-6)
    samples = samples_of(manifest.measures)
    assert len(samples) == 4
    for sample in samples:
        assert "so what is" in sample.prompt
        assert sample.wanted in ASKED.values()
        assert sample.after != sample.before
    assert Auditor(store.root).run().holds

    learn = fine_tuning._Training._learn

    def cut(self):
        if self.step == 40:
            self._save()
            raise CutError
        return learn(self)

    monkeypatch.setattr(fine_tuning._Training, "_learn", cut)
    with pytest.raises(CutError):
        run(tmp_path / "cut")
    monkeypatch.undo()
    assert run(tmp_path / "cut").find("student").digest == manifest.digest
