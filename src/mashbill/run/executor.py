"""The executor: fingerprint, lock, stage, commit, for every stage of a plan in order.

A run can be killed at any moment. What was committed stays; the stage that was cut off resumes at
its first missing shard, and teacher calls that were answered are in the journal.
"""

from __future__ import annotations

import gc
import re
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from mashbill.calls.journal import Journal
from mashbill.core.artifact import Manifest
from mashbill.core.drift import check_drift, check_same
from mashbill.core.errors import InputError, PolicyError, RecipeError, TeacherError
from mashbill.core.marks import CONTRADICTED
from mashbill.core.reasons import Reasons, rejections
from mashbill.core.stage import WARNINGS, StageContext
from mashbill.core.store import CALLS, told_of_the_disk
from mashbill.lineage.circuit.contradicted import told_of
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.run.artifact import make_dataset
from mashbill.run.branches import Branches
from mashbill.run.committing import commit, input_of
from mashbill.run.deciding_again import DecidingAgain
from mashbill.run.execution import Done, Execution
from mashbill.run.measuring import settle_measures
from mashbill.run.needing import check_extras, last_asked, plugins_of, telling_stage
from mashbill.run.opening import Opening
from mashbill.run.permission import Permit
from mashbill.run.scratch import clear_others, forget_scratch, scratch_of, take_over
from mashbill.run.services import Asking, remote_teachers
from mashbill.run.sessions import Sessions, Told
from mashbill.run.taken_model import claimed
from mashbill.run.taking_in import check_bases, take_given
from mashbill.run.task import Task
from mashbill.run.trained import make_model
from mashbill.stages.marks.answers import Answers
from mashbill.stages.marks.index import held
from mashbill.stages.marks.looking import Looking
from mashbill.stages.marks.prompt_words import words_contradicted
from mashbill.teachers.projection import project
from mashbill.train.trained import TrainedSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.store import Store
    from mashbill.plan import PlannedStage


__all__ = ["Done", "Execution", "execute"]

_NAMES = 5  # names of generators of which it is told how they were resolved


def _name_stage(error: Exception, name: str) -> None:
    """Let an error about a file or a recipe say in which stage it came up, if it does not."""
    if isinstance(error, InputError | RecipeError) and not _names_stage(error, name):
        error.args = (f"stages.{name}: {error}", *error.args[1:])


def _names_stage(error: Exception, name: str) -> bool:
    return re.search(rf"stages\.{re.escape(name)}(?![\w-])", str(error)) is not None


def execute(permit: Permit, store: Store, execution: Execution | None = None) -> list[Done]:
    """Run a plan that is permitted; what is done already is left as it is.

    Args:
        permit: what deciding the plan gave: see :func:`mashbill.run.permission.permit_plan`.
        store: where it was decided.
        execution: where and how to run it.

    Returns:
        what became of each stage, in order.

    Raises:
        PolicyError: if the store's ledger does not permit the plan, or no longer.
        MissingExtraError: before anything runs, naming all that is needed and not installed.
        TeacherError: before anything runs, if a teacher that is needed cannot be asked; or at the
            end, as the first InputError or TeacherError of a stage: what does not need that stage
            was made by then, and the message says what was not.
        DriftError: if an artifact is there under the same address with another fingerprint.
        StoreError: if another run holds an artifact of this plan, or the disk is full.
    """
    given: object = permit  # whoever has no type checker may give anything
    if not isinstance(given, Permit):
        msg = f"a run takes a permit, and this is {type(given).__name__!r}; decide the plan first"
        raise PolicyError(msg, "deny")
    permit.check(store)
    with _collecting_less(), told_of_the_disk(store.root):
        return _Runner(permit, store, execution or Execution()).run()


@contextmanager
def _collecting_less() -> Iterator[None]:
    """Let the garbage collector look less often, and not at what was there before the run.

    Its passes over all that the imported libraries hold took a third of the processor's time of a
    run that asks a fast service.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _run_lock(run: str) -> str:
    return f"run-{run}"


class _Runner:
    def __init__(self, permit: Permit, store: Store, execution: Execution) -> None:
        self._plan = permit.plan if execution.only is None else permit.plan.part(execution.only)
        self._recipe = permit.plan.recipe
        self._store = store
        self._execution = execution
        self._branches = Branches()
        self._deciding = DecidingAgain(permit, store)
        self._tables: dict[str, NodeTable] = {}
        self._manifests: dict[str, Manifest] = {}
        self._journal = Journal(store.root / CALLS, writable=True)
        self._asking = Asking(
            self._recipe,
            self._journal,
            execution.caps,
            registry=permit.registry,
            earlier_terms=execution.earlier_terms,
            overrides=[dict(item) for item in permit.overrides],
            tell=execution.display.tell,
        )
        self._sessions = Sessions(
            self._recipe, store, execution, self._journal, self._asking, self._manifests
        )

    def run(self) -> list[Done]:
        """Run every stage in order."""
        check_extras(self._plan)
        self._check_teachers()
        try:
            with self._store.reading(), self._store.lock(_run_lock(self._asking.run)):
                return self._run_stages()
        finally:
            self._store.forget_lock(_run_lock(self._asking.run))
            self._sessions.close()
            self._journal.close()

    def _run_stages(self) -> list[Done]:
        done = []
        try:
            with self._execution.display as display:
                display.spend.begin(self._execution.caps, self._asking.spent_before)
                self._take_given()
                last = last_asked(self._plan.stages)
                for number, stage in enumerate(self._plan.stages, 1):
                    if self._cut(stage):
                        continue
                    self._sessions.asked_on({n for n, at in last.items() if at >= number})
                    try:
                        with self._store.lock(str(stage.ref)):
                            done.append(self._stage(stage))
                    except (InputError, RecipeError, TeacherError) as error:
                        _name_stage(error, stage.name)
                        self._branches.cut(stage, error)
                        if self._goes_on(number):  # or it is told at once, as the run's own error
                            where = "" if _names_stage(error, stage.name) else f"{stage.name}: "
                            display.tell(f"error: {where}{error}")
        finally:
            self._asking.close()
            self._tell_conduct()
        self._branches.tell(len(done))
        return done

    def _take_given(self) -> None:
        """Have at hand what stages take by its address, and see that bases are as pinned."""
        for name, manifest in take_given(self._plan, self._store, self._execution).items():
            self._manifests[name] = manifest
            self._tables[name] = NodeTable.of(self._store, manifest)
        check_bases(self._plan, self._execution.cache)

    def _goes_on(self, number: int) -> bool:
        """Return whether a stage from this number on can still be made."""
        left = [s for s in self._plan.stages[number:] if not self._cut(s)]
        return any(stage.status != "done" for stage in left)

    def _cut(self, stage: PlannedStage) -> bool:
        return self._branches.is_cut(stage, self._silent())

    def _silent(self) -> list[str]:
        """Return the teachers that this run asks no more, since it was to stop asking services."""
        if not self._asking.is_interrupted:
            return []
        return remote_teachers(self._recipe, set(self._recipe.stages))

    def _tell_conduct(self) -> None:
        """Put how access was had into the ledger."""
        entries = self._store.ledger.accepted
        told = {e.predicate["run"] for e in entries if e.event == "conduct"}
        told |= {
            run.run
            for run in self._journal.runs()
            if run.run != self._asking.run and self._store.is_locked(_run_lock(run.run))
        }  # what another process does at this moment is not all there yet
        for facts in self._asking.conduct(told):
            self._store.ledger.append("conduct", **facts)

    def _check_teachers(self) -> None:
        """Refuse a plan whose teacher cannot be asked, before its first stage."""
        for stage in self._plan.stages:
            for use in stage.spec.uses():
                if use.is_teacher and stage.status != "done":
                    teacher = self._recipe.teachers[use.name]
                    if teacher.is_remote:
                        self._asking.session(use.name, lambda *_: None)
                    elif not teacher.can_be_asked:
                        teacher.load(
                            self._recipe.folder, self._execution.cache, self._execution.threads
                        )
                        msg = f"teacher {use.name!r} cannot be asked"
                        raise TeacherError(msg)
                    if stage.spec.asks_to_write and not teacher.can_write:
                        msg = (
                            f"stages.{stage.name} asks teacher {use.name!r} to write, and kind "
                            f"{teacher.kind!r} only chooses among given texts; use one that writes "
                            "(kind = 'fake' does)"
                        )
                        raise TeacherError(msg)

    def _stage(self, stage: PlannedStage) -> Done:
        name, display = stage.name, self._execution.display
        job = stage.job.given({key: item.digest for key, item in self._manifests.items()})
        asked = job.fingerprint
        manifest = self._store.get(stage.ref)
        wrong = self._store.made_wrong(manifest) if manifest is not None else ""
        if manifest is not None and wrong:
            check_same(manifest, job)
            display.tell(f"{stage.ref} {wrong}; it is made anew")
            self._store.give_up(manifest, wrong)
            manifest = None
        again = manifest if stage.again and self._store.removal(stage.ref) is not None else None
        if manifest is not None:
            check_drift(manifest, job)
        if again is not None:
            display.tell(
                f"{stage.ref} was {stage.removed}, and {stage.again} needs it: it is made again, "
                "and has to come out as it was"
            )
        elif manifest is not None:
            display.cached(name, manifest.rows)
            forget_scratch(self._store, stage, asked, self._manifests)  # of a run killed at its end
            self._warn(name, manifest)
            why = tuple(self._rejections(manifest).commonest(None))
            done = Done(name, manifest, was_cached=True, rejected=why)
            return self._keep(stage, manifest, done)
        for line in self._deciding.before(stage, self._tables):
            display.tell(f"{name}: in need of review, now that rows are read: {line}")
        job.check_files()
        began = time.monotonic()
        bought: dict[str, Any] = {"calls": 0, "tokens": 0, "usd": 0.0}

        def on_answer(calls: int, tokens: int, usd: float = 0.0) -> None:
            bought["calls"] += calls
            bought["tokens"] += tokens
            bought["usd"] += usd
            display.on_answer(name, calls, tokens, usd)

        def paid(calls: int, tokens: int, usd: float) -> None:
            display.paid(name, calls, tokens, usd)
            on_answer(calls, tokens, usd)

        self._project(stage)
        display.start(name, stage.rows)
        work = scratch_of(self._store, stage.ref, asked)
        clear_others(work, stage.ref)
        # What a run that is cut off leaves behind is known by it, so it comes first.
        self._store.ledger.append(
            "start", artifact=str(stage.ref), fingerprint=asked, run=self._asking.run
        )
        take_over(self._store, stage.spec, self._manifests, work)
        told = Told(on_answer, paid)
        context = self._sessions.context(name, stage.spec, work, told)
        looking = self._looking(stage, context)
        task = Task(
            store=self._store,
            recipe=self._recipe,
            name=name,
            ref=stage.ref,
            spec=stage.spec,
            fingerprint=asked,
            tables=self._tables,
            made=self._manifests,
            journal=self._journal,
            context=context,
            goes_ahead=self._sessions.goes_ahead(job),
            doing=partial(self._sessions.doing, job, context, told),
            interrupt=self._asking.interrupt,
            opening=self._opening(stage, context),
            again=again,
        )
        with telling_stage(self._recipe, name):
            made = make_model(task) if stage.spec.output == "model" else make_dataset(task)
            settle_measures(context, name)
            context.measures |= context.overall
        manifest = Manifest(
            name=stage.ref.name,
            version=stage.ref.version,
            stage=dict(job.literals),
            fingerprint=asked,
            inputs=tuple(
                input_of(use, self._recipe, self._manifests, self._store) for use in job.uses
            ),
            measures=task.context.measures,
            tolerance=stage.spec.tolerance,
            **made,
        )
        if again is not None:
            if manifest.digest != again.digest:
                raise task.differs("what it measured comes out")
            manifest = again  # to the byte, though a later release would write it otherwise
        seconds = time.monotonic() - began
        bought["usd"] = round(bought["usd"], 9)
        facts = {"seconds": round(seconds, 3), **self._run_id(), **bought}
        if called := plugins_of(self._recipe, name):
            facts["plugins"] = called
        facts |= self._contradicted(stage, manifest, looking)
        if training := context.curves.pace.as_json():
            facts["training"] = training
        commit(self._store, stage.spec.kind, manifest, facts)
        forget_scratch(self._store, stage, asked, self._manifests)
        reasons = self._rejections(manifest)
        display.finish(name, manifest.rows, manifest.rejected_rows, reasons.told())
        self._warn(name, manifest)
        return self._keep(
            stage,
            manifest,
            Done(
                name,
                manifest,
                seconds=seconds,
                calls=bought["calls"],
                tokens=bought["tokens"],
                usd=bought["usd"],
                training=training,
                rejected=tuple(reasons.commonest(None)),
            ),
        )

    def _looking(self, stage: PlannedStage, context: StageContext) -> Looking | None:
        """Let what a first stage reads be looked at, for what speaks against its origin."""
        if stage.spec.uses() or stage.spec.output != "dataset":
            return None
        texts, _ = held(self._store, self._execution.cache)
        looking = Looking(stage.spec, texts, Answers.of(self._store))
        context.look = looking
        return looking

    def _contradicted(
        self, stage: PlannedStage, manifest: Manifest, looking: Looking | None
    ) -> dict[str, Any]:
        """Return what speaks against the origin of an artifact, for the entry of its commit."""
        if isinstance(stage.spec, TrainedSpec):
            told = claimed(self._store, self._recipe, stage.name, manifest)
            return {} if told is None else {CONTRADICTED: told.as_json()}
        if looking is None:
            cache = self._execution.cache
            words = words_contradicted(self._recipe, stage.name, self._store, cache)
            return {} if words is None else {CONTRADICTED: words.as_json()}
        table = NodeTable.of(self._store, manifest)
        leaves = [name for name, body in table.bodies.items() if body["type"] == "source"]
        told = looking.contradiction(table, sorted(leaves))
        return {} if told is None else {CONTRADICTED: told.as_json()}

    def _warn(self, name: str, manifest: Manifest) -> None:
        """Tell what a stage warned of, now or when it was made, and what speaks against it."""
        told = told_of(self._store, str(manifest.ref))
        if told is not None:
            self._execution.display.tell(f"{name}: contradicted: {told.says}")
        for text in manifest.measures.get(WARNINGS, []):
            self._execution.display.tell(f"{name}: warning: {text}")
        names = manifest.measures.get("names", {})
        for text in list(names.values())[:_NAMES]:
            self._execution.display.tell(f"{name}: {text}")
        if len(names) > _NAMES:
            more = f"{len(names) - _NAMES:,} names more, told in the manifest under measures"
            self._execution.display.tell(f"{name}: {more}")

    def _rejections(self, manifest: Manifest) -> Reasons:
        return rejections(self._store.folder(manifest.kind, manifest.ref), manifest.rejected)

    def _project(self, stage: PlannedStage) -> None:
        """Say what a stage will ask of services, before it does; keep it for the run's facts."""
        names = [use.name for use in stage.spec.uses() if use.role == "rows"]
        rows = {name: self._manifests[name].rows for name in names}
        data = {name: self._store.dataset(self._manifests[name].ref) for name in names}
        projection = project(self._recipe, stage.name, rows, data, services_only=True)
        if projection is not None:
            self._asking.projected(stage.name, projection)
            self._execution.display.project(stage.name, projection)

    def _run_id(self) -> dict[str, str]:
        """Return the run's id for the ledger, if it asked a service."""
        client = self._asking.client if self._asking.has_client else None
        return {"run": self._asking.run} if client is not None and client.has_asked else {}

    def _opening(self, stage: PlannedStage, context: StageContext) -> Opening | None:
        """Return what looks at a stage's first answers; None where no teacher is asked."""
        names = dict.fromkeys(use.name for use in stage.spec.uses() if use.is_teacher)
        if not names or self._execution.go_on_rejected:
            return None
        return Opening(
            stage.spec,
            {name: self._recipe.teachers[name] for name in names},
            context,
            self._journal,
            self._execution.display,
            self._asking.interrupt,
        )

    def _keep(self, stage: PlannedStage, manifest: Manifest, done: Done) -> Done:
        self._manifests[stage.name] = manifest
        self._tables[stage.name] = NodeTable.of(self._store, manifest)
        return done
