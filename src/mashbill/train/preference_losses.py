"""Losses of preferences, of the log-probabilities of answers; no model is in them.

A pair has four numbers: what the student and the reference give the chosen answer and the rejected
one, log-probabilities of the answer's tokens alone, with the token that ends it, in sum. With
``r = student - reference`` of an answer (divided by its tokens if the loss goes per token):

    sigmoid   -(1 - s) log sigmoid(b (r_chosen - r_rejected)) - s log sigmoid(-b (...))
    ipo       (r_chosen - r_rejected - 1 / (2 b))^2
    kto       1/2 (1 - sigmoid(b (r_chosen - z))) + 1/2 (1 - sigmoid(b (z - r_rejected)))

*sigmoid* is equation 7 of Rafailov et al. (NeurIPS 2023, arXiv 2305.18290); with ``s`` above 0 it
is the conservative one of their reference implementation (eric-mitchell/direct-preference-
optimization, ``preference_loss``). *ipo* is equation 17 of Azar et al. (AISTATS 2024, arXiv
2310.12036), on means over tokens by default: TRL's maintainers, whose loss does so too, report in
``dpo_trainer.py`` (1.16.0) that the paper's authors say that their results are of that form.
*kto* is equation 8 of Ethayarajh et al. (ICML 2024, arXiv 2402.01306) with both weights 1, as a
pair has one desirable answer and one undesirable. Its reference point ``z`` is the paper's own
estimate: of answers that belong to other prompts, ``max(0, mean r)`` over all of a step, with no
gradient. A pair's loss is in nats for *sigmoid*, and in no unit else.

Shapes: p pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn.functional import logsigmoid

Kind = Literal["sigmoid", "ipo", "kto"]


@dataclass(frozen=True)
class PreferenceLoss:
    """Which loss, and how it is set."""

    kind: Kind
    beta: float
    smoothing: float = 0.0
    per_token: bool = False
    """whether log-ratios are divided by the tokens of their answer"""

    def ratios(
        self, student_2p: torch.Tensor, reference_2p: torch.Tensor, tokens_2p: torch.Tensor
    ) -> torch.Tensor:
        """Return log-ratios to the reference, shape (2, pairs): of chosen, of rejected."""
        ratios = student_2p - reference_2p
        return ratios / tokens_2p if self.per_token else ratios

    def of(self, ratios_2p: torch.Tensor, point: float = 0.0) -> torch.Tensor:
        """Return the loss of each pair, shape (pairs,).

        Args:
            ratios_2p: log-ratios of chosen and rejected answers.
            point: KTO's reference point, at least 0.
        """
        chosen, rejected = ratios_2p
        apart = chosen - rejected
        if self.kind == "ipo":
            return (apart - 1 / (2 * self.beta)) ** 2
        if self.kind == "kto":
            # 1 - sigmoid(x) is sigmoid(-x), which stays exact where it is small.
            lost = torch.sigmoid(self.beta * (point - chosen))
            return (lost + torch.sigmoid(self.beta * (rejected - point))) / 2
        right, wrong = logsigmoid(self.beta * apart), logsigmoid(-self.beta * apart)
        return -(1 - self.smoothing) * right - self.smoothing * wrong
