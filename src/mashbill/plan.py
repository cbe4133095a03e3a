"""Recipe to plan: order, what is done, what the rest will cost and put on the bill.

A plan is a value: nothing is fetched, loaded or asked to make one. Files beside the recipe are
looked at, so that their rows are counted and a wrong name is told before anything runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mashbill.core.artifact import ArtifactRef, Manifest
from mashbill.core.cache import chosen_cache
from mashbill.core.canonical import changed_keys, digest
from mashbill.core.errors import DriftError, InputError, RecipeError
from mashbill.core.file_origins import ORIGINS, file_actors, undeclared_files
from mashbill.core.job import Job
from mashbill.core.record import user_columns
from mashbill.core.source import Source
from mashbill.core.stage import Glance, StageSpec
from mashbill.lineage.bills.definitions import Verdict, judge_all
from mashbill.lineage.bills.prompted import PromptCoverage
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.composer import Actor, Composer, close_dataset, close_model
from mashbill.lineage.circuit.contradicted import beside, table_of, told_of
from mashbill.lineage.circuit.nodes import NodeTable, reachable, source_of
from mashbill.lineage.duties.decisions import Decided, decide_circuit
from mashbill.stages.marks.glancing import MOST_HELD, glanced
from mashbill.stages.marks.prompt_words import words_contradicted
from mashbill.teachers.projection import Projection, project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.marks import Contradiction
    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import Uses
    from mashbill.core.store import Store
    from mashbill.core.teacher import TeacherSpec
    from mashbill.core.use import StudentKind
    from mashbill.core.verifier import VerifierSpec
    from mashbill.policy.documents import Registry
    from mashbill.policy.house import HouseRule

Status = Literal["done", "to do"]


@dataclass(frozen=True)
class PlannedStage:
    """One step of a plan."""

    job: Job
    """what is to be done, with the digests of those inputs that are made"""
    status: Status
    rows: int | None
    """expected, or counted if it is done"""
    seconds: float | None
    """expected; 0 if it is done"""
    projected: Projection | None
    """teacher calls and their price, at least and at most; None if the rows are not known"""
    adds: tuple[tuple[Source, str, str], ...]
    """(source, channel, role) that this step itself would put on the bill"""
    anew: str = ""
    """why what is there is made anew; empty if it is not"""
    seen: Glance | None = None
    """what a look at its files told, for a first stage whose files are at hand"""
    undeclared: tuple[str, ...] = ()
    """files that its teachers are asked by of which the recipe does not say who wrote them"""
    told: Contradiction | None = None
    """what speaks against the origin that is declared of what it reads: of what is made, all that
    its run found; else what is seen in its first rows"""

    @property
    def name(self) -> str:
        """The stage, as the recipe calls it."""
        return self.job.name

    @property
    def ref(self) -> ArtifactRef:
        """What it makes."""
        return self.job.ref

    @property
    def spec(self) -> StageSpec:
        """Its keys in the recipe."""
        return self.job.spec

    @property
    def calls(self) -> int | None:
        """Teacher calls at most, what the journal holds being free; None if it is not known."""
        most = self.projected.most if self.projected is not None else None
        return most.calls if most is not None else None

    @property
    def price(self) -> float | None:
        """US dollars of those calls; None if it is not known."""
        most = self.projected.most if self.projected is not None else None
        return most.usd if most is not None else None


@dataclass(frozen=True)
class Plan:
    """A checked recipe, in order."""

    recipe: Recipe
    stages: tuple[PlannedStage, ...]
    tables: dict[str, NodeTable]
    """lineage of each stage's artifact if it is run; weights of what is to do are not known"""
    supposed: dict[str, NodeTable]
    """the same by the recipe alone, as if nothing were made: what is decided about, so that a
    decision does not depend on how far a run has come"""

    @property
    def preview(self) -> NodeTable:
        """Lineage of the result if the plan is run."""
        return self.tables[self.recipe.result]

    @property
    def result(self) -> ArtifactRef:
        """What the bill and the verdicts are about."""
        return self.recipe.ref(self.recipe.result)

    def verdicts(self) -> list[tuple[Verdict, Verdict]]:
        """Return what each definition would conclude: on closed models, and on any model."""
        return judge_all(self.preview)

    def kind_of(self, artifact: str) -> StudentKind:
        """Return what kind of model an artifact of this plan is."""
        kinds = {str(stage.ref): stage.spec.student_kind for stage in self.stages}
        return kinds.get(artifact, "other")

    def identity(self) -> str:
        """Return the digest of all that the recipe asks for, however far a run of it has come."""
        stages = {str(stage.ref): stage.job.literals for stage in self.stages}
        use, result = self.recipe.use.facts(), str(self.result)
        return digest({"stages": stages, "use": use, "result": result})

    def decide(
        self,
        registry: Registry,
        as_of: date,
        rules: Sequence[HouseRule] = (),
        *,
        only_to_do: bool = False,
    ) -> Decided:
        """Return what terms, licences and house rules say to this plan, before anything is bought.

        Args:
            registry: terms and licences.
            as_of: the day whose texts count.
            rules: house rules.
            only_to_do: only about what is not made yet, for a plan that was permitted before.
        """
        names = [s.name for s in self.stages if s.status != "done" or not only_to_do]
        models = [name for name in names if self.recipe.stages[name].output == "model"]
        # What is made already is asked about no more: the last thing that is not stands for all.
        last = self.recipe.result if self.recipe.result in names else [*models, *names][-1]
        is_planned = any(stage.status != "done" for stage in self.stages)
        tables = self.supposed if is_planned else self.tables
        result = Circuit.of(tables[last])
        circuits = [Circuit.of(tables[name]) for name in models]
        if self.recipe.stages[last].output != "model":
            circuits.append(result)
        return decide_circuit(
            registry, circuits, result, self.kind_of, self.recipe.use, as_of, rules=rules,
            is_planned=is_planned, prompted=self._prompted(tables, last),
        )  # fmt: skip

    def _prompted(self, tables: Mapping[str, NodeTable], last: str) -> PromptCoverage:
        """Return whose words teachers are asked by, of all that a stage rests on."""
        behind = {last}
        for stage in reversed(self.stages):  # inputs stand before what takes them
            if stage.name in behind:
                behind |= {use.name for use in stage.spec.uses() if use.is_artifact}
        lacking = [stage for stage in self.stages if stage.name in behind and stage.undeclared]
        return PromptCoverage(
            (0.0, 1.0) if lacking else (1.0, 1.0),
            tuple((str(stage.ref), file) for stage in lacking for file in stage.undeclared),
            nodes=frozenset(node for stage in lacking for node in tables[stage.name].numbered),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the plan for a program."""
        return {
            "recipe": self.recipe.recipe.name,
            "result": str(self.result),
            "stages": [
                {
                    "name": stage.name,
                    "artifact": str(stage.ref),
                    "kind": stage.spec.kind,
                    "status": stage.status,
                    "anew": stage.anew,
                    "undeclared_files": list(stage.undeclared),
                    "contradicted": stage.told.says if stage.told else None,
                    "rows": stage.rows,
                    "columns": None if stage.seen is None else list(stage.seen.columns),
                    "is_counted": stage.seen is None or stage.seen.is_exact,
                    "seconds": stage.seconds,
                    "calls": stage.calls,
                    "price_usd": stage.price,
                    "projected": stage.projected.as_json() if stage.projected else None,
                    "adds": [
                        {"source": s.model_dump(mode="json"), "channel": c, "role": r}
                        for s, c, r in stage.adds
                    ],
                }
                for stage in self.stages
            ],
            "verdicts": {
                asked: [v.as_json() for pair in self.verdicts() for v in pair if v.asked == asked]
                for asked in ("closed", "any")
            },
        }


def with_teacher(recipe: Recipe, teacher: TeacherSpec) -> Recipe:
    """Return the recipe with every teacher replaced by this one."""
    teachers = dict.fromkeys(recipe.teachers, teacher)
    return recipe.model_copy(update={"teachers": teachers})


def build(
    recipe: Recipe, store: Store | None = None, *, supposed: bool = False, cache: Path | None = None
) -> Plan:
    """Plan a recipe against a store, or against none.

    Args:
        recipe: the recipe.
        store: where what is done already is looked up.
        supposed: the recipe will not be run as it is; what differs from the store is "to do".
        cache: where hashes of a store's texts are kept; the user's own if None.

    Raises:
        DriftError: if the store has an artifact of the same name@version with another fingerprint;
            the message lists what changed.
    """
    rows: dict[str, int] = {}
    sizes: dict[str, Mapping[str, float]] = {}
    data: dict[str, Dataset] = {}
    digests: dict[str, str] = {}
    tables: dict[str, NodeTable] = {}
    unmade: dict[str, NodeTable] = {}
    stages: list[PlannedStage] = []
    for name, spec in recipe.stages.items():
        unmade[name] = tables[name] = _preview(recipe, name, unmade)
        inputs = [use.name for use in spec.uses() if use.is_artifact]
        if any(tables[item] is not unmade[item] for item in inputs):
            tables[name] = _preview(recipe, name, tables)
        planned = _expect(recipe, Job.of(recipe, name).given(digests), rows)
        job = planned.job
        if job.is_given:
            manifest = store.get(planned.ref) if store is not None else None
            if store is not None and manifest is not None:
                planned = replace(planned, anew=store.made_wrong(manifest))
            if planned.anew and manifest is not None:
                check_same(manifest, job)
            if (
                store is not None
                and manifest is not None
                and not planned.anew
                and not (supposed and manifest.fingerprint != job.fingerprint)
            ):
                check_drift(manifest, job)
                digests[name] = manifest.digest
                tables[name] = table_of(store, manifest)
                planned = replace(
                    planned, status="done", rows=manifest.rows, seconds=0.0, projected=Projection()
                )
                if spec.output == "dataset":
                    data[name] = store.dataset(planned.ref)
        elif store is not None and store.get(planned.ref) is not None:
            planned = replace(planned, anew="was made from what is made anew")
        if planned.status == "to do":
            planned = _looked_at(planned, recipe.folder)
            _check_columns(planned, recipe.folder, data, stages)
            sizes[name] = _sizes(planned, sizes)
            planned = _with_cost(planned, recipe, rows, data, sizes)
        if planned.rows is not None:
            rows[name] = planned.rows
        planned = replace(planned, undeclared=_undeclared(recipe, name))
        if not spec.uses() or any(use.is_teacher for use in spec.uses()):
            planned = _contradicted(planned, recipe, unmade[name], store, cache)
        if planned.told is not None:
            unmade[name] = beside(unmade[name], [planned.told])
            tables[name] = beside(tables[name], [planned.told])
        stages.append(planned)
    return Plan(recipe, tuple(stages), tables, unmade)


def _undeclared(recipe: Recipe, name: str) -> tuple[str, ...]:
    """Return the files that a stage asks its teachers by whose origin the recipe does not tell."""
    spec = recipe.stages[name]
    if not any(use.is_teacher for use in spec.uses()):
        return ()
    files = dict.fromkeys(spec.files_beside(recipe.folder), "")
    told = recipe.origins_of(name)
    return tuple(undeclared_files({"files": files, "teachers": True, ORIGINS: told}))


def _contradicted(
    planned: PlannedStage,
    recipe: Recipe,
    table: NodeTable,
    store: Store | None,
    cache: Path | None,
) -> PlannedStage:
    """Return a stage with what speaks against the origin of what it reads, or asks teachers by."""
    if planned.status == "done" and store is not None:
        return replace(planned, told=told_of(store, str(planned.ref)))
    cache = cache or chosen_cache()
    if planned.spec.uses():
        told = None
        if store is not None:
            told = words_contradicted(recipe, planned.name, store, cache, MOST_HELD)
    else:
        told = glanced(planned.spec, recipe.folder, table, store, cache)
    return replace(planned, told=told)


def check_drift(manifest: Manifest, job: Job) -> None:
    """Refuse an artifact whose fingerprint is not the one asked for.

    Args:
        manifest: what is there.
        job: what is asked for, its inputs known.

    Raises:
        DriftError: listing the changed keys and the cure.
    """
    if manifest.fingerprint == job.fingerprint:
        return
    changes = changed_keys(manifest.stage, job.literals)
    names = {ArtifactRef.parse(i.name).name: i.digest for i in manifest.inputs if "@" in i.name}
    now = {item: value for item, value in job.digests.items() if item in names}
    changes += [f"input {line}" for line in changed_keys(names, now)]
    lines = "\n  ".join(changes)
    msg = (
        f"{manifest.ref} is already made, from something else:\n  {lines}\n"
        f"An artifact never changes; set version in [stages.{job.name}] (or in [recipe]) to "
        "another value to make a new one"
    )
    raise DriftError(msg)


def check_same(manifest: Manifest, job: Job) -> None:
    """Refuse to make anew, under its name and version, what the recipe now asks for otherwise.

    Raises:
        DriftError: as :func:`check_drift` does, if literals and not only inputs have changed.
    """
    if changed_keys(manifest.stage, job.literals):
        check_drift(manifest, job)


def _expect(recipe: Recipe, job: Job, rows: dict[str, int]) -> PlannedStage:
    spec = job.spec
    known = _known(spec, rows)
    expected = spec.expected_rows(known) if known is not None else None
    return PlannedStage(
        job=job,
        status="to do",
        rows=expected if spec.output == "dataset" else None,
        seconds=spec.expected_seconds(expected),
        projected=Projection(),
        adds=(
            *((source, "content", "corpus") for source in spec.sources(recipe.folder)),
            *(
                (recipe.teachers[use.name].source, use.via, "teacher")
                for use in spec.uses()
                if use.is_teacher
            ),
            *((one.source, use.via, "verifier") for use, one in _verifiers(recipe, spec)),
        ),
    )


def _verifiers(recipe: Recipe, spec: StageSpec) -> list[tuple[Uses, VerifierSpec]]:
    """Return the verifiers that a stage asks, each with how."""
    return [(use, recipe.verifiers[use.name]) for use in spec.uses() if use.is_verifier]


def _looked_at(planned: PlannedStage, folder: Path) -> PlannedStage:
    """Return a first stage with what its files tell, where they are at hand.

    Raises:
        InputError: as the run would, naming the stage.
    """
    try:
        seen = planned.spec.glance(folder)
    except InputError as error:
        msg = f"stages.{planned.name}: {error}"
        raise InputError(msg) from error
    if seen is None:
        return planned
    return replace(
        planned, seen=seen, rows=seen.rows, seconds=planned.spec.expected_seconds(seen.rows)
    )


def _check_columns(
    planned: PlannedStage, folder: Path, data: Mapping[str, Dataset], stages: list[PlannedStage]
) -> None:
    """Let a stage look at the columns of its inputs, where they are known.

    Raises:
        RecipeError: naming the stage, if it asks for one that is not there.
    """
    names = [use.name for use in planned.spec.uses() if use.role == "rows"]
    known = {name: user_columns(data[name].columns) for name in names if name in data}
    for stage in stages:
        # A column that comes late in a file that is not read whole is not seen; a run sees it.
        if stage.name in names and stage.seen is not None and stage.seen.is_exact:
            known[stage.name] = _may_have(stage.seen.columns)
    try:
        planned.spec.check_inputs(folder, known)
    except RecipeError as error:
        msg = f"stages.{planned.name}: {error}"
        raise RecipeError(msg) from error


_GIVEN = ("text", "prompt", "messages_json", "gold", "part")


def _may_have(columns: Sequence[str]) -> list[str]:
    """Return the columns that a first stage may make of those of its files."""
    renamed = [name for name in columns if name in _GIVEN or name.startswith("_")]
    return list(dict.fromkeys([*columns, *_GIVEN, *(f"original_{name}" for name in renamed)]))


def _sizes(planned: PlannedStage, sizes: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    """Return the mean bytes of the texts that a stage will make, by column, as far as known."""
    if planned.seen is not None:
        return planned.seen.sizes
    inputs = [use.name for use in planned.spec.uses() if use.role == "rows"]
    return sizes.get(inputs[0], {}) if inputs and planned.spec.keeps_texts else {}


def _known(spec: StageSpec, rows: dict[str, int]) -> dict[str, int] | None:
    """Return the rows of a stage's inputs; None if one that it goes through is not known."""
    uses = spec.uses()
    known = {use.name: rows[use.name] for use in uses if use.name in rows}
    complete = all(use.name in known for use in uses if use.role in {"rows", "trained-on"})
    return known if complete else None


def _with_cost(
    planned: PlannedStage,
    recipe: Recipe,
    rows: dict[str, int],
    data: dict[str, Dataset],
    sizes: Mapping[str, Mapping[str, float]],
) -> PlannedStage:
    """Return a stage with what its teachers are asked, and how long they take for the least."""
    spec = planned.spec
    names = dict.fromkeys(use.name for use in spec.uses() if use.is_teacher)
    if not names:
        return planned
    known = _known(spec, rows)
    projected = None
    if known is not None:
        projected = project(recipe, planned.name, known, data, sizes=sizes)
    seconds: float | None = 0.0
    for name in names:
        teacher = recipe.teachers[name]
        pace = (spec.asks_to_write and teacher.writing_pace) or teacher.pace
        if pace is None or projected is None or seconds is None:
            seconds = None
        else:
            seconds += projected.once.get(name, 0) / pace
    return replace(planned, projected=projected, seconds=seconds)


def _preview(recipe: Recipe, name: str, tables: dict[str, NodeTable]) -> NodeTable:
    """Compose the nodes that a stage would make, with a weight of one for each."""
    spec = recipe.stages[name]
    ref = str(recipe.ref(name))
    if spec.output == "model":
        learned = [
            (use.via, tables[use.name], np.ones(len(tables[use.name].numbered), np.int64))
            for use in spec.uses()
            if use.role == "trained-on"
        ]
        bases = [(use.via, tables[use.name]) for use in spec.uses() if use.role == "base"]
        return close_model(ref, "planned", learned, bases)
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


def _acts(recipe: Recipe, use: Uses, tables: dict[str, NodeTable]) -> Source | NodeTable:
    """Return what acts on rows: a source, or all that an artifact rests on."""
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
    uses = spec.uses()
    actors: list[Actor] = [
        (use.via, _acts(recipe, use, tables)) for use in uses if use.role in {"actor", "beside"}
    ]
    actors += file_actors({ORIGINS: recipe.origins_of(name)})
    rows = [(use.via, tables[use.name]) for use in uses if use.role == "rows"]
    composer = Composer(rows, actors)
    for source in spec.sources(recipe.folder):
        composer.table.number(composer.table.add_source(source))
    return composer
