"""What a claim may say that one thing was to another, and how each of these counts in lineage."""

from __future__ import annotations

from typing import Literal

from mashbill.core.source import Channel, Purpose, parse_via, via

Role = Literal[
    "base", "generator", "rewriter", "logits", "judge", "annotator", "filter", "prompts", "data"
]
_MAKING, _CLEANING, _VERIFYING = Purpose.MAKING, Purpose.CLEANING, Purpose.VERIFYING
RELATIONS: dict[str, tuple[Channel, Purpose, Role]] = {
    "base-weights": (Channel.WEIGHTS, _MAKING, "base"),
    "prune": (Channel.WEIGHTS, _MAKING, "base"),
    "merge": (Channel.WEIGHTS, _MAKING, "base"),
    "adapter": (Channel.WEIGHTS, _MAKING, "base"),
    "quantized": (Channel.WEIGHTS, _MAKING, "base"),
    "logits": (Channel.LOGITS, _MAKING, "logits"),
    "sft-data": (Channel.CONTENT, _MAKING, "generator"),
    "pretraining-synthetic": (Channel.CONTENT, _MAKING, "generator"),
    "preference-chosen": (Channel.CONTENT, _MAKING, "generator"),
    "preference-rejected": (Channel.CONTENT, _MAKING, "generator"),
    "preference-candidate": (Channel.CONTENT, _MAKING, "generator"),
    "rewrite": (Channel.TRANSFORM, _MAKING, "rewriter"),
    "ocr-transform": (Channel.TRANSFORM, _CLEANING, "rewriter"),
    "preference-judge": (Channel.JUDGEMENT, _MAKING, "judge"),
    "rl-judge": (Channel.JUDGEMENT, _MAKING, "judge"),
    "rl-reward-model": (Channel.JUDGEMENT, _MAKING, "judge"),
    "rubric-generator": (Channel.JUDGEMENT, _MAKING, "judge"),
    "classifier-annotations": (Channel.JUDGEMENT, _MAKING, "annotator"),
    "verifier-filter": (Channel.SELECTION, _VERIFYING, "filter"),
    "filter-classifier": (Channel.SELECTION, _MAKING, "filter"),
    "prompt-source": (Channel.PROMPT, _MAKING, "prompts"),
    "trained-on": (Channel.CONTENT, _MAKING, "data"),
    "composed-from": (Channel.CONTENT, _MAKING, "data"),
}
"""relation of a claim -> channel, purpose and role; what a claim may say"""
_ROLES: dict[Channel, Role] = {
    Channel.CONTENT: "data", Channel.LOGITS: "logits", Channel.WEIGHTS: "base",
    Channel.JUDGEMENT: "annotator", Channel.SELECTION: "filter", Channel.TRANSFORM: "rewriter",
    Channel.PROMPT: "prompts",
}  # fmt: skip
_WORDED = {(channel, purpose) for channel, purpose, _ in RELATIONS.values()}
RELATIONS |= {
    via(channel, purpose): (channel, purpose, role)
    for channel, role in _ROLES.items()
    for purpose in Purpose
    if (channel, purpose) not in _WORDED
}
"""those that cards and papers have no word for, and records of ours tell apart, are called as a
circuit labels them, such as ``judgement/verifying``"""


def relation_of(how: str, *, is_data: bool, to_model: bool) -> str:
    """Return the relation of a step that a record of ours tells of.

    Args:
        how: channel and purpose, as :func:`mashbill.core.source.via` writes them.
        is_data: whether the parent is data, and no model that wrote it.
        to_model: whether the child is a model.

    Raises:
        ValueError: if there is no such channel or purpose.
    """
    channel, purpose = parse_via(how)
    if (channel, purpose) == (Channel.CONTENT, _MAKING):
        data = "trained-on" if to_model else "composed-from"
        return data if is_data else "sft-data"
    return _PLAINEST[channel, purpose]


_PLAINEST = {
    (channel, purpose): name for name, (channel, purpose, _) in reversed(RELATIONS.items())
} | {(Channel.JUDGEMENT, _MAKING): "classifier-annotations",
     (Channel.SELECTION, _MAKING): "filter-classifier"}  # fmt: skip
