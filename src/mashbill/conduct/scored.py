"""What of a prompt is scored by a model of texts, of a log's rows and of a gateway's alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mashbill.conduct.sketching import ends

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


class Scorer(Protocol):
    """Gives prompts log10 odds."""

    def score(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return log10 odds of jailbreak and of extraction, float32, each of shape (texts,)."""


def read_of(system: str | None, text: str | None) -> str:
    """Return what is scored of a prompt: of both texts as much as a sketch of them reads."""
    return "\n".join(ends(part) for part in (system, text) if part)


def scores_of(
    scorer: Scorer, texts: Sequence[str]
) -> tuple[list[float | None], list[float | None]]:
    """Return the scores of texts, jailbreak and extraction, each asked once; None of empty ones.

    Raises:
        ValueError: if the scorer gives more scores or fewer than there are texts.
    """
    distinct = list(dict.fromkeys(text for text in texts if text))
    if not distinct:
        return [None] * len(texts), [None] * len(texts)
    jailbreak, extraction = (
        dict(zip(distinct, map(float, scores), strict=True)) for scores in scorer.score(distinct)
    )
    return [jailbreak.get(text) for text in texts], [extraction.get(text) for text in texts]
