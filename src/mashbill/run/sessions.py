"""What the stages of a run ask: teachers, verifiers, trained models, data; each loaded once.

A :class:`~mashbill.core.job.Job` says what is to be done and is a value; this is the behaviour
beside it. Where slices are done by worker processes, they ask for what only the run has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mashbill.core.base_model import BaseWeights, Outside
from mashbill.core.curves import LINES, Curves
from mashbill.core.stage import StageContext
from mashbill.models.base_weights import weights_of, whole_weights
from mashbill.run.committing import asked_of
from mashbill.run.handed import StageWork, cannot_be_handed
from mashbill.run.loading import Loaded, declared_by
from mashbill.run.needing import called_by
from mashbill.run.pool import Pool
from mashbill.run.services import remote_teachers
from mashbill.run.slices import Here, Threads
from mashbill.run.stage_work import make_slice
from mashbill.run.tracking import Tracking, Watching
from mashbill.teachers.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from mashbill.calls.journal import Journal
    from mashbill.core.artifact import Manifest
    from mashbill.core.dataset import Dataset
    from mashbill.core.job import Job
    from mashbill.core.model import Predictor
    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import StageSpec
    from mashbill.core.store import Store
    from mashbill.core.teacher import TeacherSession, TeacherSpec
    from mashbill.core.verifier import VerifierSession
    from mashbill.run.execution import Execution
    from mashbill.run.services import Asking
    from mashbill.run.slices import Doing
    from mashbill.run.stage_work import Nodes

_AHEAD = 8  # slices asked for at once: a request that hangs for a minute holds up only what follows
_EACH = 16  # slices that a worker asks for at once
_AHEAD_OF_BATCHES = 32  # slices: what a batch endpoint is given at once


@dataclass
class Told:
    """Who is told of answers, of one stage."""

    here: Callable[[int, int], None]
    """(calls, tokens) of a teacher in this process"""
    service: Callable[[int, int, float], None]
    """(calls, tokens, US dollars) of a service"""


@dataclass
class Sessions:
    """See the module."""

    recipe: Recipe
    store: Store
    execution: Execution
    journal: Journal
    asking: Asking
    manifests: Mapping[str, Manifest]
    """stage -> what it made, of those that are made"""
    _pool: Pool | None = None
    _asked_on: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Load nothing yet."""
        how = self.execution
        self._loaded = Loaded(self.recipe.folder, how.cache, how.threads)
        self._tracking = Tracking(how.track, how.display.tell)

    def close(self) -> None:
        """End worker processes and trackers, if there are any."""
        self._tracking.close()
        if self._pool is not None:
            self._pool.close()

    def asked_on(self, names: Collection[str]) -> None:
        """Say what stages ask from now on; what else is loaded is let go of."""
        self._asked_on = frozenset(names)
        self._loaded.forget_others(names)

    def context(self, name: str, spec: StageSpec, work: Path, told: Told) -> StageContext:
        """Return where and how a stage runs here.

        Args:
            name: of the stage.
            spec: its keys.
            work: its scratch.
            told: who is told of answers.
        """
        recipe, execution = self.recipe, self.execution
        asked: dict[str, TeacherSession] = {}
        check = declared_by(name, spec.uses())

        def teacher(key: str) -> TeacherSession:
            check(key, "teacher")
            if key not in asked:
                asked[key] = self._session(key, told)
            return asked[key]

        def verifier(key: str) -> VerifierSession:
            check(key, "verifier")
            return self._loaded.verifier(key, recipe.verifiers[key]).asking(teacher)

        def dataset(key: str) -> Dataset:
            check(key, "artifact")
            return self.store.dataset(self.manifests[key].ref)

        def predictor(key: str) -> Predictor:
            check(key, "artifact")
            made = self.manifests[key]
            return self._loaded.model(key, made, self.store.folder("model", made.ref))

        def base(key: str) -> BaseWeights:
            check(key, "artifact")
            return self._base(key)

        def teacher_weights(key: str) -> BaseWeights:
            check(key, "teacher")
            return self._asked(key).weights_here(recipe.folder, execution.cache)

        return StageContext(
            name=name,
            seed=recipe.seed_of(name),
            recipe_folder=recipe.folder,
            cache=execution.cache,
            work=work,
            threads=execution.threads,
            input=dataset,
            teacher=teacher,
            predictor=predictor,
            progress=lambda done, total, note: execution.display.advance(name, done, total, note),
            verifier=verifier,
            processes=execution.processes,
            curves=Curves(work / LINES, self._watching(name, spec, work)),
            base=base,
            teacher_weights=teacher_weights,
        )

    def _watching(self, name: str, spec: StageSpec, work: Path) -> Watching:
        """Return who watches what a trainer logs; ``work`` names a run and those that resume it."""
        about = {
            "run": work.name,
            "recipe": self.recipe.recipe.name,
            "artifact": str(self.recipe.ref(name)),
            "literals": spec.model_dump(mode="json", exclude_none=True),
        }
        return Watching(name, self.execution.display, self._tracking, about)

    def _base(self, key: str) -> BaseWeights:
        """Return the weights of a ``[models.NAME]``, or of what a stage made."""
        model = self.recipe.models.get(key)
        if isinstance(model, Outside):
            return weights_of(key, model, self.recipe.folder, self.execution.cache)
        made = self.manifests[model.made_as if model is not None else key]
        folder = self.store.folder("model", made.ref).resolve()
        whole = whole_weights(folder, made.digest, self.execution.cache)
        return BaseWeights(whole, made.digest, str(made.ref), made)

    def doing(
        self, job: Job, context: StageContext, told: Told, nodes: Nodes, folder: Path
    ) -> Doing:
        """Return who does the slices of a stage: this thread, threads, or worker processes.

        Args:
            job: the stage.
            context: in which it runs here.
            told: who is told of answers.
            nodes: which node each row gets.
            folder: of the artifact.
        """
        at_once = self._at_once(job)
        if self.execution.workers > 1 and self._has_many(job):
            each = min(-(-at_once // self.execution.workers), _EACH)
            work = self._work(job, context, nodes, folder, each)
            if work is not None:
                return self._workers().doing(
                    work,
                    teacher=context.teacher,
                    kept=self.journal.here,
                    on_answer=told.here,
                )
        make = partial(make_slice, job.spec, context=context, nodes=nodes, folder=folder)
        if at_once == 1:
            return Here(make)
        for use in job.uses:
            if use.teacher:
                context.teacher(use.teacher)  # one session each, made before threads could make two
        return Threads(make, at_once)

    def goes_ahead(self, job: Job) -> bool:
        """Return whether slices of a stage that wants so many rows may be done uncounted.

        Not where a teacher in this process is asked: its answers may depend on what is asked at
        once, and that depends on how many rows are still lacking.
        """
        remote = set(remote_teachers(self.recipe, {job.name}))
        return all(use.teacher in remote for use in job.uses if use.teacher)

    def _has_many(self, job: Job) -> bool:
        """Return whether a stage has more than one slice."""
        rows = [self.manifests[use.name].rows for use in job.uses if use.role == "rows"]
        return sum(-(-count // job.spec.shard_rows) for count in rows) > 1

    def _work(
        self, job: Job, context: StageContext, nodes: Nodes, folder: Path, each: int
    ) -> StageWork | None:
        """Return a stage's work as it is handed to workers; None if it cannot be handed."""
        services = set(remote_teachers(self.recipe, {job.name}))
        asked = {use.teacher: self._asked(use.teacher) for use in job.uses if use.teacher}
        teachers = {name: spec for name, spec in asked.items() if name not in services}
        why = cannot_be_handed(job, teachers)
        if why:
            self.execution.display.tell(
                f"{job.name}: is done in this process alone: it cannot be handed to a worker: {why}"
            )
            return None
        made = {name: self.manifests[name] for name in job.inputs}
        return StageWork(
            number=self._workers().next_number(),
            job=job,
            folder=folder.resolve(),
            inputs={
                name: (self.store.folder(manifest.kind, manifest.ref).resolve(), manifest)
                for name, manifest in made.items()
            },
            nodes=nodes,
            cache=self.execution.cache,
            scratch=context.work,
            threads=self.execution.threads,
            each=each,
            teachers=teachers,
            services={name: asked[name].source for name in services},
            blamed=tuple(called_by(self.recipe, job.name)),
            asked_on=self._asked_on,
        )

    def _workers(self) -> Pool:
        if self._pool is None:
            self._pool = Pool(self.execution.workers, self.asking.keys)
        return self._pool

    def _at_once(self, job: Job) -> int:
        """Return how many slices are asked for at once: one's stragglers hold up no other."""
        names = remote_teachers(self.recipe, {job.name})
        teachers: list[Any] = [self.recipe.teachers[name] for name in names]
        if not teachers:
            return 1
        if any(teacher.batch for teacher in teachers):
            return _AHEAD_OF_BATCHES
        most = max(int(teacher.concurrency) for teacher in teachers)
        return max(_AHEAD, 2 + 2 * most // job.spec.shard_rows)

    def _asked(self, name: str) -> TeacherSpec:
        return asked_of(name, self.recipe, self.manifests, self.store)

    def _session(self, name: str, told: Told) -> TeacherSession:
        spec = self._asked(name)
        if spec.is_remote:
            return self.asking.session(name, told.service)
        return Session(
            spec.source,
            lambda: self._loaded.teacher(name, spec),
            spec.identity,
            self.journal.here,
            told.here,
        )
