"""The verbs of a workspace: plan, run, bill, trace, check, audit, export, publish, whatif."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.calls.journal import Journal
from mashbill.core import checkpoint, parsing
from mashbill.core.cache import default_cache
from mashbill.core.errors import InputError, MashbillError
from mashbill.core.ledger import Signer
from mashbill.core.recipe import load_recipe
from mashbill.core.store import LEDGER, Store
from mashbill.core.use import Use
from mashbill.lineage.bills.definitions import SHIPPED, judge_all
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.trace import Hop, Tracer
from mashbill.lineage.subject import (
    Subject,
    is_public,
    own_subject,
    public_subject,
    through_catalogue,
)
from mashbill.policy.documents import load_registry
from mashbill.policy.house import load_rules
from mashbill.policy.keeping import open_index
from mashbill.policy.statuses import COUNTED
from mashbill.workspace.artifact import Artifact
from mashbill.workspace.billed import Billed
from mashbill.workspace.recipes import PathLike, recipe_path, registry_of, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.client.budget import Caps
    from mashbill.core.artifact import Manifest
    from mashbill.core.teacher import TeacherSpec
    from mashbill.lineage.duties.decisions import Decided
    from mashbill.lineage.evidence.finding import AuditResult
    from mashbill.policy.statuses import Status
    from mashbill.publish.publish import Published, Wish
    from mashbill.run.display import Display
    from mashbill.run.permission import Acceptance
    from mashbill.workspace.planned import Planned, Ran


def open_workspace(store: PathLike = "store", *, cache: PathLike | None = None) -> Workspace:
    """Open a store, there already or not.

    Args:
        store: its folder; made when something is run in it.
        cache: where fetched files are kept; the user's own if None.
    """
    return Workspace(store, cache=cache)


class Workspace:
    """A store, and all that can be asked of it. Reading it needs no ML stack and no key."""

    def __init__(
        self,
        store: PathLike = "store",
        *,
        cache: PathLike | None = None,
        catalogue: Sequence[PathLike] = (),
    ) -> None:
        """See :func:`open_workspace`.

        Args:
            store: folder of the store.
            cache: where fetched files are kept.
            catalogue: files of claims, beside the shipped catalogue.
        """
        self.root = Path(store)
        self.cache = Path(cache) if cache is not None else default_cache()
        self._catalogue = [Path(path) for path in catalogue]

    def __repr__(self) -> str:
        """Where it is."""
        return f"Workspace({str(self.root)!r})"

    def _store(self) -> Store:
        """Return the store to be read.

        Raises:
            StoreError: if nothing was made in it yet.
        """
        return Store(self.root)

    def artifacts(self) -> list[Artifact]:
        """Return everything that is committed, oldest first."""
        store = self._store()
        return [Artifact(store, manifest) for manifest in store.manifests()]

    def __iter__(self) -> Iterator[Artifact]:
        """Go through everything that is committed."""
        return iter(self.artifacts())

    def __getitem__(self, name: str) -> Artifact:
        """Return an artifact by NAME, its newest version, or NAME@VERSION.

        Raises:
            StoreError: if there is none of that name.
        """
        store = self._store()
        return Artifact(store, store.find(name))

    def plan(
        self,
        recipe: PathLike,
        *,
        allow: Sequence[PathLike] = (),
        teacher: TeacherSpec | str | None = None,
        as_of: date | None = None,
        terms: Sequence[PathLike] = (),
        rules: Sequence[PathLike] = (),
    ) -> Planned:
        """Plan a recipe and decide the plan; nothing is asked, bought or written.

        Args:
            recipe: a TOML file, or the name of a shipped recipe.
            allow: folders beside the recipe's own that it may read.
            teacher: plan with this one, or SERVICE:MODEL, in place of every teacher; such a plan
                can be looked at and not be run.
            as_of: the day whose texts count; today if None.
            terms: files of terms, beside those shipped and the recipe's own.
            rules: files of house rules, beside the recipe's own.

        Raises:
            RecipeError: if the recipe cannot be read.
            DriftError: if the store has an artifact of one of its names, made from something else.
        """
        from mashbill.plan import build, with_teacher
        from mashbill.run.foreseen import foresee
        from mashbill.workspace.planned import Planned

        loaded = load_recipe(recipe_path(recipe), [Path(path) for path in allow])
        if isinstance(teacher, str):
            from mashbill.teachers.api import parse_teacher

            teacher = parse_teacher(teacher)
        if teacher is not None:
            loaded = with_teacher(loaded, teacher)
        held = self._store() if (self.root / LEDGER).exists() else None
        plan = build(loaded, held, supposed=teacher is not None)
        names = [stage.name for stage in plan.stages if stage.status != "done"]
        return Planned(
            plan,
            tuple(foresee(loaded, names, self.cache)),
            registry_of(loaded, terms),
            rules_of(loaded, rules),
            as_of or _today(),
            supposed=teacher is not None,
        )

    def run(
        self,
        planned: Planned,
        *,
        accept: Acceptance | None = None,
        answer: Acceptance | None = None,
        threads: int | None = None,
        workers: int = 1,
        caps: Caps | None = None,
        display: Display | None = None,
        earlier_terms: bool = False,
        go_on_rejected: bool = False,
    ) -> Ran:
        """Run a plan: it is permitted first, and what is done already is left as it is.

        Args:
            planned: what :meth:`plan` gave.
            accept: who accepts a plan that wants review, and why; it goes into the ledger.
            answer: who answers for prompts that the linter stops, and why.
            threads: processor threads; all if None.
            workers: processes that do slices of stages side by side; no result depends on it.
            caps: what may be spent; the recipe's own if None.
            display: what shows the run; nothing if None.
            earlier_terms: take answers bought under other versions of terms.
            go_on_rejected: buy on where a service's first answers are rejected.

        Raises:
            PolicyError: if terms or rules deny it, or want review and nobody accepts it.
            ConductError: if its prompts try to get what is not offered.
            MashbillError: as :func:`mashbill.run.executor.execute` does.
        """
        from mashbill.client.budget import Caps
        from mashbill.report import write_report
        from mashbill.run.display import Quiet
        from mashbill.run.execution import Execution
        from mashbill.run.executor import execute
        from mashbill.run.permission import permit_plan
        from mashbill.workspace.planned import Ran

        plan, recipe = planned.plan, planned.plan.recipe
        if planned.supposed:
            msg = (
                f"{plan.result}: this plan supposes another teacher than the recipe's; a run asks "
                "those of the recipe, so write it there"
            )
            raise InputError(msg)
        signer = Signer.default()
        store = Store(self.root, signer)
        permit = permit_plan(plan, store, planned.registry, _today(), planned.rules, accept, answer)
        budget = recipe.budget
        execution = Execution(
            self.cache,
            threads or os.cpu_count() or 1,
            workers=workers,
            display=display or Quiet(),
            caps=caps or Caps(budget.usd, budget.tokens, budget.calls),
            earlier_terms=earlier_terms,
            go_on_rejected=go_on_rejected,
        )
        try:
            done = execute(permit, store, execution)
        except BaseException:
            with suppress(MashbillError, OSError):  # what ended the run is what is to be told
                checkpoint.keep(store.root, signer)
            raise
        checkpoint.keep(store.root, signer)
        result = next(item.manifest for item in done if item.name == recipe.result)
        page = self.root / "reports" / f"{result.ref}.html"
        write_report(store, result, page, title=recipe.recipe.title)
        verdicts = judge_all(Circuit.of_artifact(store, result))
        return Ran(tuple(done), result, tuple(verdicts), page)

    def subject(
        self, name: str, *, claims: Sequence[Status] = COUNTED, through: bool = False
    ) -> Subject:
        """Return what a name stands for, with its lineage.

        Args:
            name: an artifact, or ``hf:OWNER/NAME`` of the catalogue.
            claims: statuses of the claims that count.
            through: go on from one's own teachers by the catalogue's claims.

        Raises:
            StoreError: if the store has none of that name.
            InputError: if the catalogue has none.
        """
        if is_public(name):
            return public_subject(name, claims, open_index(self._catalogue))
        own = own_subject(name, self._store())
        return through_catalogue(own, claims, open_index(self._catalogue)) if through else own

    def bill(
        self,
        name: str,
        definitions: Sequence[str] = SHIPPED,
        *,
        claims: Sequence[Status] = COUNTED,
        through: bool = False,
        paths: int = 1,
    ) -> Billed:
        """Return what something was distilled from, with verdicts; see :meth:`subject`.

        Args:
            name: as above.
            definitions: names of shipped ones, or TOML files.
            claims: as above.
            through: as above.
            paths: that a verdict shows.
        """
        return Billed.of(
            self.subject(name, claims=claims, through=through), definitions, paths=paths
        )

    def trace(self, name: str, row: int, *, forward: bool = False) -> Hop:
        """Walk from a record back to where it came from, or on to what was made of it.

        Args:
            name: an artifact; of a model, a row of its training set.
            row: from 0.
            forward: on, and not back.
        """
        store = self._store()
        tracer = Tracer(store, Journal.of(store))
        return tracer.forward(name, row) if forward else tracer.trace(name, row)

    def check(
        self,
        name: str,
        *,
        as_of: date | None = None,
        terms: Sequence[PathLike] = (),
        rules: Sequence[PathLike] = (),
        **use: Any,
    ) -> Decided:
        """Decide an artifact, or a public one, again: terms, licences and house rules.

        Args:
            name: an artifact, or ``hf:OWNER/NAME``.
            as_of: the day whose texts count; today if None.
            terms: files of terms, beside those shipped.
            rules: files of house rules.
            use: what it is used for, in place of what its run declared: purpose, distribution,
                commercial, competes_with, published_name, license.
        """
        subject = self.subject(name)
        declared: Use = subject.use.changed(use)
        return subject.decide(
            load_registry([Path(path) for path in terms]),
            as_of or _today(),
            declared,
            load_rules([Path(path) for path in rules]),
            is_release=True,
        )

    def audit(
        self,
        *,
        signer: str | None = None,
        checkpoints: Sequence[PathLike] = (),
        deep: bool = False,
        sample: float = 1.0,
    ) -> AuditResult:
        """Check that everything in the store agrees with its ledger.

        Args:
            signer: only what this key id signed is accepted.
            checkpoints: files of checkpoints kept elsewhere; the ledger must go on from each.
            deep: make rows of deterministic stages again and compare them.
            sample: part of the shards that is made again, 0 to 1.
        """
        from mashbill.lineage.evidence.audit import Auditor

        known = [checkpoint.parse(parsing.read_text(Path(path))) for path in checkpoints]
        is_there = (self.root / LEDGER).exists()
        kept = checkpoint.kept(self.root) if is_there else None
        again = None
        if deep and is_there:
            from mashbill.run.rederiving import Rederiver

            again = Rederiver(self._store(), sample)
        return Auditor(
            self.root, signer, checkpoints=[*known, *([kept] if kept else [])], rederive=again
        ).run()

    def export(self, name: str, format: str) -> str:  # noqa: A002 - the word for it
        """Return an artifact's bill in a standard's own form; see :mod:`mashbill.lineage.exports`.

        Raises:
            InputError: if there is no such format.
        """
        from mashbill.lineage.exports import export

        store = self._store()
        return export(store, store.find(name), format)

    def publish(self, name: str, to: str, wish: Wish | None = None) -> Published:
        """Write a dataset or a model to an address, with a card, the bill and digests.

        Args:
            name: an artifact.
            to: a folder, an address of fsspec, or ``hf:OWNER/NAME``.
            wish: format and form of the rows, and what comes with them.
        """
        from mashbill.publish.publish import Wish, publish

        store = self._store()
        return publish(store, store.find(name), to, wish or Wish())

    def report(self, name: str, to: PathLike | None = None) -> Path:
        """Write one HTML file about an artifact; it opens offline."""
        from mashbill.report import write_report

        store = self._store()
        manifest: Manifest = store.find(name)
        page = Path(to) if to is not None else self.root / "reports" / f"{manifest.ref}.html"
        return write_report(store, manifest, page)


def _today() -> date:
    return datetime.now(UTC).date()
