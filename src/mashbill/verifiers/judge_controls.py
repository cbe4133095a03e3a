"""Negative controls of a verifier that asks teachers: before the first row, within the budget.

They come after the permit, since they are questions like any others: they are in the journal, are
counted by the plan, and are paid once. A verifier that pays for junk or does not pay for what is
right is refused by name, unless its recipe says in words that this is accepted; then what it got
wrong is told, and stands in the manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.cells import number_of
from mashbill.core.controls import (
    is_paid,
    mistakes,
    of_cases,
    refusal,
)
from mashbill.core.errors import RecipeError
from mashbill.core.verifier import VerifierSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.core.stage import StageContext
    from mashbill.core.verifier import Case, VerifierSpec

LOOKED_AT = 256
"""rows among which those of the controls are"""
_CALLED_RIGHT = 4  # outputs that people call right, of which a judge has to pay for one
_REMEDY = (
    "correct its prompt or scale, ask another teacher, or say in words that it is accepted: "
    'accepts = "WHY", which is kept in the manifest'
)


def tried_by_asking(
    by: str,
    verifier: VerifierSpec,
    cases: Callable[[VerifierSpec], list[Case]],
    ctx: StageContext,
) -> dict[str, Any]:
    """Try a verifier, and each of its parts, that asks teachers.

    Args:
        by: what the recipe calls it.
        verifier: its keys.
        cases: gives the first rows that have an output, as a verifier is given them.
        ctx: where teachers are asked.

    Returns:
        what is measured: ``controls``, by verifier: how many it was tried on, what it got wrong,
        and why that is accepted.

    Raises:
        RecipeError: naming the verifier and what it gets wrong.
    """
    parts = {f"{by}.{name}": part for name, part in verifier.made_of().items()}
    found: dict[str, Any] = {}
    for name, one in (parts or {by: verifier}).items():
        if one.asks():
            found[name] = _tried(name, one, cases(one), ctx)
    return {"controls": found}


def loaded(name: str, verifier: VerifierSpec, ctx: StageContext) -> VerifierSession:
    """Return a verifier, or a part of one, that is loaded with its first case."""
    return VerifierSession(
        name, verifier, lambda: verifier.load(ctx.recipe_folder, ctx.cache, ctx.threads)
    )


def _tried(
    name: str, verifier: VerifierSpec, cases: list[Case], ctx: StageContext
) -> dict[str, Any]:
    session = loaded(name, verifier, ctx).asking(ctx.teacher_apart or ctx.teacher)
    controls = of_cases(cases, verifier.question_column)
    wrong = mistakes(session, controls)
    right = _called_right(verifier, cases)
    if right:
        scores = session.score(right)
        looked = [score for score in scores if score.outcome != "failed"]
        if looked and not any(map(is_paid, looked)):
            best = max((score.value or 0.0 for score in looked), default=0.0)
            wrong.append(
                f"pays {best:.2f} at most for {len(looked)} outputs that people call right"
            )
    told: dict[str, Any] = {"tried": len(controls) + len(right), "wrong": wrong}
    if not wrong:
        return told
    if not verifier.accepted:
        msg = f"{refusal(name, session, wrong)}; {_REMEDY}"
        raise RecipeError(msg)
    ctx.warn(
        f"verifiers.{name} fails its negative controls ({'; '.join(wrong[:3])}), and is asked all "
        f"the same since: {verifier.accepted}"
    )
    return told | {"accepted": verifier.accepted}


def _called_right(verifier: VerifierSpec, cases: list[Case]) -> list[Case]:
    """Return some outputs that people call right, where a column says so."""
    column = getattr(verifier, "gold", "")
    right = getattr(verifier, "gold_right", 0.5)
    if not column:
        return []
    found = []
    for case in cases:
        value: Any = case.row.get(column)
        number = float(value) if isinstance(value, bool) else number_of(value)
        if number is not None and float(number) >= right:
            found.append(case)
    return found[:_CALLED_RIGHT]
