"""The block ``x-mashbill`` of a card that our own exporter wrote, back into claims.

A block of format 1 holds the whole bill; one of format 2 points by name and digest to ``bill.json``
beside the card, which is read from there. A claim is about one step. ``bill.json`` tells each step
of the making (:mod:`mashbill.policy.importers.card_making`). Where it does not, as those of earlier
releases, a line becomes a claim where it is direct (depth 1 or less) and came by a single channel.
Of the rest the bill tells that it is an ancestor, and not of what.

Shares of lines overlap, and are no parts of a whole: a claim has one where it is the only one, and
else in its note.
"""

from __future__ import annotations

from reprlib import repr as brief
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value, read_bytes
from mashbill.core.source import Channel, Source
from mashbill.policy.importers.card_making import read_making
from mashbill.policy.importers.card_sources import route_of, source_id
from mashbill.policy.licence_cells import licence_of
from mashbill.policy.relations import RELATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.policy.importers.imported import Gathering

_RELATIONS = {
    Channel.CONTENT: "sft-data",
    Channel.LOGITS: "logits",
    Channel.WEIGHTS: "base-weights",
    Channel.JUDGEMENT: "classifier-annotations",
    Channel.SELECTION: "filter-classifier",
    Channel.TRANSFORM: "rewrite",
    Channel.PROMPT: "prompt-source",
}
"""channel of a line -> relation of a claim; finer relations are not told apart in a block"""


_BILL_FILE = "bill.json"


def read_block(
    gathered: Gathering,
    where: str,
    block: Any,
    child: tuple[str, str],
    source: str,
    folder: Path | None = None,
) -> set[tuple[str, str]]:
    """Add the entities and direct claims of a block.

    Args:
        gathered: what to add to.
        where: file and key, for what is left out.
        block: value of the key: ``{"format": 1, "artifact": ..., "bill": [{"source": {...},
            "channels": [...], "share_low": ..., "share_high": ..., "depth": ...}], ...}``, or
            ``{"format": 2, "bill": "bill.json", "sha256": ...}``.
        child: id of the card's entity, and whether it is a model or a dataset.
        source: where the claims stand.
        folder: where the card lies; what format 2 points to lies beside it.

    Returns:
        parent in small letters, and role, of each claim.
    """
    told: set[tuple[str, str]] = set()
    number = block.get("format") if isinstance(block, dict) else block
    if number not in (1, 2) or isinstance(number, bool):
        gathered.leave(where, f"format {brief(number)} is not known; 1 is, and 2")
        return told
    lines = block.get("bill")
    if number == 2:
        bill, reason = _beside(block, folder)
        if reason:
            gathered.leave(where, reason)
            return told
        lines = bill["bill"]
        if bill.get("making") is not None:
            made = read_making(gathered, f"{where}.making", bill["making"], child, source)
            if not isinstance(made, str):
                return made
            gathered.leave(f"{where}.making", f"{made}; its lines alone are read")
    return _of_lines(gathered, where, lines, child, source)


def _of_lines(
    gathered: Gathering, where: str, lines: Any, child: tuple[str, str], source: str
) -> set[tuple[str, str]]:
    """Add the claims of a bill's lines, where there is no more; see :func:`read_block`."""
    told: set[tuple[str, str]] = set()
    alone = isinstance(lines, list) and len(lines) == 1
    for number, line in enumerate(lines if isinstance(lines, list) else []):
        place = f"{where}.bill[{number}]"
        try:
            leaf = Source.model_validate(line["source"])
            channels = [Channel(name) for name in line["channels"]]
            low, high = (
                line["share"] if "share" in line else (line["share_low"], line["share_high"])
            )
            depth = line["depth"]
            share = low if low == high and alone else None
            note = "from the block x-mashbill"
            if low != high:
                note += f"; share between {low:.4g} and {high:.4g}"
            elif not alone:
                note += f"; it reached a share of {low:.4g}, which others may have reached, too"
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            reason = str(error).splitlines()[0]
            gathered.leave(place, f"no line of a bill: {reason}")
            continue
        if leaf.what == "unknown" or len(channels) != 1 or not isinstance(depth, int) or depth > 1:
            gathered.leave(
                place,
                f"{leaf.name} ({leaf.what}) at depth {brief(depth)} by "
                f"{' + '.join(channels)}: an ancestor, not plainly a parent",
            )
            continue
        relation = _RELATIONS[channels[0]]
        if channels[0] is Channel.CONTENT and leaf.what == "dataset":
            relation = "trained-on" if child[1] == "model" else "composed-from"
        name = source_id(leaf)
        kept = gathered.add_claim(
            place,
            child=child[0],
            parent=name,
            relation=relation,
            route=route_of(leaf.route),
            share=share,
            source=source,
            note=note,
        )
        if kept:
            told.add((name.lower(), RELATIONS[relation][2]))
            facts = leaf.model_dump(include={"what", "provider", "country", "kind"})
            licence = licence_of(leaf.license)
            gathered.add_entity(place, id=name, source=source, license=licence, **facts)
    return told


def _beside(block: dict[str, Any], folder: Path | None) -> tuple[dict[str, Any], str]:
    """Return the bill that a block points to, or why there is none."""
    name, sha256 = block.get("bill"), block.get("sha256")
    if name != _BILL_FILE:
        return {}, f"its bill is said to be in {brief(name)}; {_BILL_FILE} beside the card is known"
    path = None if folder is None else folder / _BILL_FILE
    if path is None or not path.is_file():
        return {}, f"its bill is in {_BILL_FILE}, which is not beside the card; fetch it too"
    try:
        data = read_bytes(path)
        if digest_bytes(data) != sha256:
            return {}, f"{path} is not the file that the card names: its SHA-256 is another one"
        read = json_value(data, path)
    except InputError as error:
        return {}, str(error)
    lines = read.get("bill") if isinstance(read, dict) else None
    return (read, "") if isinstance(lines, list) else ({}, f"{path} holds no bill")
