"""Adapters of low rank beside a model's weights, by peft."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.extras import needs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.train.adapter_keys import AdaptedSpec


def adapted(model: Any, spec: AdaptedSpec) -> Any:
    """Return a model with new adapters, which alone are trained.

    Raises:
        InputError: if the model has no layers by the names that are wanted, or adapters on them
            would train another model than the one that is saved.
    """
    with needs("adapters beside a model's weights", "students"):
        from peft import LoraConfig, get_peft_model
        from peft.tuners.tuners_utils import BaseTunerLayer

    config = LoraConfig(
        r=spec.rank, lora_alpha=spec.alpha, lora_dropout=spec.dropout, bias="none",
        target_modules=list(spec.targets) or "all-linear", task_type="CAUSAL_LM",
    )  # fmt: skip
    try:
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5.23 by a name that is going.
            warnings.simplefilter("ignore", FutureWarning)
            # It tells how it takes a layer, and of embeddings, which are looked at below.
            warnings.filterwarnings("ignore", module=r"peft\.")
            made = get_peft_model(model, config)
    except ValueError as error:
        msg = f"targets = {list(spec.targets)}: {str(error).splitlines()[0]:.300}"
        raise InputError(msg) from error
    _check(made, spec.targets, BaseTunerLayer)
    return made


def _check(model: Any, targets: Sequence[str], kind: type) -> None:
    """Raise InputError if an adapter is no part of what is trained, or of one weight's two uses.

    The loss multiplies states by the head's own weights, and what stands behind the body beside
    that is not computed: an adapter there would never learn. Where the head has the embedding's
    weights, an adapter on the embedding would be added to both, and be trained in one.

    Args:
        model: of peft.
        targets: names of layers, as the recipe has them.
        kind: class of peft's layers with adapters.
    """
    plain = model.get_base_model()
    layers: dict[str, Any] = {
        name: layer for name, layer in plain.named_modules() if isinstance(layer, kind)
    }
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in layers):
            msg = (
                f"targets = {list(targets)}: no layer of the base is called {target!r}; correct "
                f"the name, or leave targets out for all linear layers but the head"
            )
            raise InputError(msg)
    within = {id(layer) for layer in plain.get_decoder().modules()}
    head = plain.get_output_embeddings()
    weight = getattr(head, "get_base_layer", lambda: head)().weight
    for name, layer in layers.items():
        if id(layer) not in within:
            whose = "the head" if layer is head else "no part of the base's body"
            msg = (
                f"targets = {list(targets)}: {name} is {whose}, whose weights the loss takes as "
                f"they are, so that an adapter on it would never learn; take it out of targets, or "
                "set method = 'full', which trains all weights"
            )
            raise InputError(msg)
        if getattr(layer.get_base_layer(), "weight", None) is weight:
            msg = (
                f"targets = {list(targets)}: {name} is the embedding, and this base's head has "
                "the same weights (tie_word_embeddings): an adapter would be trained in one and "
                "saved in both; take it out of targets, or set method = 'full', which trains "
                "all weights"
            )
            raise InputError(msg)


def merged(model: Any) -> Any:
    """Return the model with its adapters added to the weights."""
    return model.merge_and_unload()
