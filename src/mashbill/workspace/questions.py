"""What can be asked of a store and of the catalogue: nothing is written, made or signed.

What a question alone needs is imported when it is asked, so that a bill loads nothing more.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.lineage.bills.definitions import SHIPPED
from mashbill.policy.statuses import COUNTED
from mashbill.workspace.opened import Opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mashbill.lineage.evidence.hop import Hop
    from mashbill.lineage.subject import Subject
    from mashbill.lineage.whatif.removal import Selector
    from mashbill.policy.statuses import Status
    from mashbill.report.data.profile import DataProfile
    from mashbill.report.rewards import Rewards
    from mashbill.workspace.artifact import Artifact
    from mashbill.workspace.audited import Audited
    from mashbill.workspace.billed import Billed
    from mashbill.workspace.checked import Checked
    from mashbill.workspace.compared import Comparison
    from mashbill.workspace.otherwise import Otherwise
    from mashbill.workspace.overlapping import Overlap
    from mashbill.workspace.proven import ProvenRow
    from mashbill.workspace.recipes import PathLike
    from mashbill.workspace.removed import AffectedBy, AffectedRows
    from mashbill.workspace.scenarios import WhatIf
    from mashbill.workspace.services import ServiceRuns


class Questions(Opened):
    """Verbs that leave everything as it is. They need no ML stack and no key."""

    def artifacts(self) -> list[Artifact]:
        """Return everything that is committed, oldest first."""
        from mashbill.workspace.artifact import Artifact

        store = self.store()
        return [Artifact(store, manifest) for manifest in store.manifests()]

    def __iter__(self) -> Iterator[Artifact]:
        """Go through everything that is committed."""
        return iter(self.artifacts())

    def __getitem__(self, name: str) -> Artifact:
        """Return an artifact by NAME, its newest version, or NAME@VERSION.

        Raises:
            StoreError: if there is none of that name.
        """
        from mashbill.workspace.artifact import Artifact

        store = self.store()
        return Artifact(store, store.find(name))

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
        from mashbill.lineage import subject as subjects

        if subjects.is_public(name):
            return subjects.public_subject(name, claims, self.index())
        own = subjects.own_subject(name, self.store())
        return subjects.through_catalogue(own, claims, self.index()) if through else own

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
        from mashbill.workspace.billed import Billed

        subject = self.subject(name, claims=claims, through=through)
        return Billed.of(subject, definitions, paths=paths, claims=claims)

    def trace(self, name: str, row: int, *, forward: bool = False) -> Hop:
        """Walk from a record back to where it came from, or on to what was made of it.

        Args:
            name: an artifact; of a model, a row of its training set.
            row: from 0.
            forward: on, and not back.
        """
        from mashbill.calls.journal import Journal
        from mashbill.lineage.evidence.trace import Tracer

        store = self.store()
        tracer = Tracer(store, Journal.of(store))
        return tracer.forward(name, row) if forward else tracer.trace(name, row)

    def rewards(self, name: str) -> tuple[Rewards, ...]:
        """Return what verifiers paid for, of each stage ``verify`` that an artifact rests on.

        Args:
            name: an artifact.

        Raises:
            StoreError: if the store has none of that name, or a file of it cannot be read.
        """
        from mashbill.report.rewards import rewards_behind

        store = self.store()
        return tuple(rewards_behind(store, store.find(name)))

    def data(self, name: str) -> list[DataProfile]:
        """Look at the rows of a dataset, or of those that a model learned from.

        Args:
            name: an artifact.

        Raises:
            StoreError: if the store has none of that name.
        """
        from mashbill.report.data.page import data_of
        from mashbill.report.data.profile import profile

        item = self[name]
        return [profile(item.store, one) for one in data_of(item.store, item.manifest)]

    def compare(
        self, *names: str, recipe: PathLike | None = None, allow: Sequence[PathLike] = ()
    ) -> Comparison:
        """Return results side by side, with paired intervals, and what they were made from.

        Args:
            names: artifacts: evaluations, or models with one evaluation each; or arms of a recipe,
                all of them if none is named.
            recipe: a recipe with ``[arms]``.
            allow: folders beside the recipe's own that it may read.

        Raises:
            InputError: if there is nothing to compare, or something has several evaluations.
            StoreError: if the store has none of a name.
        """
        from mashbill.workspace.compared import compare

        return compare(self, names, recipe, allow)

    def overlap(self, one: str, other: str, by: Sequence[str] = ("text",)) -> Overlap:
        """Return which values two datasets share: texts, prompts, users.

        Args:
            one: a dataset.
            other: another one.
            by: columns that are not to have a value in both.

        Raises:
            InputError: if one is no dataset, or lacks a column.
        """
        from mashbill.workspace.overlapping import overlap

        return overlap(self.store(), (one, other), by)

    def check(
        self,
        name: str,
        *,
        as_of: date | None = None,
        terms: Sequence[PathLike] = (),
        rules: Sequence[PathLike] = (),
        claims: Sequence[Status] = COUNTED,
        **use: Any,
    ) -> Checked:
        """Decide an artifact, or a public one, again: terms, licences and house rules.

        Args:
            name: an artifact, or ``hf:OWNER/NAME``.
            as_of: the day whose texts count; today if None.
            terms: files of terms, beside those shipped.
            rules: files of house rules.
            claims: statuses of the claims that count.
            use: what it is used for, in place of what its run declared: purpose, distribution,
                commercial, competes_with, published_name, license.

        Raises:
            InputError: if a use cannot be.
        """
        from pydantic import ValidationError

        from mashbill.policy.documents import load_registry
        from mashbill.policy.house import load_rules
        from mashbill.workspace.checked import Checked

        subject = self.subject(name, claims=claims)
        try:
            declared = subject.use.changed(use)
        except ValidationError as error:
            item = error.errors()[0]
            msg = f"{item['loc'][0]} {item['input']!r}: {item['msg']}"
            raise InputError(msg) from error
        registry = load_registry([Path(path) for path in terms])
        held = load_rules([Path(path) for path in rules])
        decided = subject.decide(registry, as_of or today(), declared, held, is_release=True)
        return Checked(subject.name, decided)

    def whatif(
        self,
        *,
        remove: str | Sequence[str] = (),
        terms: str | Sequence[str] = (),
        title: str | Sequence[str] = (),
        definition: str | Sequence[str] = ("A", "B", "C"),
        about: str = "store",
        as_of: date | None = None,
        **further: Any,
    ) -> WhatIf:
        """Return what breaks if some sources go: losses, substitutes, earliest rebuilds, impact.

        The keys are those of ``mashbill whatif``. Each text of ``remove`` and of ``terms`` is a
        scenario of its own.

        Args:
            remove: what goes: CEL over name, what, provider, country, kind, license, route and
                released of things.
            terms: ``PROVIDER forbids training from YYYY-MM-DD``: its API is closed off.
            title: scenarios in words; the first belongs to the first of ``remove``.
            definition: names of shipped ones, or TOML files.
            about: "store", what this one holds; or "catalogue", public models and datasets.
            as_of: the day whose terms count; today if None.
            further: lead_months, population, claims, terms_file, most; see
                :class:`mashbill.workspace.scenarios.Asked`.

        Raises:
            InputError: if nothing goes, or what goes is written wrongly or fits nothing.
            StoreError: if nothing was made in the store yet.
        """
        from mashbill.workspace.scenarios import Asked

        asked = Asked(_texts(remove), _texts(terms), _texts(title), _texts(definition), **further)
        day = as_of or today()
        if about == "store":
            return asked.of_store(self.store(), self.root, day)
        if about == "catalogue":
            return asked.of_catalogue(self.index(), day)
        msg = f"about {about!r}: choose of 'store' and 'catalogue'"
        raise InputError(msg)

    def affected(self, selector: Selector | None = None, **facts: str) -> AffectedBy:
        """Return which records, datasets, models and evaluations rest on some sources.

        Args:
            selector: the sources; instead of the next.
            facts: source, provider, country, kind, license, terms: those of which all of it holds.

        Raises:
            InputError: if no fact is given, or one cannot be.
        """
        from mashbill.workspace.removed import affected_by, selecting

        return affected_by(self.store(), selecting(selector, facts))

    def affected_rows(
        self, name: str, selector: Selector | None = None, **facts: str
    ) -> AffectedRows:
        """Return which rows of a dataset rest on some sources; see :meth:`affected`."""
        from mashbill.workspace.removed import rows_affected_by, selecting

        return rows_affected_by(self.store(), name, selecting(selector, facts))

    def decided_otherwise(
        self, first: date, second: date, *, terms: Sequence[PathLike] = ()
    ) -> list[Otherwise]:
        """Return the artifacts that terms and licences decide otherwise on another day.

        Args:
            first: a day.
            second: the other one.
            terms: files of terms, beside those shipped.
        """
        from mashbill.policy.documents import load_registry
        from mashbill.workspace.otherwise import otherwise

        return otherwise(self.root, self.store, load_registry(map(Path, terms)), first, second)

    def audit(
        self,
        *,
        signer: str | None = None,
        checkpoints: Sequence[PathLike] = (),
        witness_keys: Sequence[str] = (),
        deep: bool = False,
        sample: float = 1.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Audited:
        """Check that everything in the store agrees with its ledger.

        Args:
            signer: only what this key id signed is accepted.
            checkpoints: files of checkpoints kept elsewhere; the ledger must go on from each.
            witness_keys: of witnesses that must have signed each of these checkpoints.
            deep: make rows of deterministic stages again and compare them.
            sample: part of the shards that is made again, 0 to 1.
            progress: is told entries done, and entries in all.

        Raises:
            AuditError: if a witness did not sign.
            InputError: if a checkpoint or a key cannot be read.
        """
        from mashbill.workspace.audited import audit

        return audit(
            self.root, signer=signer, checkpoints=checkpoints, witness_keys=witness_keys,
            deep=deep, sample=sample, progress=progress,
        )  # fmt: skip

    def audit_proof(self, proof: PathLike, *, signer: str | None = None) -> ProvenRow:
        """Check the proof of a record, for which the store is not read.

        Args:
            proof: its file.
            signer: only what this key id signed is accepted.

        Raises:
            AuditError: if it does not hold.
        """
        from mashbill.workspace.proven import audit_proof

        return audit_proof(Path(proof), signer)

    def journal(self) -> Path:
        """Return the file of the journal of teacher calls.

        Raises:
            StoreError: if there is none yet.
        """
        from mashbill.core.errors import StoreError
        from mashbill.core.store import CALLS, Store

        path = Store(self.root).root / CALLS
        if not path.exists():
            msg = f"{self.root} holds no teacher calls yet; run a recipe first"
            raise StoreError(msg)
        return path

    def service_runs(self) -> ServiceRuns:
        """Return the runs that asked services: what they bought, and what happened to them.

        Raises:
            StoreError: if nothing was asked yet.
        """
        from mashbill.workspace.services import runs_of

        return runs_of(self.journal())

    def service_run(self, run: str = "latest") -> str:
        """Return the id of a run that asked services, by its beginning.

        Raises:
            InputError: if there is none, or more than one.
        """
        from mashbill.workspace.services import run_named

        return run_named(self.journal(), run)

    def export(self, name: str, format: str) -> str:  # noqa: A002 - the word for it
        """Return an artifact's bill in a standard's own form; see :mod:`mashbill.lineage.exports`.

        Raises:
            InputError: if there is no such format.
        """
        return self[name].export(format)


def today() -> date:
    """Return the day whose texts count unless another one is named, in UTC."""
    return datetime.now(UTC).date()


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return one text, or several, as several."""
    return (given,) if isinstance(given, str) else tuple(given)
