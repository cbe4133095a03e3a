"""What a model can do, as far as numbers say it: bands of size and context, and what it takes in.

A substitute *fits* what is lost if it is known to be of its size or larger (as a base: of its
size, since what is built on it has the size of its base), to take in as much at once, and the same
media. It *might fit* if nothing that is known speaks against it. What is not recorded, of either
side, is never counted as fitting. That it is as good is not said by any of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.source import Channel
from mashbill.policy.claims import MEDIA

if TYPE_CHECKING:
    from mashbill.lineage.whatif.things import Measures

SIZE_EDGES = (1.5e9, 4.5e9, 16e9, 45e9, 150e9, 500e9)
"""parameters at which a band of size ends and the next begins; a choice"""
CONTEXT_EDGES = (6e3, 12e3, 24e3, 48e3, 96e3, 192e3, 384e3, 768e3)
"""tokens between the usual steps, so that 128,000 and 131,072 are the same"""
SIZES = len(SIZE_EDGES) + 2
CONTEXTS = len(CONTEXT_EDGES) + 2
TAKES = 1 << len(MEDIA)
PROFILES = SIZES * CONTEXTS * TAKES
"""places of a profile, not recorded included; DATA stands behind them"""
DATA = PROFILES
"""profile of a dataset: nothing here says what one can do for a model"""


def profiles(measures: Measures, is_data: np.ndarray) -> np.ndarray:
    """Return the profile of every node, int16, shape (n,).

    Args:
        measures: what is recorded in numbers.
        is_data: bool, shape (n,).
    """
    code = size_bands(measures.parameters).astype(np.int16)
    code = code * CONTEXTS + _band(measures.context, CONTEXT_EDGES)
    code = code * TAKES + measures.takes
    return np.where(is_data, np.int16(DATA), code).astype(np.int16)


def size_bands(parameters: np.ndarray) -> np.ndarray:
    """Return the band of each size, uint8, shape (n,); 0 where it is not recorded."""
    return _band(parameters, SIZE_EDGES)


def _band(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    found = np.searchsorted(np.array(edges), values, side="right") + 1
    return np.where(np.isnan(values), 0, found).astype(np.uint8)


@dataclass(frozen=True)
class Fit:
    """Which profiles take the place of which, both bool, shape (profiles asked, PROFILES + 1)."""

    fits: np.ndarray
    """known to"""
    might: np.ndarray
    """nothing that is known speaks against it; holds where ``fits`` does"""


def fit(wanted: np.ndarray, channel: Channel) -> Fit:
    """Return who could take the place of each profile in a role.

    Args:
        wanted: profiles of what is lost, shape (asked,).
        channel: the role, by its channel.
    """
    every = np.arange(PROFILES + 1)
    size, context, takes, data = (part[:, None] for part in _parts(wanted))
    their_size, their_context, their_takes, their_data = _parts(every)
    same = channel is Channel.WEIGHTS
    large = their_size == size if same else their_size >= size
    checks = (
        (large, (size > 0) & (their_size > 0)),
        (their_context >= context, (context > 0) & (their_context > 0)),
        ((their_takes & takes) == takes, (takes > 0) & (their_takes > 0)),
    )
    fits = np.ones((len(wanted), PROFILES + 1), bool)
    might = fits.copy()
    for holds, known in checks:
        fits &= holds & known
        might &= holds | ~known
    either = data == their_data  # a dataset stands in for a dataset, a model for a model
    return Fit(fits & either & ~data, might & either)


def _parts(code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    data = code == DATA
    code = np.where(data, 0, code)
    return code // (CONTEXTS * TAKES), code // TAKES % CONTEXTS, code % TAKES, data


def size_words(band: int) -> str:
    """Say a band of size."""
    if band == 0:
        return "size not recorded"
    edges = [f"{edge / 1e9:g}" for edge in SIZE_EDGES]
    if band == 1:
        return f"up to {edges[0]} billion parameters"
    if band == SIZES - 1:
        return f"over {edges[-1]} billion parameters"
    return f"{edges[band - 2]} to {edges[band - 1]} billion parameters"


def described(parameters: float, context: float, takes: int) -> list[str]:
    """Say what is recorded of a model, and what is not, a text for each of the three."""
    media = [medium for place, medium in enumerate(MEDIA) if takes >> place & 1]
    return [
        "size not recorded" if np.isnan(parameters) else f"{parameters / 1e9:,.4g}B parameters",
        "context not recorded" if np.isnan(context) else f"context {context:,.0f} tokens",
        f"takes {' and '.join(media)}" if media else "what it takes in is not recorded",
    ]
