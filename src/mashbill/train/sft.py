"""``sft``: a base goes on to learn what a teacher wrote, its whole weights or adapters beside them.

Sequence-level distillation (Kim and Rush, EMNLP 2016, arXiv 1606.07947) is this: the student learns
the teacher's own output as if it were the truth. The training itself is in
:mod:`mashbill.train.fine_tuning`, which needs torch; this file is what a plan reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from mashbill.core.extras import needs
from mashbill.train.adapter_keys import AdaptedSpec

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.stage import StageContext


class SftSpec(AdaptedSpec):
    """``kind = "sft"``."""

    rates: ClassVar[tuple[float, float]] = (1e-3, 5e-5)

    kind: Literal["sft"] = "sft"

    def train(self, ctx: StageContext, out: Path) -> None:
        """Train, and write what ``save_pretrained`` writes."""
        with needs("fine-tuning a language model", "students"):
            from mashbill.train.fine_tuning import train
        train(self, ctx, out)
