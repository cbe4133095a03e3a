"""Adapters of low rank beside a model's weights, by peft."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.extras import needs

if TYPE_CHECKING:
    from mashbill.train.sft import SftSpec


def adapted(model: Any, spec: SftSpec) -> Any:
    """Return a model with new adapters, which alone are trained.

    Raises:
        InputError: if the model has no layers by the names that are wanted.
    """
    with needs("adapters beside a model's weights", "students"):
        from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=spec.rank, lora_alpha=spec.alpha, lora_dropout=spec.dropout, bias="none",
        target_modules=list(spec.targets) or "all-linear", task_type="CAUSAL_LM",
    )  # fmt: skip
    try:
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5.23 by a name that is going.
            warnings.simplefilter("ignore", FutureWarning)
            return get_peft_model(model, config)
    except ValueError as error:
        msg = f"targets = {list(spec.targets)}: {str(error).splitlines()[0]:.300}"
        raise InputError(msg) from error


def merged(model: Any) -> Any:
    """Return the model with its adapters added to the weights."""
    return model.merge_and_unload()
