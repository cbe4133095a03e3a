"""Trainers compute with what the machine has: the device is asked for once, and handed on.

There is no GPU where these run. What can be held is that each model is put where `own_device` says,
and that every operand of a loss follows its model: on the device "meta", whose tensors have a
shape and no numbers, and take no operand of another.
"""

from __future__ import annotations

import pytest
import torch
from tests_tiny_base import make_base
from tests_training import SFT, digest_of
from tests_training import run as run_sft

from mashbill.models.causal_base import CausalBase
from mashbill.train import distilling, divergences, fine_tuning, losses, processes
from tests.train.test_logit_kd import CACHE, LIVE, OF_NEW, SMALL
from tests.train.test_logit_kd import run as run_kd


@pytest.fixture
def put(monkeypatch):
    """Have the machine compute with another device than a processor, and note what is put there."""
    found = []
    load = CausalBase.load.__func__

    def spy(cls, folder, title, *, packs, device="cpu"):
        found.append(device)
        return load(cls, folder, title, packs=packs, device="cpu")

    monkeypatch.setattr(CausalBase, "load", classmethod(spy))
    return found


@pytest.mark.parametrize("kind", ["sft", "base", "live"])
def test_a_model_is_put_where_the_machine_computes(tmp_path, kind, put, monkeypatch):
    for module in (fine_tuning, distilling):
        monkeypatch.setattr(module, "own_device", lambda: "cpu:0")
    if kind == "sft":
        run_sft(tmp_path / "r", SFT + "steps = 1\n")
        assert put == ["cpu:0"]
        return
    small = make_base(tmp_path / "r" / "small", width=16, layers=1)
    stages = SMALL.replace("DIGEST", digest_of(small)) + LIVE.replace("steps = 6", "steps = 1")
    run_kd(tmp_path / "r", stages.replace(OF_NEW, 'base = "small"\n') if kind == "base" else stages)
    assert put == ["cpu:0"] * (2 if kind == "base" else 1)


def test_a_teacher_whose_logits_are_kept_is_put_there_too(tmp_path, put, monkeypatch):
    monkeypatch.setattr("mashbill.models.devices.device_of", lambda place: f"cpu:{place}")
    run_kd(tmp_path / "r", CACHE)
    assert put == ["cpu:0"]


def test_the_first_process_takes_its_place_of_the_machine(monkeypatch):
    monkeypatch.setattr(processes, "device_of", lambda place: f"cuda:{place}")
    assert processes.own_device() == "cuda:0"
    monkeypatch.setattr(processes, "launched", lambda: processes.Launched(5, 8, 3))
    assert processes.own_device() == "cuda:3"


@pytest.fixture
def fake(monkeypatch):
    """Have what asks tensors for numbers answered as if all were well: "meta" has none."""

    def kept(weights_n, hidden_nd, head_vd):
        del head_vd
        return torch.arange(len(weights_n), device="cpu").to(hidden_nd.device)

    monkeypatch.setattr(losses, "_kept", kept)
    for module in (losses, divergences):
        monkeypatch.setattr(module, "classes_of", lambda ids, *_: ids.long())


@pytest.mark.parametrize("teacher", ["full", "top", "sampled"])
@pytest.mark.parametrize("ce_weight", [0.0, 0.5])
def test_all_of_a_loss_is_where_its_states_are(fake, teacher, ce_weight):
    def there(*shape):
        return torch.empty(*shape, device="meta")

    ids = torch.empty(7, 3, dtype=torch.int64, device="meta")
    given = {
        "full": lambda: losses.FullTeacher(there(7, 5), there(20, 5), there(20)),
        "top": lambda: losses.TopTeacher(ids, there(7, 3)),
        "sampled": lambda: losses.SampledTeacher(ids, there(7, 3), there(7)),
    }[teacher]()
    hidden, head = there(7, 4).requires_grad_(), there(24, 4).requires_grad_()
    total, parts = losses.linear_divergence(
        hidden, head, given, there(7), losses.Divergence(), targets_n=ids[:, 0],
        ce_weight=ce_weight, bias_v=there(24), classes=20,
    )  # fmt: skip
    total.backward()
    assert {each.device.type for each in (total, parts, hidden.grad, head.grad)} == {"meta"}
