"""Whether what a student samples changes in form as it learns: its length, and its repetitions.

A student that is held to a teacher's tokens can come to write for ever, or the same thing again: a
teacher that reads a repetition finds the next one likely. So each step has, as curves, the mean
tokens of a completion, the share that no end came of, and the share that ends in a few tokens said
over and over; and what moves far from where it began is told. :mod:`mashbill.train.watching`, which
watches what is done for rewards, takes these figures and adds its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mashbill.train.sampling import repeats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEWEST = 6
"""steps of a training from which on its first are held against its last"""
AT_LEAST = 3
"""steps that are the beginning, and the end, at least"""
LONGER = 2.0
"""times that completions become longer, or shorter, from which on lengths have drifted"""
_SHARE = 4
"""the beginning and the end are each one step in so many"""
_MORE = 0.2
"""by which a share grows"""


def form_of(ids: Sequence[list[int]], is_cut: Sequence[bool]) -> dict[str, float]:
    """Return what the curves of a step have of the form of its completions.

    Args:
        ids: tokens of each completion.
        is_cut: whether no end came of it.
    """
    if not len(ids):
        return {"completion_tokens": 0.0, "truncated": 0.0, "repeating": 0.0}
    return {
        "completion_tokens": float(np.mean([len(each) for each in ids])),
        "truncated": float(np.mean(np.asarray(is_cut, bool))),
        "repeating": float(np.mean([repeats(each) for each in ids])),
    }


def beginning_and_end(
    steps: Sequence[Mapping[str, float]],
) -> tuple[Sequence[Mapping[str, float]], Sequence[Mapping[str, float]]]:
    """Return the first steps of a training, and the last."""
    many = max(AT_LEAST, len(steps) // _SHARE)
    return steps[:many], steps[-many:]


def drifted(steps: Sequence[dict[str, float]]) -> tuple[dict[str, list[float]], list[str]]:
    """Return how the form of completions was at the beginning and in the end, and what to warn of.

    Args:
        steps: what :func:`form_of` gave of each step, in order.
    """
    if not steps:
        return {}, []
    found = {
        name: [float(np.mean([step[name] for step in some])) for some in beginning_and_end(steps)]
        for name in steps[0]
    }
    warned: list[str] = []
    if len(steps) < FEWEST:
        return found, warned
    before, after = found["completion_tokens"]
    if min(before, after) > 0 and not 1 / LONGER <= after / before <= LONGER:
        word = "longer" if after > before else "shorter"
        warned.append(
            f"completions became much {word}: {before:.1f} tokens at the beginning, {after:.1f} in "
            "the end; see whether they are better"
        )
    for name, what in (("truncated", "reach max_new_tokens without an end"),
                       ("repeating", "end in a few tokens said over and over")):  # fmt: skip
        before, after = found[name]
        if after - before > _MORE:
            warned.append(
                f"completions {what} more and more: {before:.0%} at the beginning, {after:.0%} in "
                "the end; a lower rate, or fewer steps, keeps them as they were"
            )
    return found, warned
