"""ModSleuth's graphs (arXiv 2606.12385; github.com/cal-data-audit/modsleuth).

Two shapes of JSON are read. What its viewer shows, and modsleuth-demo publishes::

    {"nodes": [{"id", "kind": "model"|"dataset"|"off_lattice", "primary_url", ...}],
     "edges": [{"subject", "relation", "object", "dependency_kind", "description",
                "anchor_list": [{"source", "position", ...}], "_verdict", "quality_flag"}]}

and what its ``merge`` and ``dedup`` write (merge_artifact.json, graph.json)::

    {"lattice": {"groups": [{"items": [{"formal_name", "kind", "links": [{"kind", "url"}]}]}]},
     "relations": [the same edges]}

The subject was made from the object. A language model read public text and wrote the edges, so a
claim is ``derived`` and second-hand; its texts are not copied. Which relation becomes which is in
:func:`_reading`. Its aliases are not taken: they are names of families too, and an alias in the
catalogue stands for one entity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.policy.importers.imported import (
    Gathering,
    Imported,
    from_address,
    objects,
    one_line,
    read_each,
    read_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WEIGHTS = {"trained_from": "base-weights", "merged_from": "merge", "quantized_from": "quantized"}
_INDIRECT = frozenset(["inspired_by", "used_for_ablation", "used_for_evaluation"])
_OF_DATA = frozenset(["trained_on", "composed_from"])
"""relations to data; an object that the graph has no node for is taken to be what they imply"""
_BY_MODELS = frozenset(["generated_by", "transformed_by", "filtered_by"])
_READS = re.compile(r"\bocr|ocr\b", re.IGNORECASE)
_BEFORE = re.compile(r"(pre|mid)-?train", re.IGNORECASE)
_AFTER = re.compile(r"post-?train|fine-?tun|\bsft\b|\bdpo\b|\brl(vr|hf)?\b", re.IGNORECASE)
_NAMED = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.+-]*){1,2}", re.ASCII)
"""a name that can be found again: OWNER/NAME, or OWNER/NAME/SUBSET"""


@dataclass(frozen=True)
class _Node:
    id: str
    kind: str
    address: str
    weights: bool
    """its primary address is a model's repository"""


def read(path: Path) -> Imported:
    """Read a graph, or every graph (*.json) below a folder.

    Raises:
        InputError: naming file, line or key, if it is no graph of either shape; in a folder such a
            file is left out, unless there is no other.
    """
    gathered = Gathering("modsleuth")

    def read_one(file: Path) -> None:
        graph = read_json(file)
        nodes = _nodes(file, graph)
        key = "edges" if "nodes" in graph else "relations"
        for number, edge in enumerate(_list(file, graph, key)):
            where = f"{file}: {key}[{number}]"
            if isinstance(edge, dict):
                _gather(gathered, where, edge, nodes)
            else:
                flaw = f"{where}: found {type(edge).__name__}, expected an edge"
                gathered.reject(file, flaw)

    read_each(path, "*.json", gathered.reject, read_one)
    return gathered.finish()


def _list(file: Path, graph: dict[str, Any], key: str) -> list[Any]:
    value = graph.get(key)
    if isinstance(value, list):
        return value
    msg = (
        f"{file}: key {key!r}: found {type(value).__name__}, expected a list; give a graph with "
        "nodes and edges, or a merge_artifact.json or graph.json with lattice and relations"
    )
    raise InputError(msg)


def _nodes(file: Path, graph: dict[str, Any]) -> dict[str, _Node]:
    """Return the nodes by the names that edges use."""
    nodes: dict[str, _Node] = {}
    items = _list(file, graph, "nodes") if "nodes" in graph else list(_items(file, graph))
    for item in objects(items):
        name = _name(item.get("id") or item)
        links = objects(item.get("links"))
        address = str(item.get("primary_url") or (links[0].get("url") if links else "") or "")
        kind = str(item.get("kind") or "")
        if not name or kind not in {"model", "dataset"}:
            continue
        found = from_address(address)
        # The same but for case: the hub's way of writing it is the one that can be looked up.
        spelt = found[0] if found is not None and found[0].lower() == name.lower() else name
        weights = found is not None and found[1] == "model"
        nodes.setdefault(name, _Node(spelt, kind, address, weights))
    return nodes


def _items(file: Path, graph: dict[str, Any]) -> Iterator[Any]:
    lattice = graph.get("lattice")
    if not isinstance(lattice, dict):
        _list(file, graph, "nodes")
        return
    for group in objects(_list(file, lattice, "groups")):
        yield from objects(group.get("items"))


def _name(value: Any) -> str:
    """Return an endpoint's name; in older graphs it is an object that has one."""
    if isinstance(value, dict):
        value = value.get("formal_name") or value.get("name")
    return one_line(value) if isinstance(value, str) else ""


def _gather(gathered: Gathering, where: str, edge: dict[str, Any], nodes: dict[str, _Node]) -> None:
    """Add the claim of an edge, and the entities that it names."""
    subject, label, thing = (_name(edge.get(key)) for key in ("subject", "relation", "object"))
    where = f"{where} {subject} {label} {thing}"
    verdict = str(edge.get("_verdict") or "")
    if edge.get("dependency_kind") == "indirect" or label in _INDIRECT:
        gathered.leave(where, "indirect: nothing of it was learned from")
        return
    if verdict == "refuted":
        gathered.leave(where, "refuted by ModSleuth's own check")
        return
    child = nodes.get(subject) or _outside(subject, "model")
    parent = nodes.get(thing) or _outside(thing, "dataset" if label in _OF_DATA else "model")
    if child is None or parent is None:
        gathered.leave(where, f"{(thing if child else subject)!r} is a description, not a name")
        return
    relation, remark = _reading(child.kind, label, parent, str(edge.get("description") or ""))
    if not relation:
        gathered.leave(where, remark)
        return
    remarks = [f"ModSleuth's {label}", remark]
    if verdict not in {"", "verified"}:
        remarks.append(f"its own check: {one_line(verdict)}")
    if "weak" in str(edge.get("quality_flag") or "").lower():
        remarks.append("it calls its evidence weak")
    if edge.get("provenance_review"):
        remarks.append("read in text of somebody other than the maker")
    kept = gathered.add_claim(
        where,
        child=child.id,
        parent=parent.id,
        relation=relation,
        status="derived",
        second_hand=True,
        source=_source(edge),
        note="; ".join(part for part in remarks if part),
    )
    if not kept:
        return
    for node in (child, parent):
        kind = "public-dataset" if node.kind == "dataset" and from_address(node.address) else None
        gathered.add_entity(
            where,
            id=node.id,
            what=node.kind,
            kind="open-weights" if node.kind == "model" and node.weights else kind or "unknown",
            second_hand=True,
            source=one_line(node.address) or "ModSleuth graph",
        )


def _outside(name: str, kind: str) -> _Node | None:
    """Return a node for a name that the graph has none for, if it can be found again."""
    return _Node(name, kind, "", weights=False) if _NAMED.fullmatch(name) else None


def _reading(child: str, label: str, parent: _Node, said: str) -> tuple[str, str]:
    """Return the relation of a claim and a remark; or no relation, and the reason.

    ``generated_by`` does not tell the phase: it is pretraining-synthetic where the edge's text
    speaks of pretraining or midtraining and of nothing later, and sft-data otherwise (channel and
    role are the same). ``filtered_by`` holds judges and reward models too; it is filter-classifier,
    the reading that excuses least.
    """
    from_model = parent.kind == "model"
    if label == "trained_on" and from_model:
        return _made(said), "though the object is a model, whose outputs are taken to be meant"
    if label in _OF_DATA and not from_model:
        if child == "dataset":
            return "composed-from", ""
        return "trained-on", ""
    if label in _WEIGHTS and child == "model" and from_model:
        return _WEIGHTS[label], ""
    if label == "generated_by" and from_model:
        return _made(said), "which does not tell the phase"
    if label == "transformed_by" and from_model:
        return ("ocr-transform" if _READS.search(f"{parent.id} {said}") else "rewrite"), ""
    if label == "filtered_by" and from_model:
        return "filter-classifier", "which may be a filter, a judge or a reward model"
    if label in _OF_DATA | _BY_MODELS | _WEIGHTS.keys():
        return "", f"{label} from a {child} to a {parent.kind} has no meaning here"
    return "", f"{label or 'no relation'} has no counterpart among the relations of claims"


def _made(said: str) -> str:
    early = _BEFORE.search(said) and not _AFTER.search(said)
    return "pretraining-synthetic" if early else "sft-data"


def _source(edge: dict[str, Any]) -> str:
    """Return where the edge was read: its first anchor with an address, else a file's name."""
    anchors = objects(edge.get("anchor_list"))
    places = [(_name(a.get("source")), _name(a.get("position"))) for a in anchors]
    for address, position in places:
        if address.startswith(("https://", "http://")):
            return f"ModSleuth graph: {address}" + (f", {position}" if position else "")
    files = [address.rsplit("/", 1)[-1] for address, _ in places if address]
    return f"ModSleuth graph: its copy of {files[0]}" if files else "ModSleuth graph"
