"""The faster library's products are float32's, gradients too, and what was set is set again."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from mashbill.models import products
from mashbill.train.memory import freed_memory_kept


@pytest.fixture(params=[True, False])
def elsewhere(request, monkeypatch):
    """Whether the other library is taken: it is exact here or not, and both ways are gone."""
    if request.param and not products.is_faster_elsewhere():
        pytest.skip("torch's own library is as good here")
    monkeypatch.setattr(products, "is_faster_elsewhere", lambda: request.param)


def test_layers_give_what_they_gave_and_their_gradients(elsewhere):
    torch.manual_seed(0)
    for shape, bias in (((5, 7, 33), True), ((9, 33), False), ((33,), True)):
        layer = nn.Linear(33, 21, bias=bias)
        x = torch.randn(shape, requires_grad=True)
        expected = layer(x)
        gradient = torch.randn_like(expected)
        given = [x, *layer.parameters()]
        true = torch.autograd.grad(expected, given, gradient)
        with products.fast_linear():
            found = layer(x)
        assert torch.allclose(found, expected, atol=1e-5)
        for one, other in zip(torch.autograd.grad(found, given, gradient), true, strict=True):
            assert torch.allclose(one, other, atol=1e-5)


def test_other_kinds_of_numbers_are_left_to_torch(elsewhere):
    layer, x = nn.Linear(8, 4), torch.randn(3, 8)
    with products.fast_linear():
        assert layer.double()(x.double()).dtype == torch.float64
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer.float()(x).dtype == torch.bfloat16


def test_what_was_set_is_set_again():
    before, own = torch.get_float32_matmul_precision(), functional.linear
    with (
        pytest.raises(KeyError),
        freed_memory_kept(),
        products.fast_linear(),
        products.fast_products(),
    ):
        raise KeyError
    assert torch.get_float32_matmul_precision() == before
    assert functional.linear is own


def test_a_block_in_a_block_leaves_the_outer_one_as_it_was(elsewhere):
    """As a teacher's that runs beside its student."""
    with products.fast_linear():
        outer = functional.linear
        with products.fast_linear():
            pass
        assert functional.linear is outer


def test_what_is_frozen_keeps_nothing_of_what_it_read(elsewhere):
    layer = nn.Linear(8, 4, bias=False).requires_grad_(requires_grad=False)
    x = torch.randn(3, 8, requires_grad=True)
    with products.fast_linear():
        made = layer(x)
    kept = getattr(made.grad_fn, "saved_tensors", (None, layer.weight))
    assert [one is None for one in kept] == [True, False]
    made.sum().backward()
    assert torch.allclose(x.grad, layer.weight.sum(0).expand(3, -1), atol=1e-5)


def test_processors_that_gain_nothing_are_left_alone(monkeypatch, tmp_path):
    for text in ("vendor_id : GenuineIntel\n", None):
        path = tmp_path / "cpuinfo"
        path.unlink(missing_ok=True)
        if text:
            path.write_text(text)
        monkeypatch.setattr(products, "_PROCESSOR", path)
        products.is_faster_elsewhere.cache_clear()
        assert not products.is_faster_elsewhere()
    monkeypatch.undo()
    products.is_faster_elsewhere.cache_clear()
