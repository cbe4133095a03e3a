"""Composing the lineage of a model that was trained elsewhere again, from what is said of it.

Its manifest has what was said of each dataset, and its inputs are artifacts of the store. So an
audit finds nodes that say else than both. That it learned from these datasets at all, so often, and
from these weights, nobody here has seen: that is said, and told as such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import digest
from mashbill.core.given import TRAINED
from mashbill.core.said_learning import SAID, OriginSize, SaidDataset
from mashbill.core.training_record import RECORD
from mashbill.lineage.bills.telling import amount
from mashbill.lineage.circuit.said_model import close_said, nodes_behind, origins_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.artifact import InputRef, Manifest
    from mashbill.lineage.circuit.composer import Actor
    from mashbill.lineage.circuit.nodes import NodeTable
    from mashbill.lineage.evidence.made import Made

_NAMED = 5  # datasets that a message names


def is_said(manifest: Manifest) -> bool:
    """Return whether what an artifact was made of is said, and was not counted here."""
    return manifest.kind == "model" and manifest.stage.get("kind") == TRAINED


def recompose_said(
    manifest: Manifest, table: NodeTable, inputs: Mapping[str, Made]
) -> tuple[list[str], list[str]]:
    """Compose the node of such a model again and compare it.

    Args:
        manifest: what was committed.
        table: its nodes as committed.
        inputs: what it was made of, by address.

    Returns:
        What is wrong; what is not derived, but said.
    """
    try:
        told = manifest.measures[SAID]
        said = [SaidDataset.read(one) for one in told["datasets"]]
        parts = {str(name): float(part) for name, part in told["parents"].items()}
        unnamed, unit = bool(told["unnamed"]), manifest.token_unit
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"does not say what is said of its training: {error!s:.160}"], []
    wrong = list(_strange_inputs(manifest, said))
    tables: dict[str, NodeTable] = {}
    origins: dict[str, tuple[OriginSize, ...]] = {}
    for one in said:
        try:
            if one.outside is not None:
                tables[one.name] = nodes_behind(table, one.outside)
                origins[one.name] = one.outside
            elif one.name in inputs:
                tables[one.name] = inputs[one.name].table
                origins[one.name] = origins_of(tables[one.name])
                rows = sum(size.rows or 0 for size in origins[one.name])
                if one.rows is not None and one.rows > rows:
                    wrong.append(f"says that {one.rows:,} rows of {one.name} were seen of {rows:,}")
        except KeyError:
            wrong.append(f"its nodes lack what it says that {one.name} rests on")
    if wrong:
        return wrong, []
    bases = [
        (_actor(item, inputs), parts.get(item.name))
        for item in manifest.inputs
        if item.role == "base"
    ]
    files = digest([[item.file, item.sha256] for item in manifest.files])
    wanted, found = close_said(
        str(manifest.ref), files, said, tables, origins, bases, has_unnamed=unnamed
    )
    if wanted.digest != table.digest:
        wrong.append(
            "the node that stands for it has other parts or weights than what is said of its "
            "training comes to"
        )
    if (manifest.tokens, unit) != (found.tokens, found.unit):
        wrong.append(
            f"its manifest states {amount(manifest.tokens, unit)}; by what is said of it, it "
            f"learned from {amount(found.tokens, found.unit)}"
        )
    if manifest.learned_from != found.learned_from:
        wrong.append("its manifest states other rows, tokens or times than what is said of it")
    return wrong, [_word(told, said)]


def _strange_inputs(manifest: Manifest, said: list[SaidDataset]) -> list[str]:
    """Say where what is said of datasets, and the manifest's inputs, are not about the same."""
    here = [one.name for one in said if one.outside is None]
    given = [item.name for item in manifest.inputs if item.role == "trained-on"]
    wrong = []
    if sorted(here) != sorted(given):
        differ = sorted(set(here) ^ set(given)) or here
        wrong.append(f"says how it learned from other datasets than its inputs ({differ[0]:.80})")
    if len({one.name for one in said}) != len(said):
        wrong.append("says twice how it learned from one dataset")
    strange = [item for item in manifest.inputs if item.role not in {"trained-on", "base"}]
    if strange:
        wrong.append(
            f"its manifest says that {strange[0].name} is its {strange[0].role!r}, which a model "
            "from elsewhere has not"
        )
    return wrong


def _actor(item: InputRef, inputs: Mapping[str, Made]) -> Actor:
    return item.channel, item.source if item.source is not None else inputs[item.name].table


def _word(told: Mapping[str, Any], said: list[SaidDataset]) -> str:
    """Say on whose word its lineage rests."""
    by = f"its record {RECORD} and the recipe say" if told.get("by") == "record" else (
        "the recipe says, and no record of its trainer lies beside it"
    )  # fmt: skip
    outside = [one for one in said if one.told]
    more = "".join(f"; {one.name}: {one.told}" for one in outside[:_NAMED])
    if outside[_NAMED:]:
        more += f"; and {len(outside) - _NAMED} datasets more that are not of this store"
    return (
        f"it was trained elsewhere: what it learned from, how much, and which weights it started "
        f"from is what {by}; nothing of it is derived again{more}"
    )
