"""X: reasoning that a service returned sealed, presented by another account or to another model.

A sealed block of reasoning is good for the conversation that it came from. The same block under
another account has no ordinary way there; another model of the same account may be a person who
changed models in the middle of a conversation, and counts once however long that conversation is
(Panfilov et al., arXiv 2608.09867, replay blocks into weaker models, which print them).
"""

from __future__ import annotations

import math

ACROSS_ACCOUNTS = 1e-3
"""share of honest accounts that present another's block at all: a conversation handed on"""
AGAIN = 0.1
"""probability that one that did so does it with one block more"""
ACROSS_MODELS = 0.2
"""the same for blocks of another model, one conversation after the other"""
MOVED = 2.4
"""log10, below what is reviewed: people move conversations, and some often"""
_BET = 0.5


def across_accounts(blocks: int) -> float:
    """Return log10 of the e-value of so many blocks of other accounts, each from its own answer."""
    if not blocks:
        return 0.0
    return math.log10(_BET / ACROSS_ACCOUNTS) + (blocks - 1) * math.log10(_BET / AGAIN)


def across_models(conversations: int) -> float:
    """Return log10 of the e-value of so many conversations moved to another model.

    It is at most :data:`MOVED`.
    """
    return min(MOVED, conversations * math.log10(0.8 / ACROSS_MODELS)) if conversations > 1 else 0.0
