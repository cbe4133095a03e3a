"""A sitting: the distinct questions that a slice puts to a teacher in this process at once.

Numbers of such a teacher depend, in their last bits, on what stands beside a question in its batch.
Batches are therefore cut from the questions of one sitting and of no other, and an answer is kept
by its sitting and its place in it: it is the same whatever else a journal holds, and one question
that was put in two sittings has two answers, each with a call of its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Sitting:
    """Distinct questions, by the digests of their requests."""

    requests: tuple[str, ...]
    """in order: a question's place is where its digest stands"""

    @classmethod
    def of(cls, requests: Iterable[str]) -> Sitting:
        """Return the sitting of these requests; how often one is there, and where, is no matter."""
        return cls(tuple(sorted(set(requests))))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all its requests."""
        return hashlib.sha256("\n".join(self.requests).encode()).hexdigest()

    @cached_property
    def calls(self) -> dict[str, str]:
        """Request -> digest of its call in this sitting, in order of their places."""
        return {
            request: call_in(self.digest, place, request)
            for place, request in enumerate(self.requests)
        }


def call_in(sitting: str, place: int, request: str) -> str:
    """Return the digest of the call that a question of a sitting is.

    Args:
        sitting: digest of the sitting; empty for a journal of before there were any, in which the
            request's digest is the call's.
        place: of the question in it.
        request: digest of the question and of who is asked.
    """
    if not sitting:
        return request
    return hashlib.sha256(f"{sitting}\n{place}\n{request}".encode()).hexdigest()
