"""Sampling under autocast: weights are rounded once, and the head computes in float32.

Autocast rounds each layer's weights with each token that is sampled. What comes of it is the same
if they are rounded before the first. The head is left as it is: its logits, rounded to bfloat16,
would be off by a tenth of a nat and more, and what is sampled is later held against log-probability
from a head in float32.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def rounded_once(model: Any, device: torch.device) -> Iterator[None]:
    """Round the weights of linear layers to what autocast computes in, and put them back.

    Nothing happens where autocast does not hold.

    Args:
        model: without what adapters lay around it.
        device: of the model.
    """
    if not torch.is_autocast_enabled(device.type):
        yield
        return
    dtype = torch.get_autocast_dtype(device.type)
    head = model.get_output_embeddings()
    shared = {id(each) for part in (head, model.get_input_embeddings()) if part is not None
              for each in part.parameters()}  # fmt: skip
    whole: list[tuple[nn.Parameter, torch.Tensor]] = []
    try:
        for part in model.modules():
            for each in part.parameters(recurse=False) if isinstance(part, nn.Linear) else ():
                if each.dtype == torch.float32 and id(each) not in shared:
                    whole.append((each, each.data))
                    each.data = each.data.to(dtype)
        with _in_float32(head, device):
            yield
    finally:
        for each, values in whole:
            each.data = values


@contextmanager
def _in_float32(head: Any, device: torch.device) -> Iterator[None]:
    """Have a head compute in float32, where its weights are that."""
    weight = getattr(head, "weight", None)
    if weight is None or weight.dtype != torch.float32 or "forward" in vars(head):
        yield
        return
    plain = head.forward

    def forward(states: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, enabled=False):
            logits: torch.Tensor = plain(states.float())
            return logits

    head.forward = forward
    try:
        yield
    finally:
        del head.forward
