"""Recipe to plan: order, what is done, what the rest will cost and put on the bill.

A plan is a value: nothing is fetched, loaded or asked to make one. Files beside the recipe are
looked at, so that their rows are counted and a wrong name is told before anything runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from mashbill.core.artifact import ArtifactRef, Manifest
from mashbill.core.base_model import Outside
from mashbill.core.cache import chosen_cache, default_cache
from mashbill.core.canonical import digest
from mashbill.core.controls import check_declared
from mashbill.core.drift import Drifted, check_drift, check_same
from mashbill.core.errors import DriftError, InputError, RecipeError
from mashbill.core.inputs import Inputs
from mashbill.core.job import Job
from mashbill.core.removals import needed_again
from mashbill.core.source import Source
from mashbill.core.stage import Glance, StageSpec
from mashbill.lineage.bills.definitions import Verdict, judge_all
from mashbill.lineage.bills.prompted import PromptCoverage
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.contradicted import beside, table_of, told_of
from mashbill.lineage.circuit.declared import preview
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.duties.decisions import Decided, decide_circuit
from mashbill.lineage.evidence.taken_in import AtHand, all_given, unknown_given
from mashbill.models.base_weights import check_at_hand
from mashbill.models.known_chat import has_chat
from mashbill.stages.marks.glancing import MOST_HELD, glanced
from mashbill.stages.marks.prompt_words import words_contradicted
from mashbill.teachers.projection import Projection, project

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date
    from pathlib import Path

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
    removed: str = ""
    """when, by whom and why its rows or weights were removed; empty if they were not"""
    again: str = ""
    """the stage that needs what was removed, so that it is made again as it was; empty if none"""
    seen: Glance | None = None
    """what a look at its files told, for a first stage whose files are at hand"""
    doubts: tuple[str, ...] = ()
    """what its run would warn of, as far as the columns of its inputs tell"""
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
    given: dict[str, AtHand] = field(default_factory=dict)
    """artifacts that its stages take by their address"""

    @property
    def preview(self) -> NodeTable:
        """Lineage of the result if the plan is run."""
        return self.tables[self.recipe.result]

    @property
    def result(self) -> ArtifactRef:
        """What the bill and the verdicts are about."""
        return self.recipe.ref(self.recipe.result)

    def part(self, names: Collection[str]) -> Plan:
        """Return it with some of its stages, for a run that makes these alone."""
        return replace(self, stages=tuple(s for s in self.stages if s.name in names))

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
                behind |= set(stage.job.inputs)
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
            "arms": self.recipe.arms and self.recipe.arms.as_json(),
            "given": [one.as_json() for one in self.given.values()],
            "stages": [
                {
                    "name": stage.name,
                    "artifact": str(stage.ref),
                    "kind": stage.spec.kind,
                    "status": stage.status,
                    "anew": stage.anew,
                    "removed": stage.removed,
                    "again_for": stage.again,
                    "doubts": list(stage.doubts),
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
    """Return the recipe with every teacher replaced by this one, but for its own students."""
    teachers = {name: spec if spec.made_by else teacher for name, spec in recipe.teachers.items()}
    return recipe.model_copy(update={"teachers": teachers})


def build(
    recipe: Recipe, store: Store | None = None, *, supposed: bool = False, cache: Path | None = None
) -> Plan:
    """Plan a recipe against a store, or against none.

    What was removed and nothing that is to do needs is left as it is; what something needs is made
    again, and that may need more that was removed.

    Args:
        recipe: the recipe.
        store: where what is done already is looked up.
        supposed: the recipe will not be run as it is; what differs from the store is "to do".
        cache: where hashes of a store's texts are kept; the user's own if None.

    Raises:
        DriftError: if the store has an artifact of the same name@version with another fingerprint;
            the message lists what changed, and names all others that rest on it.
    """
    again: dict[str, str] = {}
    while True:
        plan = _build(recipe, store, again, supposed=supposed, cache=cache)
        needed = {} if store is None else _needed_again(plan, store)
        if needed.keys() <= again.keys():
            return plan
        again |= needed


def _needed_again(plan: Plan, store: Store) -> dict[str, str]:
    """Return the stages that were removed and that something which is to do needs: for whom.

    Raises:
        InputError: if that is an artifact that no stage of the recipe makes.
    """
    gone = {stage.name: stage.ref for stage in plan.stages}
    gone |= {name: one.given.ref for name, one in plan.given.items() if not one.is_elsewhere}
    removed = {name: told for name, ref in gone.items() if (told := store.removal(ref)) is not None}
    to_do = [stage.name for stage in plan.stages if stage.status != "done"]
    needed = needed_again([stage.job for stage in plan.stages], to_do, removed.keys())
    for name in needed.keys() & plan.given.keys():
        msg = (
            f"stages.{needed[name]}: {name} was {removed[name]}, and no stage of this recipe makes "
            "it; take another version, or make it again under one by the recipe that made it"
        )
        raise InputError(msg)
    return needed


def _build(
    recipe: Recipe,
    store: Store | None,
    again: Mapping[str, str],
    *,
    supposed: bool,
    cache: Path | None,
) -> Plan:
    """Plan once.

    Args:
        recipe: as above.
        store: as above.
        again: stages whose artifact was removed and is made again: stage -> for whom.
        supposed: as above.
        cache: as above.
    """
    inputs = Inputs()
    digests: dict[str, str] = {}
    tables: dict[str, NodeTable] = {}
    unmade: dict[str, NodeTable] = {}
    stages: list[PlannedStage] = []
    tried: set[str] = set()
    drifted = Drifted(recipe.written)
    given = all_given(recipe, store)
    digests |= {address: found.manifest.digest for address, found in given.items()}
    for address, one in recipe.given.items():
        found = given.get(address)
        tables[address] = unmade[address] = unknown_given(one) if found is None else found.table
    for name, spec in recipe.stages.items():
        unmade[name] = tables[name] = preview(recipe, name, unmade)
        job = Job.of(recipe, name).given(digests)
        if any(tables[item] is not unmade[item] for item in job.inputs):
            tables[name] = preview(recipe, name, tables)
        planned = _expect(recipe, job, inputs)
        if store is not None:
            drifted.ask(job)
            try:
                planned, manifest = _in_store(planned, store, drifted, supposed=supposed)
                gone = store.removal(planned.ref) if manifest is not None else None
                if gone is not None and name in again:
                    planned = replace(_expect(recipe, job, inputs), again=again[name])
                if gone is not None:
                    planned = replace(planned, removed=str(gone))
            except DriftError as error:
                drifted.note(job, error)
                continue
            if manifest is not None:
                digests[name] = manifest.digest
                tables[name] = table_of(store, manifest)
                if spec.output == "dataset" and store.removal(planned.ref) is None:
                    inputs.made[name] = store.dataset(planned.ref)
        if planned.status == "to do":
            check_declared(recipe, name, tried, cache or default_cache())
            planned = _looked_at(planned, recipe.folder)
            _check_columns(planned, recipe.folder, inputs)
            of_base = _check_base(planned, recipe, inputs)
            planned = replace(planned, doubts=(*spec.doubts(inputs.columns_of(spec)), *of_base))
            inputs.see(name, spec, planned.seen)
            planned = _with_cost(planned, recipe, inputs)
        if planned.rows is not None:
            inputs.rows[name] = planned.rows
        planned = replace(planned, undeclared=recipe.undeclared_of(name))
        if not spec.uses() or any(use.is_teacher for use in spec.uses()):
            planned = _contradicted(planned, recipe, unmade[name], store, cache)
        if planned.told is not None:
            unmade[name] = beside(unmade[name], [planned.told])
            tables[name] = beside(tables[name], [planned.told])
        stages.append(planned)
    drifted.tell()
    _check_bases(recipe, stages, cache or default_cache())
    return Plan(recipe, tuple(stages), tables, unmade, given)


def _check_bases(recipe: Recipe, stages: Sequence[PlannedStage], cache: Path) -> None:
    """See that bases beside the recipe are there, of stages that are to do.

    Raises:
        InputError: naming the base.
    """
    for stage in stages:
        reads = stage.status == "to do" and stage.spec.reads_bases(recipe.folder)
        for name, model in recipe.bases(stage.name).items() if reads else ():
            if isinstance(model, Outside):
                check_at_hand(name, model, recipe.folder, cache)


def _in_store(
    planned: PlannedStage, store: Store, drifted: Drifted, *, supposed: bool
) -> tuple[PlannedStage, Manifest | None]:
    """Return a stage as a store has it, and its manifest if that is what is asked for.

    Raises:
        DriftError: if the store has another artifact of the same name@version, unless the recipe
            is only ``supposed``.
    """
    job, manifest = planned.job, store.get(planned.ref)
    if manifest is None:
        return planned, None
    if not job.is_given:
        if not supposed:
            drifted.check_inputs(manifest, job)
        return replace(planned, anew="was made from what is made anew"), None
    planned = replace(planned, anew=store.made_wrong(manifest))
    if planned.anew:
        check_same(manifest, job)
        return planned, None
    if supposed and manifest.fingerprint != job.fingerprint:
        return planned, None
    check_drift(manifest, job)
    done = replace(planned, status="done", rows=manifest.rows, seconds=0.0, projected=Projection())
    return done, manifest


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


def _expect(recipe: Recipe, job: Job, inputs: Inputs) -> PlannedStage:
    spec = job.spec
    known = inputs.rows_of(spec)
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
                for use in job.uses
                if use.is_teacher
            ),
            *((one.source, use.via, "verifier") for use, one in _verifiers(recipe, spec)),
            *(
                (recipe.models[use.name].source, use.via, "base")
                for use in job.uses
                if use.is_source
            ),
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


def _check_columns(planned: PlannedStage, folder: Path, inputs: Inputs) -> None:
    """Let a stage look at the columns of its inputs, where they are known.

    Raises:
        RecipeError: naming the stage, if it asks for one that is not there.
        InputError: naming the stage, if a file beside the recipe cannot be read.
    """
    try:
        planned.spec.check_inputs(folder, inputs.columns_of(planned.spec))
    except (RecipeError, InputError) as error:
        msg = f"stages.{planned.name}: {error}"
        raise type(error)(msg) from error


def _check_base(planned: PlannedStage, recipe: Recipe, inputs: Inputs) -> tuple[str, ...]:
    """Let a stage look at what it starts from; return what a run may end with.

    Raises:
        RecipeError: naming the stage, if no row can be learned on it.
    """
    spec = planned.spec
    base = next((use.name for use in spec.uses() if use.role == "base"), "")
    try:
        return spec.check_base(has_chat(recipe, base), inputs.columns_of(spec))
    except RecipeError as error:
        msg = f"stages.{planned.name}: base = {base!r}: {error}"
        raise RecipeError(msg) from error


def _with_cost(planned: PlannedStage, recipe: Recipe, inputs: Inputs) -> PlannedStage:
    """Return a stage with what its teachers are asked, and how long they take for the least."""
    spec = planned.spec
    names = dict.fromkeys(use.name for use in spec.uses() if use.is_teacher)
    if not names:
        return planned
    known = inputs.rows_of(spec)
    projected = None
    if known is not None:
        projected = project(recipe, planned.name, known, inputs.made, sizes=inputs.sizes)
    seconds: float | None = 0.0
    for name in names:
        pace = _pace(recipe, recipe.teachers[name], spec)
        if pace is None or projected is None or seconds is None:
            seconds = None
        else:
            seconds += projected.once.get(name, 0) / pace
    return replace(planned, projected=projected, seconds=seconds)


def _pace(recipe: Recipe, teacher: TeacherSpec, asking: StageSpec) -> float | None:
    """Return the questions a second that a teacher answers a stage; None if it cannot be said."""
    if teacher.made_by:
        made = recipe.stages.get(teacher.made_by)
        return None if made is None else made.pace
    return (asking.asks_to_write and teacher.writing_pace) or teacher.pace
