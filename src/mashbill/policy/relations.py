"""What a claim may say that one thing was to another, and how each of these counts in lineage."""

from __future__ import annotations

from typing import Literal

from mashbill.core.source import Channel, Purpose

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
