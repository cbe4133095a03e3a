"""A workspace: all that can be asked of a store, and the verbs that plan, run and write."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mashbill.core.errors import DriftError, InputError, MashbillError
from mashbill.core.ledger import Signer
from mashbill.core.store import LEDGER, Store, write_atomically
from mashbill.core.threads import usable_cores
from mashbill.policy.statuses import COUNTED
from mashbill.workspace.clearing import Clearing
from mashbill.workspace.questions import today

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from mashbill.client.budget import Caps
    from mashbill.core.teacher import TeacherSpec
    from mashbill.lineage.whatif.removal import Selector
    from mashbill.policy.statuses import Status
    from mashbill.publish.publish import Published, Wish
    from mashbill.run.display import Display
    from mashbill.run.permission import Acceptance
    from mashbill.workspace.briefed import Briefed
    from mashbill.workspace.planned import Planned, Ran
    from mashbill.workspace.recipes import PathLike
    from mashbill.workspace.removed import Rebuilt
    from mashbill.workspace.services import Stated


def open_workspace(
    store: PathLike = "store",
    *,
    cache: PathLike | None = None,
    catalogue: Sequence[PathLike] = (),
) -> Workspace:
    """Open a store, there already or not.

    Args:
        store: its folder; made when something is run in it.
        cache: where fetched files are kept; the user's own if None.
        catalogue: folders or files of claims, beside the shipped catalogue.
    """
    return Workspace(store, cache=cache, catalogue=catalogue)


_MOST_ROWS = 50_000
"""of a dataset that the page at the end of a run looks at; the command ``report`` looks at all"""


class Workspace(Clearing):
    """A store, and all that can be asked of it. Reading it needs no ML stack and no key."""

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
        from mashbill.core.recipe import load_recipe
        from mashbill.plan import build, with_teacher
        from mashbill.run.foreseen import foresee
        from mashbill.workspace.planned import Planned
        from mashbill.workspace.recipes import recipe_path, registry_of, rules_of

        loaded = load_recipe(recipe_path(recipe), [Path(path) for path in allow])
        if isinstance(teacher, str):
            from mashbill.teachers.api import parse_teacher

            teacher = parse_teacher(teacher)
        if teacher is not None:
            loaded = with_teacher(loaded, teacher)
        held = self.store() if (self.root / LEDGER).exists() else None
        plan = build(loaded, held, supposed=teacher is not None)
        names = [stage.name for stage in plan.stages if stage.status != "done"]
        return Planned(
            plan,
            tuple(foresee(loaded, names, self.cache)),
            registry_of(loaded, terms),
            rules_of(loaded, rules),
            as_of or today(),
            supposed=teacher is not None,
        )

    def bump(self, recipe: PathLike, *, allow: Sequence[PathLike] = ()) -> dict[str, str]:
        """Set the next version in all stages of a recipe that ask for something else by a name.

        The recipe's file is edited, at these lines alone.

        Returns:
            stage -> its new version; empty if nothing needs one.

        Raises:
            RecipeError: if the recipe cannot be read, or not be edited by a program.
        """
        from mashbill.core.recipe import load_recipe
        from mashbill.workspace.bumped import arms_of, next_versions, with_versions
        from mashbill.workspace.recipes import recipe_path

        path = recipe_path(recipe)
        try:
            self.plan(path, allow=allow)
        except DriftError as error:
            if not error.stages:
                raise
            loaded = load_recipe(path, [Path(one) for one in allow])
            versions = next_versions(self.store(), loaded, error.stages)
            text = path.read_bytes().decode()
            arms = arms_of(loaded, error.made)
            write_atomically(path, with_versions(text, versions, path, arms).encode())
            return versions
        return {}

    def run(
        self,
        planned: Planned,
        *,
        accept: Acceptance | None = None,
        answer: Acceptance | None = None,
        threads: int | None = None,
        workers: int = 1,
        processes: int = 1,
        caps: Caps | None = None,
        display: Display | None = None,
        earlier_terms: bool = False,
        go_on_rejected: bool = False,
        arms: Sequence[str] = (),
        seeds: Sequence[int] = (),
        track: Sequence[str] = (),
    ) -> Ran:
        """Run a plan: it is permitted first, and what is done already is left as it is.

        Args:
            planned: what :meth:`plan` gave.
            accept: who accepts a plan that wants review, and why; it goes into the ledger.
            answer: who answers for prompts that the linter stops, and why.
            threads: processor threads; all if None.
            workers: processes that do slices of stages side by side; no result depends on it.
            processes: those that train a model together, where its trainer can.
            caps: what may be spent; the recipe's own if None.
            display: what shows the run; nothing if None.
            earlier_terms: take answers bought under other versions of terms.
            go_on_rejected: buy on where a service's first answers are rejected.
            arms: of the recipe's ``[arms]``, those that are made; all if none is named.
            seeds: the same of its seeds. The whole plan is permitted, whatever is made of it.
            track: trackers that are told what trainers measure: ``tensorboard:FOLDER``,
                ``wandb:PROJECT``, ``mlflow:URI``; no result depends on them.

        Raises:
            PolicyError: if terms or rules deny it, or want review and nobody accepts it.
            ConductError: if its prompts try to get what is not offered.
            MashbillError: as :func:`mashbill.run.executor.execute` does.
        """
        from mashbill.client.budget import Caps
        from mashbill.core import checkpoint
        from mashbill.lineage.bills.definitions import judge_all
        from mashbill.lineage.circuit.arrays import Circuit
        from mashbill.report import write_report
        from mashbill.report.rewards import rewards_behind
        from mashbill.run.display import Quiet
        from mashbill.run.execution import Execution
        from mashbill.run.executor import execute
        from mashbill.run.permission import permit_plan
        from mashbill.run.tracking import Target
        from mashbill.workspace.compared import apart_in, told_of_arms
        from mashbill.workspace.part import part_of
        from mashbill.workspace.planned import Ran

        plan, recipe = planned.plan, planned.plan.recipe
        part = part_of(recipe, arms, seeds)
        if planned.supposed:
            msg = (
                f"{plan.result}: this plan supposes another teacher than the recipe's; a run asks "
                "those of the recipe, so write it there"
            )
            raise InputError(msg)
        targets = tuple(Target.parse(each) for each in dict.fromkeys(track))
        signer = Signer.default()
        store = Store(self.root, signer)
        permit = permit_plan(plan, store, planned.registry, today(), planned.rules, accept, answer)
        budget = recipe.budget
        execution = Execution(
            self.cache,
            threads or usable_cores(),
            workers=workers,
            processes=processes,
            display=display or Quiet(),
            caps=caps or Caps(budget.usd, budget.tokens, budget.calls),
            earlier_terms=earlier_terms,
            go_on_rejected=go_on_rejected,
            only=part.only,
            track=targets,
        )
        try:
            done = execute(permit, store, execution)
        except BaseException:
            with suppress(MashbillError, OSError):  # what ended the run is what is to be told
                checkpoint.keep(store.root, signer)
            raise
        checkpoint.keep(store.root, signer)
        result = part.result(done)
        page = self.root / "reports" / f"{result.ref}.html"
        rewards = tuple(rewards_behind(store, result))
        told = told_of_arms(recipe, store)
        write_report(
            store, result, page, title=recipe.recipe.title, rewards=rewards, most_rows=_MOST_ROWS,
            arms=told,
        )  # fmt: skip
        verdicts = judge_all(Circuit.of_artifact(store, result))
        return Ran(
            tuple(done), result, tuple(verdicts), page, rewards, store, told, apart_in(recipe)
        )

    def rebuild(
        self,
        recipe: PathLike,
        selector: Selector | None = None,
        *,
        teacher: Mapping[str, str] | None = None,
        to: PathLike | None = None,
        allow: Sequence[PathLike] = (),
        **facts: str,
    ) -> Rebuilt:
        """Write the recipe of a rebuild without some sources, and plan it; nothing is run.

        Args:
            recipe: by which the store was made.
            selector: the sources that go; instead of ``facts``.
            teacher: teacher of the recipe that goes -> the one that is asked in its place.
            to: recipe file to write; NAME-without.toml if None.
            allow: folders beside the recipe's own that it may read.
            facts: as of :meth:`affected`.

        Raises:
            InputError: if nothing that it makes rests on them, or another file is there.
            RecipeError: if the recipe cannot be read, or a teacher is not in it.
        """
        from mashbill.workspace.removed import rebuild_without, selecting

        return rebuild_without(
            self.store(), recipe, selecting(selector, facts), teacher=teacher or {}, to=to,
            allow=allow,
        )  # fmt: skip

    def publish(self, name: str, to: str, wish: Wish | None = None) -> Published:
        """Write a dataset or a model to an address, with a card, the bill and digests.

        Args:
            name: an artifact.
            to: a folder, an address of fsspec, or ``hf:OWNER/NAME``.
            wish: format and form of the rows, and what comes with them.
        """
        return self[name].publish(to, wish)

    def report(
        self,
        name: str,
        to: PathLike | None = None,
        *,
        recipe: PathLike | None = None,
        allow: Sequence[PathLike] = (),
    ) -> Path:
        """Write one HTML file about an artifact; it opens offline.

        Args:
            name: the artifact.
            to: file to write; reports/ of the store if None.
            recipe: whose arms stand side by side on it; none if None.
            allow: folders beside the recipe's own that it may read.
        """
        from mashbill.report import write_report
        from mashbill.workspace.compared import arms_of

        item = self[name]
        page = Path(to) if to is not None else self.root / "reports" / f"{item.name}.html"
        arms = None if recipe is None else arms_of(recipe, item.store, allow)
        return write_report(item.store, item.manifest, page, arms=arms)

    def brief(
        self,
        name: str,
        to: PathLike | None = None,
        *,
        as_of: date | None = None,
        terms: Sequence[PathLike] = (),
        rules: Sequence[PathLike] = (),
        claims: Sequence[Status] = COUNTED,
    ) -> Briefed:
        """Write a document for sign-off: licence, duties, calls, what is unknown.

        Args:
            name: an artifact, or ``hf:OWNER/NAME``.
            to: folder to write to; reports/ of the store, or here for a public one, if None.
            as_of: the day whose texts count; today if None.
            terms: files of terms, beside those shipped.
            rules: files of house rules.
            claims: statuses of the claims that count.
        """
        from mashbill.workspace.briefed import brief

        return brief(
            self.subject(name, claims=claims), self.root, to=to, as_of=as_of or today(),
            terms=terms, rules=rules, claims=claims,
        )  # fmt: skip

    def prove(self, name: str, row: int, to: PathLike | None = None) -> Path:
        """Write a small file that proves one record, its lineage and its place in the ledger.

        It is signed by one's own key, and :meth:`audit_proof` checks it anywhere.

        Args:
            name: a dataset.
            row: from 0.
            to: file to write; NAME@VERSION-row-ROW.proof.json if None.
        """
        from mashbill.core.shown import json_text
        from mashbill.lineage.evidence.proof import prove

        item = self[name]
        data = prove(item.store, name, row, Signer.default())
        target = Path(to) if to is not None else Path(f"{item.name}-row-{row}.proof.json")
        write_atomically(target, (json_text(data, indent=1) + "\n").encode())
        return target

    def statement(self, run: str = "latest") -> Stated:
        """Return a statement of how a run had access, signed by one's own key.

        Args:
            run: its id, or the beginning of it; "latest" for the last one.

        Raises:
            InputError: if there is no such run, or more than one.
            StoreError: if it was killed before its conduct came into the ledger.
        """
        from mashbill.workspace.services import state

        return state(self.store(), self.journal(), run)

    def checkpoint(self, *, witness: str | None = None, witness_key: str | None = None) -> str:
        """Sign the state of the ledger; kept elsewhere, it lets an audit find a cut.

        Args:
            witness: address of a witness that is to sign it, too.
            witness_key: that witness's verifier key.

        Raises:
            InputError: if one of the two is given without the other.
        """
        from mashbill.core import checkpoint

        if (witness is None) != (witness_key is None):
            msg = "witness and witness_key go together: the key says whose signature counts"
            raise InputError(msg)
        root, signer = self.store().root, Signer.default()
        note = checkpoint.make(root / LEDGER, signer)
        checkpoint.keep(root, signer)
        if witness is not None and witness_key is not None:
            from mashbill.client.witnessing import cosign
            from mashbill.core.witness import WitnessKey

            lines = checkpoint.lines_of(root / LEDGER)
            note = cosign(lines, note, witness, WitnessKey.parse(witness_key))
        return str(note)
