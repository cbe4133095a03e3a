"""Given answers in place of sampled ones, in a share of the steps: off-policy mixing, as in GKD.

They are told from sampled ones by having no log-probabilities: the student did not draw them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.cells import is_missing
from mashbill.core.errors import InputError
from mashbill.files.rows.cells import as_text
from mashbill.models.sampled import Sampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.train.on_policy import OnPolicySpec
    from mashbill.train.prompts import PromptRows
    from mashbill.train.rollouts import Asked

_DRAW = 1_906
"""tells this draw from those of the sampling"""


def is_given(mix: float, step: int, seed: int) -> bool:
    """Return whether a step learns from given answers.

    Args:
        mix: share of the steps that do.
        step: of the optimiser.
        seed: of the recipe.
    """
    return bool(np.random.default_rng([seed, step, _DRAW]).random() < mix)


def given_answers(spec: OnPolicySpec, asked: Sequence[Asked], rows: PromptRows) -> list[Sampled]:
    """Return the answers that stand beside prompts, cut to ``max_new_tokens``.

    Raises:
        InputError: if a row has none.
    """
    found = []
    for one in asked:
        said = rows.row(one.position).get(spec.given)
        text = "" if is_missing(said) else as_text(said)
        ids = rows.answer_ids(text)
        if not ids:
            msg = (
                f"{rows.where(one.position)}: given = {spec.given!r} holds no answer there; fill "
                "it in, or leave such rows out"
            )
            raise InputError(msg)
        ids = [*ids, *rows.ends[:1]]
        is_whole = len(ids) <= spec.max_new_tokens and bool(rows.ends)
        ids = ids[: spec.max_new_tokens]
        unknown = [float("nan")] * len(ids)
        found.append(Sampled(ids, unknown, "stop" if is_whole else "length"))
    return found
