"""Reasoning that stands in an answer's text, between marks, and where it was cut off.

Models that reason openly write it before their answer: ``<think> ... </think>``. As a typed part of
a turn it can be learned from, left out, counted and shown apart.
"""

from __future__ import annotations

from typing import NamedTuple

MARKS = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]"),
         ("<reasoning>", "</reasoning>"))  # fmt: skip
"""pairs of marks, as DeepSeek-R1's, Qwen3's and SmolLM3's templates (the first) and others' write
them"""


class Thought(NamedTuple):
    """An answer's text, its reasoning taken out."""

    reasoning: str
    content: str
    is_cut: bool
    """whether the reasoning begins and does not end: the answer itself is not there"""


def parted(text: str) -> Thought:
    """Return an answer's reasoning and what it says, where it begins with reasoning.

    Reasoning whose opening mark the prompt held, and the answer does not, ends at the mark too.

    Args:
        text: of an answer.
    """
    begun = text.lstrip()
    for opens, closes in MARKS:
        if begun.startswith(opens):
            inside, mark, rest = begun[len(opens) :].partition(closes)
            return Thought(inside.strip(), rest.lstrip() if mark else "", not mark)
    opens, closes = MARKS[0]
    inside, mark, rest = text.partition(closes)
    if mark and opens not in inside:
        return Thought(inside.strip(), rest.lstrip(), is_cut=False)
    return Thought("", text, is_cut=False)
