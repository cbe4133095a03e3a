"""Whether a plan may run: decided before anything is bought, and written into the ledger.

Deciding gives a :class:`Permit`, and a run takes nothing else, whoever starts it: a command, a
notebook or a program. What was permitted at the start of a run stays permitted while it goes on,
killed and begun again or not: a decision does not depend on how far a run has come. It holds for 24
hours, for the same plan, declared use, terms and house rules; after that, what is not bought or
made yet is decided anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mashbill.client.prompt_lint import ROWS, Finding, lint_all
from mashbill.core.canonical import digest
from mashbill.core.errors import ConductError, PolicyError
from mashbill.core.parsing import MARK
from mashbill.lineage.duties.decisions import DECIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from mashbill.core.ledger import Entry
    from mashbill.core.recipe import Recipe
    from mashbill.core.store import Store
    from mashbill.lineage.duties.decisions import Decided
    from mashbill.plan import Plan
    from mashbill.policy.decision import Decision
    from mashbill.policy.documents import Registry
    from mashbill.policy.house import HouseRule

STANDS_FOR = timedelta(hours=24)
"""how long a permission holds for the same plan"""

PROMPT_FILES = frozenset({".jinja", ".j2", ".txt", ".md"})


@dataclass(frozen=True)
class Acceptance:
    """The person who accepts the review that a plan wants."""

    name: str
    reason: str


_DECIDED = object()
"""what only :func:`permit_plan` gives to a permit"""


@dataclass(frozen=True)
class Permit:
    """What deciding a plan gives: that it may run, in this store, by an entry of its ledger.

    Raises:
        PolicyError: if it was not made by :func:`permit_plan`.
    """

    plan: Plan
    registry: Registry
    """the terms and licences by which it was decided, and by which its calls are had"""
    rules: tuple[HouseRule, ...] = ()
    """house rules that it was put to"""
    entry: str = ""
    """digest of the entry that permits it; empty where nothing is left to be made"""
    overrides: tuple[Mapping[str, str], ...] = ()
    """findings of the prompt linter that somebody answers for"""
    _decided: object = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse one that nobody decided."""
        if self._decided is not _DECIDED:
            msg = "a permit comes of deciding a plan: call permit_plan, or run it in a workspace"
            raise PolicyError(msg, "deny")

    def check(self, store: Store) -> None:
        """See that the ledger of a store permits this plan, now.

        Raises:
            PolicyError: if it was given for another plan or store, or longer ago than it holds.
        """
        if not self.entry and all(stage.status == "done" for stage in self.plan.stages):
            return
        for item in _permissions(store, permission_digest(self.plan, self.registry, self.rules)):
            if item.digest == self.entry:
                if _stands(item):
                    return
                msg = f"the permit of {self.plan.result} is older than {STANDS_FOR}; decide it anew"
                raise PolicyError(msg, "review")
        msg = (
            f"the ledger of {store.root} has no entry that permits {self.plan.result}; decide the "
            "plan in the store where it is to run"
        )
        raise PolicyError(msg, "deny")


def permit_plan(
    plan: Plan,
    store: Store,
    registry: Registry,
    as_of: date,
    rules: Sequence[HouseRule] = (),
    accepted: Acceptance | None = None,
    answered: Acceptance | None = None,
) -> Permit:
    """Let a plan run, or refuse it: by what was permitted at its start, or decided now.

    Args:
        plan: the plan.
        store: where it would be run.
        registry: terms and licences.
        as_of: the day whose texts count, where it is decided now.
        rules: house rules.
        accepted: who accepts what wants review, and why.
        answered: who answers for prompts that the linter stops, and why.

    Returns:
        the permit that a run takes.

    Raises:
        ConductError: as :func:`permit_prompts` does.
        PolicyError: as :func:`permit` does.
    """
    if all(stage.status == "done" for stage in plan.stages):
        return Permit(plan, registry, tuple(rules), _decided=_DECIDED)
    overrides = tuple(permit_prompts(plan, store, answered))
    asked = permission_digest(plan, registry, rules)
    earlier = [e for e in _permissions(store, asked) if "stands" not in e.predicate]
    for entry in reversed(earlier):
        if _stands(entry):
            own = ("event", "index", "previous", "at", "public_key")
            facts = {key: value for key, value in entry.predicate.items() if key not in own}
            stands = {"entry": entry.index, "digest": entry.digest, "at": entry.predicate["at"]}
            store.ledger.append(DECIDE, **facts, stands=stands)
            return Permit(plan, registry, tuple(rules), entry.digest, overrides, _DECIDED)
    decided = plan.decide(registry, as_of, rules, only_to_do=bool(earlier))
    entry = permit(decided, store, accepted, asked, _unread(plan))
    return Permit(plan, registry, tuple(rules), entry.digest, overrides, _DECIDED)


def _unread(plan: Plan) -> list[str]:
    return [s.name for s in plan.stages if s.status != "done" and s.spec.rows_say_who_wrote]


def _reading(unread: Sequence[str]) -> str:
    """Say that rows will tell what a plan does not know."""
    if not unread:
        return ""
    return (
        f". Who wrote the rows of {', '.join(unread)} stands in their files and is not known "
        "before they are read: accept that they are read, and it is decided again then, before "
        "anything "
        "is made of them; or say under models in the stage which models their names mean"
    )


def _stands(entry: Entry) -> bool:
    """Return whether a permission holds at this moment."""
    at = datetime.fromisoformat(entry.predicate["at"])
    # A clock that was set back makes no permission last longer.
    return timedelta(0) <= datetime.now(UTC) - at < STANDS_FOR


def permission_digest(plan: Plan, registry: Registry, rules: Sequence[HouseRule]) -> str:
    """Return the identity of what a permission is given for: plan, use, terms and house rules."""
    house = [[r.id, r.says, r.about, r.when.text, r.outcome] for r in rules]
    return digest({"plan": plan.identity(), "registry": registry.digest, "rules": house})


def _permissions(store: Store, asked: str) -> list[Entry]:
    """Return the entries of the ledger that permit exactly this."""
    return [
        entry
        for entry in store.ledger.accepted
        if entry.event == DECIDE and entry.predicate.get("asked") == asked
    ]


def permit(
    decided: Decided,
    store: Store,
    accepted: Acceptance | None = None,
    asked: str = "",
    unread: Sequence[str] = (),
) -> Entry:
    """Write what was decided into the ledger, or refuse.

    Args:
        decided: the decisions about a plan.
        store: where it would be run.
        accepted: who accepts what wants review, and why. What is denied cannot be accepted.
        asked: identity of what it is given for; without one it does not stand for a later run.
        unread: stages whose rows say who wrote them, and were not read yet.

    Returns:
        the entry.

    Raises:
        PolicyError: if the plan is denied, or wants review and nobody accepts it; each decision
            is told with its clause, and what was lacking.
    """
    if decided.outcome == "deny":
        raise PolicyError(
            _refusal("denied", decided.of("deny"), "Use another teacher or another route, declare "
                     "what is lacking under [use], or get an authorisation in writing"),
            "deny",
        )  # fmt: skip
    if decided.outcome == "review" and accepted is None:
        remedy = (
            "Declare what is lacking under [use], a licence of weights as license under the "
            "teacher, or run with --accept-review NAME --reason TEXT"
            f"{_reading(unread)}"
        )
        raise PolicyError(_refusal("in need of review", decided.of("review"), remedy), "review")
    facts = as_facts(decided, accepted)
    if asked:
        facts["asked"] = asked
    return store.ledger.append(DECIDE, **facts)


def permit_prompts(
    plan: Plan, store: Store, accepted: Acceptance | None = None
) -> list[dict[str, str]]:
    """Refuse a recipe whose prompts try to get hidden reasoning or a system prompt.

    Args:
        plan: the plan.
        store: where it would be run.
        accepted: who answers for the prompts, and why; it goes into the ledger.

    Returns:
        the findings that somebody answers for, with the name and the reason.

    Raises:
        ConductError: naming each file, and the words.
    """
    found = prompt_findings(plan.recipe)
    if not found and accepted is None:
        return []
    if accepted is None:
        told_all = "\n".join(f"  {finding}" for finding in found)
        msg = (
            "prompts of this recipe try to get what is not offered; nothing was bought:\n"
            f"{told_all}\n"
            "Ask for reasoning by the teacher's own key, reasoning = ..., or for a visible "
            "explanation; or run with --override-lint NAME --reason TEXT"
        )
        raise ConductError(msg)
    told = [
        {**finding.as_json(), "name": accepted.name, "reason": accepted.reason}
        for finding in found
    ] or [{"rule": ROWS, "where": "prompts from data", "words": "", "name": accepted.name,
           "reason": accepted.reason}]  # fmt: skip
    store.ledger.append("override", findings=told)
    return told


def prompt_findings(recipe: Recipe) -> list[Finding]:
    """Return what the linter finds in the prompt files of stages that ask services."""
    texts = []
    for name, spec in recipe.stages.items():
        if not any(use.is_teacher and recipe.teachers[use.name].is_remote for use in spec.uses()):
            continue
        for file in recipe.files_of(name):
            path = recipe.folder / file
            if path.suffix in PROMPT_FILES:
                text = path.read_text("utf-8", "replace").lstrip(MARK)
                texts.append((f"stages.{name}: {path}", text))
    return lint_all(texts)


def _refusal(what: str, decisions: list[Decision], remedy: str) -> str:
    return "\n".join([f"the plan is {what}; nothing was bought:", *indented(decisions), remedy])


def indented(decisions: list[Decision]) -> list[str]:
    """Say decisions in a line each, those that say the same once."""
    return [f"  {line}" for line in told_each(decisions)]


def told_each(decisions: list[Decision]) -> list[str]:
    """Say decisions, those that say the same once."""
    return list(dict.fromkeys(told(decision) for decision in decisions))


def told(decision: Decision) -> str:
    """Say a decision in a line."""
    where = f" [{decision.clause}]" if decision.clause else ""
    lacking = f" Lacking: {decision.lacks}." if decision.lacks else ""
    return f"{decision.about}: {decision.because.rstrip('.')}.{where}{lacking}"


def as_facts(decided: Decided, accepted: Acceptance | None) -> dict[str, Any]:
    """Return what the ledger keeps of decisions."""
    kept = {
        "outcome", "engine", "rule", "about", "document", "effective_from", "second_hand",
    }  # fmt: skip
    facts: dict[str, Any] = {
        "about": decided.about,
        "as_of": decided.as_of.isoformat(),
        "outcome": decided.outcome,
        "use": decided.use.facts(),
        "decisions": [
            {key: value for key, value in decision.as_json().items() if key in kept}
            | ({"lacking": list(decision.lacking)} if decision.lacking else {})
            for decision in decided.decisions
        ],
    }
    if accepted is not None:
        facts["accepted"] = {"name": accepted.name, "reason": accepted.reason}
    return facts
