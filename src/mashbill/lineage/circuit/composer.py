"""Making the nodes of an artifact's rows from what its stage declares, each combination once.

The nodes are those that a row's ``_bill`` counts, in the artifact's ``nodes.parquet``, with all
that they rest on, through models too: one file answers for the whole history. Rows are made of few
combinations of inputs' nodes, so millions of rows cost a few. Each input comes in by its channel: a
prompt as ``prompt``, a text as ``content``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.source import Channel, Source
from mashbill.lineage.circuit.nodes import NodeTable, reachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mashbill.lineage.circuit.nodes import Body

Actor = tuple[str, NodeTable | Source]
"""(via, the artifact's table or the source) of what acted on every record of a stage"""


class Composer:
    """Gives rows their nodes, from what a stage declares: it never writes lineage by hand.

    A row made of rows i, j, ... of the inputs, with these actors, points at the node
    ``made({via(i): node(i), via(j): node(j), ...} + actors)``. Each distinct combination is
    composed once, so that millions of rows cost a few nodes.
    """

    def __init__(self, rows: Sequence[tuple[str, NodeTable]], actors: Sequence[Actor]) -> None:
        """Compose from these inputs, in the order in which ``_from`` counts over them.

        Args:
            rows: (via, table) of each input that rows come from.
            actors: what acted on every record.
        """
        self.table = NodeTable()
        self._parts: list[tuple[str, str]] = []
        for how, table in rows:
            self.table.absorb(table)
            self._parts += [(how, node) for node in table.numbered]
        self._actors: list[tuple[str, str]] = []
        for how, actor in actors:
            if isinstance(actor, Source):
                self._actors.append((how, self.table.add_source(actor)))
            else:
                self.table.absorb(actor)
                self._actors.append((how, actor.root))
        self.offsets = np.cumsum([0, *(len(table.numbered) for _, table in rows)])
        """first code of each input: a row's code is its input's offset plus its node's number"""
        self._single = np.full(len(self._parts), -1, np.int32)
        self._pairs: dict[tuple[int, ...], int] = {}

    def bring(self, source: Source) -> int:
        """Return the number of the node of rows that a first stage brings from a source.

        What acts on them is behind them, too, as a model is that a suite of tasks was put to.
        """
        node = self.table.add_source(source)
        if self._actors and not self._parts:
            node = self.table.add_made([(Channel.CONTENT.value, node), *self._actors])
        return self.table.number(node)

    def compose(self, codes: Iterable[int]) -> int:
        """Return the number of the node of rows made of rows with these codes."""
        parts = [self._parts[code] for code in codes]
        return self.table.number(self.table.add_made([*parts, *self._actors]))

    def impossible(self, nodes: Mapping[str, Body]) -> list[str]:
        """Return those nodes that no rows of the inputs could give, whichever they are.

        Args:
            nodes: digest -> body.
        """
        rows, actors = set(self._parts), set(self._actors)
        found = []
        for node, body in nodes.items():
            as_it_is = (Channel.CONTENT.value, node)  # a row that was taken as it was
            if not actors and as_it_is in rows:
                continue
            parts = {(how, part) for how, part in body.get("parts", ())}
            if not (actors <= parts and parts - actors <= rows and parts & rows):
                found.append(node)
        return found

    def one_each(self, codes: np.ndarray) -> np.ndarray:
        """Return the node number of rows made of one row each.

        Args:
            codes: shape (rows,).

        Returns:
            int32, shape (rows,).
        """
        if len(self._single) == 1:  # one node in all: what most stages see
            if self._single[0] < 0 and len(codes):
                self._single[0] = self.compose([0])
            return np.full(len(codes), self._single[0], np.int32)
        new = np.flatnonzero(np.bincount(codes, minlength=len(self._single)))
        for code in new[self._single[new] < 0].tolist():
            self._single[code] = self.compose([code])
        numbers: np.ndarray = self._single[codes]
        return numbers

    def several_each(self, codes: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return the node number of rows made of several rows each.

        Args:
            codes: shape (parts,), those of the first row first.
            ends: shape (rows,), how many parts stand before the end of each row's.
        """
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        numbers = np.empty(len(ends), np.int32)
        alone = np.asarray(ends) - starts == 1
        several = np.flatnonzero(~alone)
        # A set of codes is told by the sum of random words, one a code: rows are grouped by it, and
        # then compared with the first of their group, so that a collision is found.
        words = np.random.default_rng(0).integers(0, 2**64, len(self._parts), np.uint64)
        row, code = _sets(codes, starts, np.asarray(ends), several)
        sums = np.zeros(len(several), np.uint64)
        sizes = np.bincount(row, minlength=len(several))
        if len(several):
            begin = np.concatenate([[0], np.cumsum(sizes)[:-1]])
            sums = np.add.reduceat(words[code], begin)
            _, first, group = np.unique(sums, return_index=True, return_inverse=True)
            if not _alike(code, begin, sizes, first[group]):
                group, first = np.arange(len(several)), np.arange(len(several))
            found = np.empty(len(first), np.int32)
            for at in np.argsort(first, kind="stable").tolist():
                member = first[at]
                key = tuple(code[begin[member] : begin[member] + sizes[member]].tolist())
                number = self._pairs.get(key)
                if number is None:
                    number = self._pairs[key] = self.compose(key)
                found[at] = number
            numbers[several] = found[group]
        numbers[alone] = self.one_each(codes[starts[alone]])
        return numbers


def _sets(
    codes: np.ndarray, starts: np.ndarray, ends: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (place in ``rows``, code) of the distinct codes of each of these rows, sorted."""
    size = ends[rows] - starts[rows]
    row = np.repeat(np.arange(len(rows)), size)
    shift = starts[rows] - np.concatenate([[0], np.cumsum(size)[:-1]]) if len(rows) else starts[:0]
    code = codes[np.arange(len(row)) + np.repeat(shift, size)]
    order = np.lexsort((code, row))
    row, code = row[order], code[order]
    new = np.ones(len(row), bool)
    new[1:] = (row[1:] != row[:-1]) | (code[1:] != code[:-1])
    return row[new], code[new]


def _alike(code: np.ndarray, begin: np.ndarray, sizes: np.ndarray, first: np.ndarray) -> bool:
    """Return whether every row has the codes of the row that stands for it."""
    if (sizes != sizes[first]).any():
        return False
    places = np.arange(len(code)) + np.repeat(begin[first] - begin, sizes)
    return bool((code == code[places]).all())


def close_dataset(table: NodeTable, artifact: str) -> None:
    """Add the node that stands for a dataset, drop what nothing points at, and make it the root."""
    members = [list(row) for row in table.numbered_rows() if row[1]]
    table.root = table.add({"type": "dataset", "artifact": artifact, "members": members})
    # A number that no kept row points at stays: rejected rows may.
    keep = reachable(table, [table.root, *table.numbered])
    table.bodies = {name: table.bodies[name] for name in table.bodies if name in keep}


def close_model(
    artifact: str,
    files: str,
    learned: Sequence[tuple[str, NodeTable, np.ndarray]],
    bases: Sequence[Actor] = (),
) -> NodeTable:
    """Return the table of a model.

    Args:
        artifact: its address.
        files: digest of its files.
        learned: (via, table of the dataset, tokens seen for each numbered node) of each input.
        bases: (via, table or source) of what it started from, and of who taught or judged while it
            learned; how much of them is left in it is not known, so they have no weight.
    """
    table = NodeTable()
    weights: dict[tuple[str, str], int] = {}
    for how, dataset, tokens in learned:
        table.absorb(dataset)
        for node, seen in zip(dataset.numbered, tokens.tolist(), strict=True):
            if seen:
                key = (how, node)
                weights[key] = weights.get(key, 0) + int(seen)
    members: list[list[Any]] = [[how, node, seen] for (how, node), seen in sorted(weights.items())]
    for how, base in bases:
        if isinstance(base, Source):
            node = table.add_source(base)
        else:
            table.absorb(base)
            node = base.root
        if [how, node, None] not in members:
            members.append([how, node, None])
    table.root = table.add(
        {"type": "model", "artifact": artifact, "files": files, "members": members}
    )
    keep = reachable(table, [table.root])
    table.bodies = {name: table.bodies[name] for name in table.bodies if name in keep}
    return table
