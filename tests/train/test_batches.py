"""Which sequences a step learns from: a law over rows, epochs, batch and processes."""

from __future__ import annotations

from collections import Counter
from math import ceil
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import BASE, ROWS, digest_of, rows

from mashbill.core.curves import read_curves
from mashbill.train import fine_tuning
from mashbill.train.batches import Batches

SFT = """
[stages.student]
kind = "sft"
inputs = ["said"]
base = "small"
method = "full"
rate = 0.02
dtype = "float32"
"""


def batches(rows, epochs, batch, steps=None, micro=64, seed=3):
    """Batches over sequences of some lengths, each learned but for its first token."""
    lengths = np.random.default_rng(rows).integers(2, 40, rows)

    class Data:
        dataset = np.zeros(rows, np.int32)

        def __init__(self):
            self.lengths = lengths

        def __len__(self):
            return rows

        def learned(self, number):
            return np.arange(lengths[number]) > 0

    spec = SimpleNamespace(
        epochs=epochs, steps=steps, batch=batch, micro_tokens=micro, weights={}, inputs=("a",)
    )
    return Batches(Data(), spec, seed), lengths


@law(150)
@given(
    st.integers(1, 60), st.floats(0.01, 4, allow_nan=False), st.integers(1, 40),
    st.none() | st.integers(1, 9), st.integers(1, 4), st.data(),
)  # fmt: skip
@example(32, 1.01, 16, None, 1, None)
@example(32, 0.001, 16, None, 4, None)
def test_every_step_has_a_sequence_and_each_is_learned_as_often_as_it_is_said(
    rows, epochs, batch, steps, processes, data
):
    made, lengths = batches(rows, epochs, batch, steps)
    wanted = steps * batch if steps else max(1, round(epochs * rows))
    assert made.steps == ceil(wanted / batch)
    sizes = [len(made.of(step)) for step in range(made.steps)]
    assert min(sizes) > 0
    assert sizes[:-1] == [batch] * (made.steps - 1)
    assert sum(sizes) == wanted == made.times().sum()
    # No sequence is taken once more before each was taken as often.
    assert made.times().max() - made.times().min() <= 1
    for step in range(made.steps):
        own = [
            number
            for rank in range(processes)
            for micro in made.micro(step, rank, processes)
            for number in micro
        ]
        assert Counter(own) == Counter(made.of(step).tolist())
        assert made.tokens(step) == lengths[made.of(step)].sum()
        assert made.weight(step) == sum(lengths[number] - 1 for number in own)
    # A run that goes on at any step meets the same sequences in the same order.
    begin = made.steps // 2 if data is None else data.draw(st.integers(0, made.steps - 1))
    resumed, _ = batches(rows, epochs, batch, steps)
    for step in range(begin, made.steps):
        assert resumed.micro(step) == made.micro(step)
        np.testing.assert_array_equal(resumed.of(step), made.of(step))


class CutError(Exception):
    """Stands for SIGKILL."""


def trained(folder, epochs, batch):
    made = make_base(folder / "base")
    keys = f"epochs = {epochs}\nbatch = {batch}\n"
    stages = BASE.replace("DIGEST", digest_of(made)) + ROWS + SFT + keys
    return run_stages(folder, stages, {"rows.jsonl": rows(2)})


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("epochs", "batch", "steps", "cut"),
    [
        (1.05, 4, 2, 1),  # 8 sequences: the last step would have had none
        (2, 4, 4, 2),  # at the end of an epoch
        (1.9, 6, 3, 2),  # in a last step that is shorter
    ],
)
def test_a_run_by_epochs_that_was_killed_goes_on_with_the_same_bits(
    tmp_path, monkeypatch, epochs, batch, steps, cut
):
    whole = trained(tmp_path / "whole", epochs, batch).find("student")
    assert whole.measures["steps"] == steps
    learn = fine_tuning._Training._learn

    def killed(self):
        if self.step == cut:
            self._save()
            raise CutError
        return learn(self)

    monkeypatch.setattr(fine_tuning._Training, "_learn", killed)
    with pytest.raises(CutError):
        trained(tmp_path / "cut", epochs, batch)
    monkeypatch.undo()
    store = trained(tmp_path / "cut", epochs, batch)
    found = store.find("student")
    assert found.digest == whole.digest
    curve = read_curves(store.folder("model", found.ref))["loss"]
    assert len(curve.values) == steps
