"""No trainer takes a number that it cannot reckon with: over every float that a recipe may say."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from mashbill.stages.logits import LogitsSpec
from mashbill.train.classifier import ClassifierSpec
from mashbill.train.dpo import DpoSpec
from mashbill.train.grpo import GrpoSpec
from mashbill.train.logit_kd import LogitKdSpec
from mashbill.train.merge import MergeSpec
from mashbill.train.on_policy import OnPolicySpec
from mashbill.train.pretrain import PretrainSpec
from mashbill.train.quantise import QuantiseSpec
from mashbill.train.sampled_keys import SampledSpec
from mashbill.train.sft import SftSpec

NEEDED: dict[type, dict[str, Any]] = {
    DpoSpec: {"inputs": ("said",), "base": "b"},
    GrpoSpec: {"inputs": ("said",), "base": "b", "by": "v"},
    OnPolicySpec: {
        "inputs": ("said",),
        "base": "b",
        "teacher_weights": {"t": 1.0},
        "mix": 0.1,
        "given": "text",
    },
    SftSpec: {"inputs": ("said",), "base": "b"},
    LogitKdSpec: {"inputs": ("said",), "teacher": "t", "live": True},
    LogitsSpec: {"input": "said", "teacher": "t"},
    PretrainSpec: {"inputs": ("said",), "steps": 1},
    ClassifierSpec: {"input": "said"},
    MergeSpec: {"models": {"a": 1.0, "b": 1.0}},
    QuantiseSpec: {"model": "m"},
}
SHARES = {
    "warmup",
    "dropout",
    "ce_weight",
    "heldout_share",
    "weight_decay",
    "smoothing",
    "kl",
    "mix",
}
"""may be nothing, so that next to nothing is no surprise"""


REFUSED = {"weights", "truncated", "most_ratio"}
"""of trainers that sample: the first is refused, the second may be a penalty, from -10 to 1, the
third is 1 at least"""


def floats():
    for spec in NEEDED:
        for key, field in spec.model_fields.items():
            kinds = (field.annotation, *get_args(field.annotation))
            if float in kinds and not (issubclass(spec, SampledSpec) and key in REFUSED):
                yield spec, key


FIELDS = list(floats())


def made(spec, key, value):
    field = spec.model_fields[key]
    if dict in (field.annotation, getattr(field.annotation, "__origin__", None)):
        value = {"a": value, "b": 1.0} if spec is MergeSpec else {"said": value}
    return getattr(spec.model_validate({**NEEDED[spec], key: value}), key)


def test_the_table_has_every_kind_of_field():
    assert {key for _, key in FIELDS} >= {
        "rate", "clip", "weights", "temperature", "skew", "beta", "matrix_rate", "strength",
    }  # fmt: skip


@pytest.mark.parametrize(("spec", "key"), FIELDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -1.0])
def test_what_is_no_number_to_reckon_with_is_refused(spec, key, value):
    with pytest.raises(ValidationError) as found:
        made(spec, key, value)
    (error,) = found.value.errors()
    assert key in {*error["loc"], error["msg"].split(".")[0].removeprefix("Value error, ")}


@pytest.mark.parametrize(("spec", "key"), FIELDS)
@pytest.mark.parametrize("value", [1e-320, 1e-46, 1e-30])
def test_what_would_be_nothing_is_refused_where_nothing_is(spec, key, value):
    if key in SHARES:
        assert made(spec, key, value) == value
        return
    with pytest.raises(ValidationError) as found:
        made(spec, key, value)
    (error,) = found.value.errors()
    assert key in {*error["loc"], error["msg"].split(".")[0].removeprefix("Value error, ")}


@pytest.mark.parametrize(("spec", "key"), FIELDS)
@pytest.mark.parametrize("value", [0.5, 0.02])
def test_ordinary_numbers_are_taken(spec, key, value):
    found = made(spec, key, value)
    numbers = found.values() if isinstance(found, dict) else [found]
    assert all(np.float32(number) > 0 for number in numbers)
