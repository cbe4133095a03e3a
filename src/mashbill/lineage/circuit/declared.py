"""The nodes that a stage will make, composed from what it declares in its recipe.

A run composes the same from the rows that came; before it, every combination that could come is
there once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from mashbill.core.file_origins import ORIGINS, file_actors
from mashbill.core.stage import StageSpec
from mashbill.lineage.circuit.composer import Actor, Composer, close_dataset, close_model
from mashbill.lineage.circuit.nodes import reachable, source_of

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.recipe import Recipe
    from mashbill.core.source import Source
    from mashbill.core.stage import Uses
    from mashbill.lineage.circuit.nodes import NodeTable


@runtime_checkable
class LearnedOutside(Protocol):
    """A stage whose model learned from what is in no store that it is run in."""

    def learned_outside(self, folder: Path) -> tuple[Actor, ...]:
        """Return what that is.

        Args:
            folder: the recipe's.
        """
        ...


def preview(recipe: Recipe, name: str, tables: dict[str, NodeTable]) -> NodeTable:
    """Compose the nodes that a stage would make, with a weight of one for each."""
    spec = recipe.stages[name]
    ref = str(recipe.ref(name))
    if spec.output == "model":
        learned = [
            (use.via, tables[use.name], np.ones(len(tables[use.name].numbered), np.int64))
            for use in spec.uses()
            if use.role == "trained-on"
        ]
        beside = learned_beside(recipe, name, tables)
        if isinstance(spec, LearnedOutside):
            beside = [*spec.learned_outside(recipe.folder), *beside]
        return close_model(ref, "planned", learned, beside)
    composer = row_nodes(recipe, name, tables)
    inputs = [tables[use.name] for use in spec.uses() if use.role == "rows"]
    nodes = [(table, node) for table in inputs for node in table.numbered]
    codes = [code for code, (table, node) in enumerate(nodes) if not _drops(spec, table, node)]
    if spec.merges and codes:
        composer.compose(codes)
    for code in () if spec.merges else codes:
        composer.compose([code])
    table = composer.table
    ones = np.ones(len(table.numbered), np.int64)
    table.count(np.arange(len(ones)), ones)
    close_dataset(table, ref)
    return table


def _drops(spec: StageSpec, table: NodeTable, node: str) -> bool:
    """Return whether a stage rejects rows of a node for what they rest on."""
    if type(spec).drops is StageSpec.drops:
        return False
    bodies = [table.bodies[name] for name in reachable(table, [node])]
    return any(spec.drops(source_of(body)) for body in bodies if body["type"] == "source")


def learned_beside(recipe: Recipe, name: str, tables: dict[str, NodeTable]) -> list[Actor]:
    """Return what reached a model beside the rows that it learned from: bases, live teachers.

    What is only held out beside them, to be measured by, reached nothing.

    Args:
        recipe: the recipe.
        name: the stage that makes the model.
        tables: node table of each input.
    """
    return [
        (use.via, _acts(recipe, use, tables))
        for use in recipe.uses(name)
        if use.role in {"base", "actor"}
    ]


def _acts(recipe: Recipe, use: Uses, tables: dict[str, NodeTable]) -> Source | NodeTable:
    """Return what acts on rows, or is started from: a source, or all that an artifact rests on."""
    if use.is_source:
        return recipe.models[use.name].source
    if use.is_teacher:
        return recipe.teachers[use.name].source
    return recipe.verifiers[use.name].source if use.is_verifier else tables[use.name]


def row_nodes(recipe: Recipe, name: str, tables: dict[str, NodeTable]) -> Composer:
    """Return what gives a dataset's rows their nodes, from what its stage declares.

    Args:
        recipe: the recipe.
        name: the stage.
        tables: node table of each input, by stage.
    """
    spec = recipe.stages[name]
    uses = recipe.uses(name)
    actors: list[Actor] = [
        (use.via, _acts(recipe, use, tables))
        for use in uses
        if use.role in {"actor", "beside", "base"}
    ]
    actors += file_actors({ORIGINS: recipe.origins_of(name)})
    rows = [(use.via, tables[use.name]) for use in uses if use.role == "rows"]
    composer = Composer(rows, actors)
    for source in spec.sources(recipe.folder):
        composer.bring(source)
    return composer
