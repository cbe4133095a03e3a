"""What sft and logit_kd say of what they learned from, and a few answers before and after."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import run_stages
from tests_tiny_base import make_base
from train.test_sft import ASKED, BASE, ROWS, digest_of, rows

from mashbill.core.learning import COUNTED_UNIT
from mashbill.core.samples import samples_of
from mashbill.lineage.evidence.audit import Auditor
from mashbill.train import fine_tuning
from mashbill.train.batches import Batches
from mashbill.train.examples import Examples
from mashbill.train.told_learned import tell_parts

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


SEQUENCE = st.lists(st.booleans(), max_size=6)


@given(sequences=st.lists(SEQUENCE, min_size=1, max_size=8), batch=st.integers(1, 3))
def test_tokens_learned_are_those_that_steps_weigh(sequences, batch):
    marks = np.array([learned for each in sequences for learned in each], np.uint32) << 31
    data = Examples(
        marks,
        np.cumsum([len(each) for each in sequences]),
        np.zeros(len(sequences), np.int32),
        np.arange(len(sequences)),
        {},
    )
    spec = SimpleNamespace(
        weights={}, inputs=["d"], steps=5, epochs=1, batch=batch, micro_tokens=99
    )
    batches = Batches(data, spec, 0)
    weighed = sum(
        int(batches.next_weights(n).sum()) for step in range(5) for n in batches.of(step).tolist()
    )
    assert int((data.learned_tokens() * batches.times()).sum()) == weighed


PART = st.tuples(st.integers(0, 4), st.integers(0, 300), st.integers(0, 3))


@given(parts=st.lists(PART, max_size=20))
def test_of_a_row_in_parts_as_much_is_told_as_was_read_of_each(parts):
    row, tokens, times = (np.array([each[at] for each in parts], np.int32) for at in range(3))
    ctx = SimpleNamespace(
        input=lambda _: SimpleNamespace(num_rows=5), seen={}, tokens={}, seen_tokens={}
    )
    tell_parts(ctx, "d", row, tokens, times)
    seen, whole, product = ctx.seen["d"], ctx.tokens["d"], ctx.seen_tokens["d"]
    assert product.sum() == (tokens.astype(np.int64) * times).sum()
    assert (product <= seen * whole).all()
    for at in range(5):
        own = [each[1:] for each in parts if each[0] == at]
        assert seen[at] == max((often for _, often in own), default=0)
        assert product[at] == sum(size * often for size, often in own)
