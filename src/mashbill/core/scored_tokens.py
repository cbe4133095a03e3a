"""Tokens that are given, and how likely somebody finds each: what is asked, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tokens:
    """A sequence whose tokens from a place on are scored."""

    ids: tuple[int, ...]
    start: int
    """how many tokens stand before the first that is scored, at least 1"""
    text: str = ""
    """what it says, as far as somebody else wrote it: for the prompt linter"""


@dataclass(frozen=True)
class TokenScores:
    """What a teacher gives each token of a sequence, from its start on."""

    call: str
    """digest of the call; empty if it was not asked"""
    logprobs: tuple[float | None, ...] = ()
    """natural logarithms, at temperature 1; None where there is none"""
    failed: str = ""
    """why there are none at all"""
