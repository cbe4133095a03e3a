"""How many tokens a model was made for, as its config says it."""

from __future__ import annotations

from typing import Any


def positions_of(config: Any) -> int:
    """Return the tokens that a model of transformers was made for; 0 if it knows no bound.

    Positions that YaRN stretches reach as far as they are stretched, whether or not
    ``max_position_embeddings`` says so.

    Args:
        config: of transformers, with its defaults; that of its text where it has several.
    """
    text = config.get_text_config()
    found = getattr(text, "max_position_embeddings", None)
    if not isinstance(found, int) or found <= 0:
        return 0
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None)
    rope = rope if isinstance(rope, dict) else {}
    original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
    if isinstance(original, int) and isinstance(factor, int | float):
        return max(found, int(original * factor))
    return found
