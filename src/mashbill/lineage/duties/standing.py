"""How a licence stands to every node of a lineage: what its words reach, and what they leave open.

A licence governs the weights. Whether it goes on to a model trained on their outputs depends on
its own words, and there are three kinds: it passes on with the weights alone; outputs bring a duty,
such as a name, to the model trained on them; or that model *is* a derivative, and the same holds
for what is trained on its outputs in turn. What only selected data, or stands further away than
the words reach, is a question and never an answer.

Standings are a lattice, in which "in question" is below "owed".
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from mashbill.core.source import Channel
from mashbill.lineage.circuit.arrays import CHANNEL_OF, MODEL, Circuit

NONE, OPEN, DUTY, OUTPUTS, GOVERNED = range(5)
"""how a licence stands to a node: not at all; in question; a duty of its words came to this model;
its outputs stand in these data; it governs this model. Where ways meet, the strongest holds."""

Reach = Literal["weights", "outputs", "derivative", "data"]
"""how far the words of a clause go"""

_LEARNED = (Channel.CONTENT, Channel.LOGITS, Channel.TRANSFORM, Channel.JUDGEMENT)
_CHANNELS = tuple(Channel)


def _table(reach: Reach, *, to_model: bool) -> np.ndarray:
    """Return what an edge does to a standing, uint8, shape (channels, standings).

    Args:
        reach: how far the words go.
        to_model: whether the edge leads up into a model, or into data.
    """
    table = np.zeros((len(_CHANNELS), 5), np.uint8)
    asks = OPEN if reach != "weights" else NONE
    for row, channel in enumerate(_CHANNELS):
        learned = channel in _LEARNED
        table[row, OPEN] = OPEN
        if not to_model:
            table[row, DUTY] = OPEN
            table[row, OUTPUTS] = OUTPUTS if learned else asks
            table[row, GOVERNED] = OUTPUTS if learned else asks
            continue
        lands = {"weights": NONE, "outputs": DUTY, "derivative": GOVERNED, "data": OPEN}[reach]
        outputs = lands if learned else asks
        weights = channel is Channel.WEIGHTS
        table[row, DUTY] = DUTY if weights else OPEN
        table[row, OUTPUTS] = outputs
        table[row, GOVERNED] = GOVERNED if weights else outputs
    return table


_TABLES = {
    reach: (_table(reach, to_model=False), _table(reach, to_model=True))
    for reach in ("weights", "outputs", "derivative", "data")
}


def standing(
    circuit: Circuit, own: np.ndarray, reach: Reach, regranted: np.ndarray | None = None
) -> np.ndarray:
    """Return how a licence stands to every node, uint8, shape (n,).

    Args:
        circuit: the graph.
        own: uint8, shape (n,): GOVERNED at the models that are under the licence, OUTPUTS at such
            data, NONE elsewhere.
        reach: how far the clause goes.
        regranted: bool, shape (n,): models that the licensor itself gave out under another licence;
            whoever has them has them under that one, and the first goes no further through them.
    """
    data, model = _TABLES[reach]
    value = own.astype(np.uint8)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        channel = CHANNEL_OF[circuit.label[begin:end]]
        below = value[circuit.to[begin:end]]
        parent = np.repeat(np.arange(first, last), np.diff(circuit.start[first : last + 1]))
        moved = np.where(circuit.type[parent] == MODEL, model[channel, below], data[channel, below])
        met = np.maximum.reduceat(moved, circuit.start[first:last] - begin)
        if regranted is not None:
            met = np.where(regranted[first:last], NONE, met)
        value[first:last] = np.maximum(value[first:last], met)
    return value


def way_of(circuit: Circuit, value: np.ndarray, own: np.ndarray, reach: Reach) -> tuple[str, ...]:
    """Return a way by which the root came to its standing, from the source to it.

    Standings are exact, so the way is found by going down to any part that gives the same.
    """
    data, model = _TABLES[reach]
    node, told = circuit.root, [circuit.title(circuit.root)]
    while value[node] != own[node]:
        table = model if circuit.type[node] == MODEL else data
        at = np.arange(circuit.start[node], circuit.start[node + 1])
        channel = CHANNEL_OF[circuit.label[at]]
        fits = np.flatnonzero(table[channel, value[circuit.to[at]]] == value[node])
        if not len(fits):
            break
        edge = int(at[fits[0]])
        through = _CHANNELS[CHANNEL_OF[circuit.label[edge]]]
        node = int(circuit.to[edge])
        if circuit.type[node] == MODEL or circuit.described[node]:
            told.append(f"{circuit.title(node)} by {through.value}")
        elif through is not Channel.CONTENT:
            told.append(f"by {through.value}")
    return tuple(reversed(told))
