"""Whether a plan may run: decided before anything is bought, and written into the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.conduct.linting import ROWS, Finding, lint_all
from mashbill.core.errors import ConductError, PolicyError
from mashbill.lineage.decisions import DECIDE

if TYPE_CHECKING:
    from mashbill.core.recipe import Recipe
    from mashbill.core.store import Store
    from mashbill.lineage.decisions import Decided
    from mashbill.plan import Plan
    from mashbill.policy.decision import Decision

PROMPT_FILES = frozenset({".jinja", ".j2", ".txt", ".md"})


@dataclass(frozen=True)
class Acceptance:
    """Somebody who answers for going on although a plan wants review."""

    name: str
    reason: str


def permit(decided: Decided, store: Store, accepted: Acceptance | None = None) -> None:
    """Write what was decided into the ledger, or refuse.

    Args:
        decided: the decisions about a plan.
        store: where it would be run.
        accepted: who accepts what wants review, and why. What is denied cannot be accepted.

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
        raise PolicyError(
            _refusal("in need of review", decided.of("review"), "Declare what is lacking under "
                     "[use], or run with --accept-review NAME --reason TEXT"),
            "review",
        )  # fmt: skip
    store.ledger.append(DECIDE, **as_facts(decided, accepted))


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
        for file in spec.files():
            path = recipe.folder / file
            if path.suffix in PROMPT_FILES:
                texts.append((f"stages.{name}: {path}", path.read_text("utf-8", "replace")))
    return lint_all(texts)


def _refusal(what: str, decisions: list[Decision], remedy: str) -> str:
    lines = [f"  {line}" for line in dict.fromkeys(told(decision) for decision in decisions)]
    return "\n".join([f"the plan is {what}; nothing was bought:", *lines, remedy])


def told(decision: Decision) -> str:
    """Say a decision in a line."""
    where = f" [{decision.clause}]" if decision.clause else ""
    lacking = f" Lacking: {', '.join(decision.lacking)}." if decision.lacking else ""
    return f"{decision.about}: {decision.because.rstrip('.')}.{where}{lacking}"


def as_facts(decided: Decided, accepted: Acceptance | None) -> dict[str, Any]:
    """Return what the ledger keeps of decisions."""
    kept = ("outcome", "engine", "rule", "about", "document", "effective_from", "second_hand")
    facts: dict[str, Any] = {
        "about": decided.about,
        "as_of": decided.as_of.isoformat(),
        "outcome": decided.outcome,
        "use": decided.use.facts(),
        "decisions": [
            {key: value for key, value in decision.as_json().items() if key in kept}
            for decision in decided.decisions
        ],
    }
    if accepted is not None:
        facts["accepted"] = {"name": accepted.name, "reason": accepted.reason}
    return facts
