"""Negative controls: what a verifier is tried on before it scores anything that counts.

A verifier that pays for junk teaches junk, and one that does not pay for the right answer teaches
nothing; neither is seen in its mean score. So each is given outputs of which it is known what they
are worth: nothing, junk, the question again, "I don't know", another item's answer, and the right
one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from mashbill.core.errors import MissingExtraError, RecipeError
from mashbill.core.verifier import Case, Control, Score, VerifierSession

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mashbill.core.recipe import Recipe

PAID = 0.5
"""scores from this on count as paid: what is half right is not junk"""
JUNK = {
    "an empty output": "",
    "white space": " \n\t",
    "letters without sense": "qzx vbk wjpt zzkq",
    "'I don't know'": "I don't know.",
    "a refusal": "I'm sorry, but I can't help with that.",
    "repeated words": "the the the the the the the the",
}
"""what it is -> an output that answers nothing"""
_QUESTION = "What comes out if all of it is put together?"


def of_reference(
    known: str, others: Sequence[str] = (), question: str = _QUESTION
) -> list[Control]:
    """Return the controls of a verifier that compares with what is known to be right.

    Args:
        known: the right answer of an item.
        others: answers of other items, which are not the same.
        question: of the item.
    """
    wrong = {**JUNK, "the question again": question}
    wrong = {n: text for n, text in wrong.items() if text.casefold() != known.casefold()}
    wrong |= {f"another item's answer ({at})": other for at, other in enumerate(others, 1)}
    return [
        Control("the right answer", Case(known, known), is_right=True),
        *(Control(name, Case(text, known), is_right=False) for name, text in wrong.items()),
    ]


def check(
    name: str, session: VerifierSession, controls: Iterable[Control], *, may_abstain: bool = False
) -> None:
    """Try a verifier on its controls.

    What it says nothing of (undecided) is not paid; that is no fault where junk is asked about.

    Args:
        name: of the verifier, in its recipe.
        session: the verifier.
        controls: what it is tried on.
        may_abstain: whether it may say nothing of some right answers, as long as it pays for one.

    Raises:
        RecipeError: naming the verifier, and each control that it gets wrong.
    """
    wrong = mistakes(session, controls, may_abstain=may_abstain)
    if wrong:
        raise RecipeError(refusal(name, session, wrong))


def refusal(name: str, session: VerifierSession, wrong: Sequence[str]) -> str:
    """Say that a verifier is refused, and what it got wrong."""
    more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return (
        f"verifiers.{name}: kind {session.spec.kind!r} {'; '.join(wrong[:3])}{more}. A "
        "verifier that pays for junk, or does not pay for what is right, cannot tell them "
        "apart: correct its keys, or use another kind"
    )


def mistakes(
    session: VerifierSession, controls: Iterable[Control], *, may_abstain: bool = False
) -> list[str]:
    """Return which of its controls a verifier gets wrong, in words; see :func:`check`."""
    tried = list(controls)
    if not tried:
        return []
    scores = session.score([control.case for control in tried])
    pays_some = any(
        control.is_right and is_paid(score) for control, score in zip(tried, scores, strict=True)
    )
    wrong = []
    for control, score in zip(tried, scores, strict=True):
        abstains = score.outcome == "undecided" and may_abstain and pays_some
        if score.outcome == "failed" or abstains or is_paid(score) == control.is_right:
            continue  # what it could not look at, the run tells of
        paid = f"{score.value:.2f}" if score.value is not None else f"nothing ({score.outcome})"
        why = f" ({score.reason:.80})" if score.reason else ""
        wrong.append(f"pays {paid} for {control.name}, {control.case.output!r:.60}{why}")
    return wrong


def is_paid(score: Score) -> bool:
    """Return whether a score pays."""
    return score.value is not None and score.value >= PAID


def of_cases(cases: Sequence[Case], question: str) -> list[Control]:
    """Return the controls of a verifier that asks teachers, made of some rows.

    Another item's answer is none where the verifier does not see what is asked.

    Args:
        cases: rows, each with its own output; some are gone through.
        question: the column with what was asked; empty if the verifier does not see it.
    """
    controls = []
    for case in cases[:_ASKED_ABOUT]:
        own = str(case.row.get(question) or "").strip() if question else ""
        wrong = {name: JUNK[name] for name in _ASKED_OF}
        if own:
            wrong["the question again"] = own
        if own or case.reference:
            wrong |= _of_another(case, own, cases, question)
        known = (case.reference or "").strip()
        controls += [
            Control(name, replace(case, output=text), is_right=False)
            for name, text in wrong.items()
            if not known or text.strip().casefold() != known.casefold()
        ]
        if known:
            controls.append(Control("the right answer", replace(case, output=known), is_right=True))
    return controls


def _of_another(case: Case, own: str, cases: Sequence[Case], question: str) -> dict[str, str]:
    """Return what is known of another item, or was said of it, if that differs."""
    mine = {text.strip().casefold() for text in (case.reference, case.output) if text}
    for other in cases:
        text = other.reference or other.output
        asked = str(other.row.get(question) or "").strip() if question else ""
        is_other = asked != own if question else other.reference != case.reference
        if is_other and text.strip() and text.strip().casefold() not in mine:
            return {"another item's answer": text}
    return {}


_ASKED_ABOUT = 2  # rows whose controls teachers are asked about
_ASKED_OF = ("an empty output", "letters without sense", "'I don't know'")
MOST_TRIED = _ASKED_ABOUT * (len(_ASKED_OF) + 3) + 4
"""outputs at most that a verifier which asks teachers is tried on"""


def check_declared(recipe: Recipe, stage: str, tried: set[str], cache: Path) -> None:
    """Try the verifiers of a stage on the controls that their kinds declare.

    Args:
        recipe: the recipe.
        stage: whose verifiers are tried.
        tried: names of those that were; gets these.
        cache: where fetched files are kept.

    Raises:
        RecipeError: as :func:`check` does.
    """
    for use in recipe.stages[stage].uses():
        if not use.is_verifier or use.name in tried:
            continue  # what asks teachers is tried in the run, once that may ask
        tried.add(use.name)
        own = recipe.verifiers[use.name]
        parts = {f"{use.name}.{part}": spec for part, spec in own.made_of().items()}
        for name, spec in {use.name: own, **parts}.items():
            if spec.asks():
                continue
            session = VerifierSession(
                name,
                spec,
                lambda one=spec: one.load(recipe.folder, cache, 1),  # type: ignore[misc]
            )
            with suppress(MissingExtraError):  # told with all else that is lacking
                check(name, session, spec.controls())


def check_rows(name: str, session: VerifierSession, known: Sequence[Case]) -> None:
    """Try a verifier on the references of some rows: each is right for its own, and no other's.

    Two references that the verifier takes for the same either way are the same.

    Args:
        name: of the verifier, in its recipe.
        session: the verifier.
        known: of each row a case whose output is its reference.

    Raises:
        RecipeError: as :func:`check` does.
    """
    cases = {case.output: case for case in known if case.output.strip()}
    given = list(cases)[:_ROWS]
    pairs = [(one, two) for one in given for two in given if one != two]
    scores = session.score([replace(cases[two], output=one) for one, two in pairs])
    same = {pair for pair, score in zip(pairs, scores, strict=True) if is_paid(score)}
    if len(given) > 2 and len(same) == len(pairs):
        msg = (
            f"verifiers.{name}: kind {session.spec.kind!r} takes the references of {len(given)} "
            f"rows for each other, such as {given[0]!r:.40} for {given[1]!r:.40}: it cannot tell "
            "right from wrong here"
        )
        raise RecipeError(msg)
    controls = []
    for one in given:
        others = [two for two in given if two != one and (two, one) not in same]
        controls += [
            replace(control, case=replace(control.case, row=cases[one].row))
            for control in of_reference(one, others[:2])
        ]
    check(name, session, controls, may_abstain=True)


_ROWS = 8  # references that are compared with each other
