"""What an artifact is, how it is used, what it learned from and how good it is: told once.

:func:`describe` gathers it from the manifest, the artifact's files and the store. Card, bill of
materials, SPDX, ``mashbill show`` and the report read the same :class:`Described`, so that they
agree. What is not recorded is told as that, and never guessed.
"""

from __future__ import annotations

from mashbill.lineage.described.describing import Described, Label, describe
from mashbill.lineage.described.evaluated import Evaluated
from mashbill.lineage.described.metrics import Metric, metrics
from mashbill.lineage.described.model_files import Built
from mashbill.lineage.described.usage import Usage

__all__ = ["Built", "Described", "Evaluated", "Label", "Metric", "Usage", "describe", "metrics"]
