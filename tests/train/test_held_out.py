"""What is held out is learned from by no trainer: its loss would be that of the training."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mashbill.core import registry
from mashbill.train.sampled_keys import SampledSpec

KEYS = {
    "dpo": {"base": "small"},
    "sft": {"base": "small"},
    "logit_kd": {"teacher": "big"},
    "pretrain": {"steps": 1},
}


def trainers():
    """Every kind that holds a dataset out, of ours and of plugins."""
    found = {
        name: registry.find(name, registry.TRAINERS) for name in registry.kinds(registry.TRAINERS)
    }
    return {
        name: spec
        for name, spec in found.items()
        if "heldout" in spec.model_fields and not issubclass(spec, SampledSpec)
    }


@pytest.mark.parametrize("kind", sorted(trainers()))
@pytest.mark.parametrize("inputs", [["said"], ["more", "said"]])
def test_what_is_held_out_is_none_of_the_inputs(kind, inputs):
    spec = trainers()[kind]
    with pytest.raises(ValidationError, match="heldout names 'said', which is learned from; "):
        spec(inputs=inputs, heldout="said", **KEYS[kind])
    assert spec(inputs=inputs, heldout="held", **KEYS[kind]).heldout == "held"


def test_all_kinds_that_hold_out_are_tried():
    assert trainers().keys() == KEYS.keys()
