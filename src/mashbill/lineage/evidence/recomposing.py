"""Composing an artifact's lineage again, from its inputs: an audit derives, and does not believe.

What a manifest says it was made of (each input's address, role, channel and digest; the source of
each teacher; how often a trainer saw each row) is enough to compose its nodes anew, with the same
:class:`mashbill.lineage.circuit.composer.Composer` as the run that made it. What its
``nodes.parquet`` says else is found, though whoever wrote it had the key and signed for it.

What a first stage brings in itself comes from no artifact: only the recipe's word is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.canonical import canonical, digest, digest_bytes
from mashbill.core.file_origins import file_actors
from mashbill.core.learning import Learned, RowSizes, weigh
from mashbill.lineage.bills.telling import amount
from mashbill.lineage.circuit.composer import Actor, Composer, close_model
from mashbill.lineage.circuit.nodes import NodeTable, parts_of, reachable, source_of
from mashbill.lineage.evidence.removed import compare_with_gone, count_gone
from mashbill.lineage.evidence.said import is_said, recompose_said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mashbill.core.artifact import InputRef, Manifest
    from mashbill.core.source import Source
    from mashbill.lineage.circuit.nodes import Body
    from mashbill.lineage.evidence.made import Made, Rows

_SAY_ALL = 2  # the format since which manifests and rows say all that lineage is composed from
_NAMED = 3  # sources that a message names


@dataclass
class Composed:
    """What composing an artifact again came to."""

    wrong: list[str] = field(default_factory=list)
    """what its nodes say else than its inputs"""
    not_derived: list[str] = field(default_factory=list)
    """what could not be composed again, and why"""


def source_behind(item: InputRef, table: NodeTable) -> Source | None:
    """Return the source that a teacher or verifier is; older manifests have its digest alone."""
    if item.source is not None:
        return item.source
    for body in table.bodies.values():
        if body["type"] == "source":
            source = source_of(body)
            if digest_bytes(canonical(source.model_dump(mode="json"))) == item.digest:
                return source
    return None


def recompose_dataset(
    manifest: Manifest,
    table: NodeTable,
    kept: Sequence[Rows],
    rejected: Sequence[Rows],
    inputs: Mapping[str, Made],
    *,
    is_removed: bool = False,
) -> Composed:
    """Compose the nodes of a dataset again and compare them.

    Args:
        manifest: what was committed.
        table: its nodes as committed.
        kept: rows of each shard, in order.
        rejected: those that were rejected, likewise.
        inputs: what it was made of, by address.
        is_removed: whether its rows are gone, so that none are given.
    """
    roles = {"rows", "beside", "actor", "base", "teacher", "verifier"}
    found = Composed(_wrong_roles(manifest, roles))
    composer = None if found.wrong else _composer(manifest, table, inputs, found)
    if composer is None:
        return found
    if any(item.role == "rows" for item in manifest.inputs):
        _compare_rows(manifest, table, [*kept, *rejected], inputs, composer, found)
    else:
        _only_sources(manifest, table, inputs, found)
        if is_removed:
            found.not_derived.append("its rows were removed")
    _compare_whole(manifest, table, None if is_removed else kept, found)
    return found


def _wrong_roles(manifest: Manifest, roles: set[str]) -> list[str]:
    """Say which inputs have a role that such an artifact's inputs do not have."""
    return [
        f"its manifest says that {item.name} is its {item.role!r}, which a {manifest.kind} has not"
        for item in manifest.inputs
        if item.role not in roles
    ]


def _composer(
    manifest: Manifest, table: NodeTable, inputs: Mapping[str, Made], found: Composed
) -> Composer | None:
    """Return what composes nodes from the inputs; None if one of them is not at hand."""
    rows: list[tuple[str, NodeTable]] = []
    actors: list[Actor] = []
    for item in manifest.inputs:
        if not item.is_artifact:
            source = source_behind(item, table)
            if source is None:
                found.wrong.append(
                    f"its manifest names the {item.role} {item.name}, and its nodes have no source "
                    f"that is this {item.role}"
                )
                return None
            actors.append((item.channel, source))
        elif item.name not in inputs:
            found.not_derived.append(f"{item.name}, which it was made of, cannot be read here")
            return None
        elif item.role == "rows":
            rows.append((item.channel, inputs[item.name].table))
        else:
            actors.append((item.channel, inputs[item.name].table))
    return Composer(rows, [*actors, *file_actors(manifest.stage)])


def _compare_rows(
    manifest: Manifest,
    table: NodeTable,
    shards: Sequence[Rows],
    inputs: Mapping[str, Made],
    composer: Composer,
    found: Composed,
) -> None:
    """Compare the node of each row with that which its inputs give it."""
    given = [inputs[item.name] for item in manifest.inputs if item.role == "rows"]
    if not shards or any(one.removed for one in given):
        told = compare_with_gone(table, shards, given, composer, found.wrong)
        found.not_derived += [told] if told else []
        return
    codes = np.concatenate(
        [
            np.empty(0, np.int64),
            *(one.bills + offset for one, offset in zip(given, composer.offsets, strict=False)),
        ]
    )
    size = len(table.numbered) + 1
    pairs: dict[int, int] = {}
    for rows in shards:
        if rows.origins is None:
            if manifest.format >= _SAY_ALL:
                found.wrong.append(
                    "its rows do not say which rows they came from, as those of every stage with "
                    "inputs do: it was taken out"
                )
            else:
                found.not_derived.append("its rows do not say which rows they came from")
            return
        if len(rows.origins) and not 0 <= rows.origins.min() <= rows.origins.max() < len(codes):
            return  # found already: they say that they came from rows that are not there
        if rows.ends is None:
            numbers = composer.one_each(codes[rows.origins])
        else:
            numbers = composer.several_each(codes[rows.origins], rows.ends)
        both, counts = np.unique(numbers.astype(np.int64) * size + rows.bills, return_counts=True)
        for pair, count in zip(both.tolist(), counts.tolist(), strict=True):
            pairs[pair] = pairs.get(pair, 0) + count
    for pair, count in pairs.items():
        number, bill = divmod(pair, size)
        wanted, told = composer.table.numbered[number], table.numbered[bill]
        if wanted != told:
            found.wrong.append(
                f"{count:,} {'row says that it rests' if count == 1 else 'rows say that they rest'}"
                f" on {_sources_of(table, told)}; by what {_names(manifest)} say, "
                f"{'it rests' if count == 1 else 'they rest'} on "
                f"{_sources_of(composer.table, wanted)}"
            )
    if not found.wrong:
        _no_others(table, pairs, size, composer, found)


def _no_others(
    table: NodeTable, pairs: Iterable[int], size: int, composer: Composer, found: Composed
) -> None:
    """Find numbered nodes that no row points at and no row of the inputs could give."""
    met = {pair % size for pair in pairs}
    possible: set[str] | None = None
    for number, node in enumerate(table.numbered):
        if number in met:
            continue
        if possible is None:
            for code in range(int(composer.offsets[-1])):
                composer.one_each(np.array([code]))
            possible = set(composer.table.numbered)
        if node not in possible:
            found.wrong.append(f"node {node[:16]}... stands for no row and follows from no input")


def _only_sources(
    manifest: Manifest, table: NodeTable, inputs: Mapping[str, Made], found: Composed
) -> None:
    """See that what a first stage brings in rests on sources, and on what acted on it, alone."""
    acted = {inputs[item.name].table.root for item in manifest.inputs if item.is_artifact}
    for node in table.numbered:
        body = table.bodies[node]
        names = set(parts_of(body))
        others = [table.bodies[name] for name in names - acted]
        if any(part["type"] != "source" for part in others) or body["type"] in {"dataset", "model"}:
            found.wrong.append(
                f"node {node[:16]}... of a stage without inputs rests on more than sources"
            )
        elif acted - names:
            found.wrong.append(
                f"node {node[:16]}... does not rest on all that its manifest says acted on it"
            )
    found.not_derived.append("where its rows came from is the recipe's word: nothing is behind it")


def _compare_whole(
    manifest: Manifest, table: NodeTable, kept: Sequence[Rows] | None, found: Composed
) -> None:
    """Compare the weight of each node, and the node that stands for the whole dataset."""
    size = len(table.numbered)
    tokens = np.zeros(size, np.int64) if kept is not None else np.asarray(table.tokens, np.int64)
    if kept is None:
        count_gone(manifest, table, found.wrong)
    for rows in kept or ():
        tokens += np.bincount(rows.bills, weights=rows.words, minlength=size).astype(np.int64)
    for number in np.flatnonzero(tokens != np.asarray(table.tokens, np.int64)).tolist():
        found.wrong.append(
            f"counts {table.tokens[number]:,} words for node {number}; its rows have "
            f"{tokens[number]:,}"
        )
    members = [
        [node, records, words]
        for node, records, words in zip(table.numbered, table.records, table.tokens, strict=True)
        if records
    ]
    _compare_root(
        table, {"type": "dataset", "artifact": str(manifest.ref), "members": members}, found
    )
    if manifest.tokens != sum(table.tokens):
        found.wrong.append(
            f"its manifest states {manifest.tokens:,} words, its nodes {sum(table.tokens):,}"
        )


def _compare_root(table: NodeTable, body: Body, found: Composed) -> None:
    root = table.bodies.get(table.root)
    if root != body:
        found.wrong.append("the node that stands for the whole is not that of its rows")
    try:
        needed = reachable(table, [table.root, *table.numbered])
    except KeyError as error:
        found.wrong.append(f"node {str(error.args[0])[:16]}... is named and is not there")
        return
    for node in sorted(table.bodies.keys() - needed)[:_NAMED]:
        found.wrong.append(f"node {node[:16]}... is there and nothing rests on it")


def recompose_model(
    manifest: Manifest,
    table: NodeTable,
    inputs: Mapping[str, Made],
    learned: Mapping[str, Learned] | None,
) -> Composed:
    """Compose the node of a model again and compare it.

    Args:
        manifest: what was committed.
        table: its nodes as committed.
        inputs: what it was made of, by address.
        learned: address of each dataset -> how its rows were learned from; None if that was not
            recorded.
    """
    found = Composed(
        _wrong_roles(manifest, {"trained-on", "base", "beside", "actor", "teacher", "verifier"})
    )
    if found.wrong:
        return found
    absent = [i.name for i in manifest.inputs if i.is_artifact and i.name not in inputs]
    if absent:
        found.not_derived.append(f"{absent[0]}, which it was made of, cannot be read here")
        return found
    if is_said(manifest):
        return Composed(*recompose_said(manifest, table, inputs))
    data = [item for item in manifest.inputs if item.role == "trained-on"]
    strange = sorted((learned or {}).keys() - {item.name for item in data})
    if strange:
        found.wrong.append(
            f"says how often rows of {strange[0]:.80} were learned from, and was not trained on it"
        )
        return found
    bases = _beside(manifest, inputs)
    files = digest([[item.file, item.sha256] for item in manifest.files])
    gone = [inputs[item.name].removed for item in data if inputs[item.name].removed]
    if data and (learned is None or gone):
        told = "how often each row was learned from is not recorded (releases before 0.2)"
        told = f"its weights in the bill rest on rows that went: {gone[0]}" if gone else told
        _compare_members(manifest, table, inputs, files, (found, told))
        return found
    sizes: dict[str, RowSizes] = {}
    for item in data:
        made, seen = inputs[item.name], (learned or {}).get(item.name)
        words = np.concatenate([np.empty(0, np.int64), *(rows.words for rows in made.kept)])
        if seen is None or len(seen.times) != len(words):
            found.wrong.append(f"does not say how often each row of {item.name} was learned from")
            return found
        sizes[item.name] = RowSizes(words, made.bills, len(made.table.numbered))
    again = weigh(learned or {}, sizes)
    members = [(i.channel, inputs[i.name].table, again.by_node[i.name]) for i in data]
    wanted = close_model(str(manifest.ref), files, members, bases)
    if wanted.digest != table.digest:
        found.wrong.append(
            f"says that it rests on {_sources_of(table, table.root)}; by what "
            f"{_names(manifest)} say, it rests on {_sources_of(wanted, wanted.root)}, and its "
            "node has other parts or weights"
        )
    if (manifest.tokens, manifest.token_unit) != (again.tokens, again.unit):
        found.wrong.append(
            f"its manifest states {amount(manifest.tokens, manifest.token_unit)}; it learned from "
            f"{amount(again.tokens, again.unit)}"
        )
    if manifest.learned_from and manifest.learned_from != again.learned_from:
        found.wrong.append(
            "its manifest states other rows, tokens, times or weights of what it learned from "
            "than learned.parquet and its inputs do"
        )
    return found


def _beside(manifest: Manifest, inputs: Mapping[str, Made]) -> list[Actor]:
    """Return what reached a model beside the rows that it learned from, in the manifest's order."""
    found: list[Actor] = []
    for item in manifest.inputs:
        if item.role in {"trained-on", "beside"}:
            continue
        if item.is_artifact:
            found.append((item.channel, inputs[item.name].table))
        elif item.source is not None:
            found.append((item.channel, item.source))
    return found


def _compare_members(
    manifest: Manifest,
    table: NodeTable,
    inputs: Mapping[str, Made],
    files: str,
    telling: tuple[Composed, str],
) -> None:
    """Compare what a model learned from, where how often is not recorded, or cannot be weighed."""
    found, told = telling
    body = table.bodies[table.root]
    bases = {
        (how, other.root if isinstance(other, NodeTable) else NodeTable().add_source(other))
        for how, other in _beside(manifest, inputs)
    }
    could = {
        (item.channel, node)
        for item in manifest.inputs
        if item.role == "trained-on"
        for node, records in zip(
            inputs[item.name].table.numbered, inputs[item.name].table.records, strict=True
        )
        if records
    }
    if body.get("type") != "model" or (body["artifact"], body["files"]) != (
        str(manifest.ref),
        files,
    ):
        found.wrong.append("the node that stands for it is not that of its files")
        return
    named = {(how, node) for how, node, _ in body["members"]}
    if not named <= could | bases or not bases <= named:
        found.wrong.append(
            f"says that it rests on {_sources_of(table, table.root)}, which is not what "
            f"{_names(manifest)} say"
        )
    left = sorted(node for _, node in could - named)
    if left:
        tables = [inputs[i.name].table for i in manifest.inputs if i.is_artifact]
        where = next(one for one in tables if left[0] in one.bodies)
        told += f": {_sources_of(where, left[0])} may have been learned from, and is not named"
    found.not_derived.append(told)
    _compare_root(table, body, found)


def _names(manifest: Manifest) -> str:
    """Name an artifact's inputs."""
    names = list(dict.fromkeys(item.name for item in manifest.inputs))
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if names[3:] else "")


def _sources_of(table: NodeTable, node: str) -> str:
    """Name the sources that a node rests on, the first few of them."""
    try:
        bodies = [table.bodies[name] for name in reachable(table, [node])]
    except KeyError:
        return "a node that is not there"
    titles = sorted({source_of(body).title for body in bodies if body["type"] == "source"})
    more = f" and {len(titles) - _NAMED:,} more" if len(titles) > _NAMED else ""
    return (", ".join(titles[:_NAMED]) or "no source") + more
