"""Negative controls of judges of pairs: none may prefer junk to what was written.

Before its first pair each judge is asked, both ways round, about two completions beside an empty
output, letters without sense and one word over and over. One that prefers one of these to both is
refused by name, unless the recipe says in words that this is accepted. What completions are worth
nobody knows here, so a tie is no fault.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mashbill.core.controls import JUNK
from mashbill.core.errors import RecipeError
from mashbill.stages.voting import ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.stage import StageContext
    from mashbill.core.teacher import TeacherSession
    from mashbill.stages.voting import Asking

_BESIDE = ("an empty output", "letters without sense", "repeated words")
_COMPLETIONS = 2
MOST_TRIED = len(_BESIDE) * _COMPLETIONS
"""pairs at most that a judge is tried on"""


def try_judges(
    teachers: Mapping[str, TeacherSession],
    how: Asking,
    given: Sequence[tuple[str, str]],
    accepted: str,
    ctx: StageContext,
) -> dict[str, Any]:
    """Try judges on junk.

    Args:
        teachers: the judges, by name.
        how: they are asked.
        given: prompts with a completion, in order.
        accepted: why a judge that fails is asked all the same; empty if it is not.
        ctx: told of what fails and is accepted.

    Returns:
        what is measured: by judge, on how many pairs it was tried and what it got wrong.

    Raises:
        RecipeError: naming the judges and what they prefer.
    """
    some = [(prompt, text) for prompt, text in dict(given).items() if text.strip()][:_COMPLETIONS]
    tried = [(prompt, text, name) for prompt, text in some for name in _BESIDE]
    if not tried:
        return {}
    prompts = [prompt for prompt, _, _ in tried]
    texts = ([text for _, text, _ in tried], [JUNK[name] for _, _, name in tried])
    found: dict[str, Any] = {}
    for judge, teacher in teachers.items():
        nothing: list[str | None] = [None] * len(tried)
        votes = ask(teacher, replace(how, swap=True), prompts, texts, nothing).votes
        wrong = []
        for name in _BESIDE:
            own = [vote for vote, each in zip(votes, tried, strict=True) if each[2] == name]
            if own and all(vote == -1 for vote in own):
                wrong.append(f"prefers {name}, {JUNK[name]!r}, to {some[0][1]!r:.60}")
        found[judge] = {"tried": len(tried), "wrong": wrong}
    _told({judge: told["wrong"] for judge, told in found.items()}, accepted, ctx)
    return found


def _told(wrong: Mapping[str, Sequence[str]], accepted: str, ctx: StageContext) -> None:
    lines = [f"judge {judge} {'; '.join(said)}" for judge, said in wrong.items() if said]
    if not lines:
        return
    told = "; ".join(lines)
    if not accepted.strip():
        msg = (
            f"{told}. A judge that prefers junk cannot tell which is better: correct prompt or "
            'answers, ask another teacher, or say in words that it is accepted: accepts = "WHY", '
            "which is kept in the manifest"
        )
        raise RecipeError(msg)
    ctx.warn(f"{told}; it is asked all the same since: {accepted.strip()}")
