"""Watching what a student does to be paid: figures of each step, and what looks like hacking.

A reward can be had by what nobody wanted: by longer answers, by saying one thing over and over, by
outputs at which the verifier cannot look. So beside the reward each step tells what the answers
are like, as curves; and when the training is over, the first steps are held against the last.

====================  ==============================================================================
``reward``            mean of what was paid, of attempts that were
``watched``           mean score by another verifier, whose word is not learned from
``undecided``         share of attempts of which the verifier could not tell
``failed``            share at which it could not look
``truncated``         share that were cut off, whatever becomes of these
``completion_tokens`` mean tokens of a completion
``repeating``         share that end in a few tokens said over and over
``entropy``           mean of minus the log-probability of the tokens that were sampled, nats: an
                      unbiased estimate of the student's entropy at that temperature
``distinct``          distinct completions over completions, group by group
``telling``           share of groups that have something to tell: two rewards that differ
====================  ==============================================================================

Shapes: n attempts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mashbill.train.drift import AT_LEAST, FEWEST, LONGER, beginning_and_end, form_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RISE = 0.02
"""of a mean reward, from which on it rose or fell, if it is beyond chance too"""
ERRORS = 2.0
"""standard errors of the difference from which on it is beyond chance"""
REPEATING = 0.1
"""more of the attempts than at first from which on repetition has drifted"""
UNSCORED = 0.25
"""of all attempts, undecided or failed, from which on too few were scored"""
CUT = 0.5
"""of the last steps' attempts from which on too many are cut off"""
COLLAPSED = 0.25
"""of the first steps' entropy below which it has collapsed"""


@dataclass(frozen=True)
class Seen:
    """Attempts of a step, as far as they are watched."""

    ids: Sequence[list[int]]
    """tokens of each completion"""
    logprobs: Sequence[Sequence[float]]
    """of each token as it was sampled"""
    group: np.ndarray
    """int64, shape (n,)"""
    is_cut: np.ndarray
    """bool, shape (n,)"""
    rewards: np.ndarray
    """float64, NaN where there is none, shape (n,)"""
    outcomes: Sequence[str]
    watched: np.ndarray | None = None
    """scores of a verifier that is not learned from, NaN where there is none"""


def figures(seen: Seen) -> dict[str, float]:
    """Return a step's figures by name; one of which nothing can be said is not among them."""
    count = len(seen.ids)
    if not count:
        return {}
    texts: dict[int, list[tuple[int, ...]]] = {}
    paid: dict[int, list[float]] = {}
    for group, ids, reward in zip(seen.group.tolist(), seen.ids, seen.rewards, strict=True):
        texts.setdefault(group, []).append(tuple(ids))
        if not np.isnan(reward):
            paid.setdefault(group, []).append(float(reward))
    telling = sum(max(each) > min(each) for each in paid.values())
    found = {
        "undecided": sum(came == "undecided" for came in seen.outcomes) / count,
        "failed": sum(came == "failed" for came in seen.outcomes) / count,
        **form_of(seen.ids, seen.is_cut.tolist()),
        "distinct": sum(len(set(each)) for each in texts.values()) / count,
        "telling": telling / len(texts),
    }
    for name, values in (("reward", seen.rewards), ("watched", seen.watched)):
        if values is not None and not np.isnan(values).all():
            found[name] = float(np.nanmean(values))
    tokens = sum(map(len, seen.ids))
    if tokens:
        found["entropy"] = -float(sum(map(sum, seen.logprobs)) / tokens)
    return found


def alarms(steps: Sequence[Mapping[str, float]], *, samples: str = "attempts") -> list[str]:
    """Return what looks wrong in a training, as sentences; none where nothing does.

    Args:
        steps: figures of each step, in order.
        samples: what attempts are called.
    """
    found: list[str] = []
    lost = _mean(steps, "undecided") + _mean(steps, "failed")
    if lost >= UNSCORED:
        found.append(
            f"{lost:.0%} of all {samples} could not be scored ({_mean(steps, 'undecided'):.0%} "
            f"undecided, {_mean(steps, 'failed'):.0%} failed): what is learned is learned from the "
            "rest, and a student may go where its verifier cannot look; read their reasons in the "
            "rollouts"
        )
    if len(steps) < FEWEST:
        return found
    first, last = beginning_and_end(steps)
    found += _of_rewards(first, last)
    before, after = _mean(first, "completion_tokens"), _mean(last, "completion_tokens")
    if before and not 1 / LONGER < after / before < LONGER:
        found.append(
            f"completions went from {before:.1f} to {after:.1f} tokens: length may be what is "
            "paid; look at the last rollouts"
        )
    before, after = _mean(first, "repeating"), _mean(last, "repeating")
    if after >= before + REPEATING:
        found.append(
            f"{after:.0%} of the last {samples} end in a few tokens said over and over, and "
            f"{before:.0%} of the first did"
        )
    if _mean(last, "truncated") >= CUT:
        found.append(
            f"{_mean(last, 'truncated'):.0%} of the last {samples} were cut off at max_new_tokens: "
            "raise it, or pay them less by truncated = 0.0"
        )
    before, after = _mean(first, "entropy"), _mean(last, "entropy")
    if before > 0 and after < COLLAPSED * before:
        found.append(
            f"the entropy of a token went from {before:.3f} to {after:.3f} nats: the student says "
            "nearly one thing, and has little left to try; lower rate, or set kl above 0"
        )
    return found


def _of_rewards(
    first: Sequence[Mapping[str, float]], last: Sequence[Mapping[str, float]]
) -> list[str]:
    """Return whether the reward rose while another verifier's score fell."""
    rose, fell = _change(first, last, "reward"), _change(first, last, "watched")
    if rose < RISE or fell > -RISE:
        return []
    msg = (
        f"the reward rose from {_mean(first, 'reward'):.3f} to {_mean(last, 'reward'):.3f}, while "
        "the score by the verifier that is not learned from fell from "
        f"{_mean(first, 'watched'):.3f} to {_mean(last, 'watched'):.3f}: the student learned what "
        "is paid, and not what is meant"
    )
    return [msg]


def _change(
    first: Sequence[Mapping[str, float]], last: Sequence[Mapping[str, float]], name: str
) -> float:
    """Return by how much a mean changed; 0 where that may be chance."""
    values = [[step[name] for step in steps if name in step] for steps in (first, last)]
    if min(map(len, values)) < AT_LEAST:
        return 0.0
    before, after = (float(np.mean(each)) for each in values)
    error = float(np.sqrt(sum(np.var(each, ddof=1) / len(each) for each in values)))
    return after - before if abs(after - before) > ERRORS * error else 0.0


def _mean(steps: Sequence[Mapping[str, float]], name: str) -> float:
    values = [step[name] for step in steps if name in step]
    return float(np.mean(values)) if values else 0.0
