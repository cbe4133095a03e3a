"""Prompts that try to get what is not offered: hidden reasoning, or a system prompt.

Reasoning is had through documented parameters or not at all. A prompt that asks for a *visible*
explanation ("show your working", "think step by step") is ordinary and is let through. The rules
are plain patterns over lower-cased text: they stop what is meant to do this, not somebody who
hides it; what they find is told with its words, and can be answered for on record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_TELL = (
    r"(?:reveal|show|print|output|repeat|give|tell|write|expose|leak|dump|return|copy|quote|recite|"
    r"disclose|include|append|share|transcribe|summari[sz]e)"
)
_HIDDEN = r"(?:hidden|internal|private|secret|raw|unfiltered|unredacted|concealed|encrypted)"
_THOUGHT = (
    r"(?:reasoning(?: (?:trace|tokens?|content|steps?))?|chain[- ]of[- ]thought|thoughts?|thinking|"
    r"scratch ?pad|deliberations?|monologue)"
)
_RULES: tuple[tuple[str, str, str], ...] = (
    (
        "hidden-reasoning",
        "asks for reasoning that the model keeps to itself",
        rf"{_TELL}\b[^.\n]{{0,60}}\b{_HIDDEN}\b[^.\n]{{0,30}}\b{_THOUGHT}\b",
    ),
    (
        "hidden-reasoning",
        "asks for reasoning word for word",
        (
            rf"{_TELL}\b[^.\n]{{0,60}}\b{_THOUGHT}\b[^.\n]{{0,40}}"
            r"\b(?:verbatim|word for word|unaltered|exactly as (?:you|it))"
        ),
    ),
    (
        "hidden-reasoning",
        "asks for what stands in a reasoning channel",
        (
            rf"{_TELL}\b[^.\n]{{0,60}}\b(?:inside|in|of|from|between)\b[^.\n]{{0,20}}"
            r"(?:<\|?/?(?:think(?:ing)?|analysis|scratchpad)\|?>|\b(?:thinking|analysis|reasoning) "
            r"(?:tags?|blocks?|channel))"
        ),
    ),
    (
        "system-prompt",
        "asks for a system prompt",
        (
            rf"{_TELL}\b[^.\n]{{0,40}}\b(?:your|the)\b[^.\n]{{0,20}}"
            r"\b(?:system|developer|initial|hidden|original|pre-?)[ -]?"
            r"(?:prompt|message|instructions?)\b"
        ),
    ),
    (
        "system-prompt",
        "asks for what stands before the conversation",
        (
            r"(?:repeat|print|output|recite|copy|quote)\b[^.\n]{0,30}"
            r"\b(?:everything|all|the (?:text|words))\b[^.\n]{0,20}\b(?:above|before this)\b"
        ),
    ),
    (
        "override",
        "tells the model to drop the rules it was given",
        (
            r"(?:ignore|disregard|forget|override)\b[^.\n]{0,20}"
            r"\b(?:all|any|your|the|previous|prior|above|earlier)\b[^.\n]{0,20}"
            r"\b(?:instructions?|rules|guidelines|safety|restrictions|polic(?:y|ies))\b"
        ),
    ),
)
_EACH = [(code, why, re.compile(pattern)) for code, why, pattern in _RULES]
_MARKS = (
    "reasoning", "thought", "thinking", "scratch", "deliberation", "monologue", "analysis",
    "prompt", "message", "instruction", "above", "before this", "rules", "guidelines", "safety",
    "restrictions", "polic",
)  # fmt: skip
"""one of these every rule needs: most prompts hold none, and are done after looking for them"""


ROWS = "rows"
"""in place of a rule, where somebody answers for whatever prompts from data hold"""


@dataclass(frozen=True)
class Finding:
    """One thing that a prompt tries."""

    rule: str
    """hidden-reasoning, system-prompt or override"""
    why: str
    where: str
    """the file, or the row"""
    words: str
    """what was found"""

    def as_json(self) -> dict[str, Any]:
        """Return it for the journal."""
        return {"rule": self.rule, "where": self.where, "words": self.words}

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.where}: {self.why} ({self.rule}): {self.words!r}"


def lint(text: str, where: str) -> list[Finding]:
    """Return what a prompt tries to get that is not offered, one finding a rule at most."""
    low = text.lower()
    for mark in _MARKS:  # a generator takes twice as long, and this is done for every row
        if mark in low:
            break
    else:
        return []
    low = " ".join(low.split())
    found: dict[str, Finding] = {}
    for code, why, pattern in _EACH:
        match = pattern.search(low)
        if match is not None and code not in found:
            found[code] = Finding(code, why, where, match[0][:120])
    return list(found.values())


def lint_all(texts: Iterable[tuple[str, str]]) -> list[Finding]:
    """Return the findings of several (where, text)."""
    return [finding for where, text in texts for finding in lint(text, where)]
