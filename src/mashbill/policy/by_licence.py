"""Deciding by a licence that is known by its identifier alone, or by an expression of several.

Of ``A AND B`` each decides, and the strictest holds. Of ``A OR B`` the reader may choose: the one
that leaves most decides, and the decision says so. An exception (``A WITH B``) only ever gives more
leave, so A decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.policy.decision import OUTCOMES
from mashbill.policy.licence_words import Part, read_licence
from mashbill.policy.licences import STRICTER, part_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.core.source import Source
    from mashbill.policy.case import Question
    from mashbill.policy.decision import Decision

_Decided = dict[Part, "Decision"]
"""licences that hold together, and what each says"""


def decide_by_licence(
    question: Question, what: str, made: Callable[..., Decision]
) -> list[Decision]:
    """Return what a source's licence says to a use, one decision a licence that holds.

    Args:
        question: the source, as it is used.
        what: what is under the licence: data or weights.
        made: makes a decision about the source.
    """
    stated = question.source.license or ""
    read = read_licence(stated)
    choice = f" ({stated} leaves the choice)" if "OR" in read.steps else ""

    def of(part: Part) -> _Decided:
        # A licence that stands alone is told as it was recorded, whatever its case.
        name = part.text if len(read.steps) > 1 else stated
        return {part: _of_one(question, name, part_kind(part), (what, choice), made)}

    def strictness(decided: _Decided) -> tuple[int, int]:
        """Return how much a choice forbids; of two that forbid the same, the milder kind wins."""
        return max(
            (OUTCOMES.index(decision.outcome), STRICTER.index(part_kind(part)))
            for part, decision in decided.items()
        )

    found = read.fold(of, lambda one, two: one | two, lambda *two: min(two, key=strictness))
    if found is None:
        return [_of_one(question, "", "not known", (what, ""), made)]
    return list(found.values())


def _of_one(
    question: Question, name: str, kind: str, told: tuple[str, str], made: Callable[..., Decision]
) -> Decision:
    """Return what one licence says."""
    source, use = question.source, question.use
    what, choice = told
    document: dict[str, Any] = {"document": name, "title": name}
    used = {"license": source.license}
    match kind:
        case "permissive":
            bound = ""
            if source.route.startswith("dataset:") and source.provider != "unknown":
                bound = f"; the terms of {source.provider} bound whoever made the dataset"
            return made("allow", "permissive-licence",
                        f"{name} places nothing on what is learned from it{choice}{bound}",
                        used=used, **document)  # fmt: skip
        case "non-commercial":
            if use.commercial is None:
                return made("review", "non-commercial", f"{name} is non-commercial{choice}",
                            lacking=("use.commercial",), **document)  # fmt: skip
            return made(
                "deny" if use.commercial else "allow",
                "non-commercial",
                f"{name} is non-commercial{choice}, and the use is declared "
                f"{'commercial' if use.commercial else 'non-commercial'}",
                used={**used, "use.commercial": use.commercial},
                **document,
            )
        case "share-alike":
            return made(
                "review",
                "share-alike",
                f"whether a model trained on {name} {what} must carry it is not settled{choice}",
                used=used,
                lacking=("a reading of share-alike",),
                **document,
            )
    if not name:
        return made(
            "review",
            "licence-not-known",
            f"no licence of these {what} is recorded; {_remedy(source)}",
            lacking=(f"license of {source.title}",),
        )
    return made("review", "licence-not-known",
                f"nobody has recorded here what the licence {name!r} asks for{choice}; give its "
                "text by --terms-file", lacking=(f"what the licence {name!r} asks for",),
                **document)  # fmt: skip


def _remedy(source: Source) -> str:
    """Say where a licence is to be written down: in a recipe, if one may name the source."""
    if source.route in ("public", "weights"):  # of the catalogue: somebody else made it
        return "look where it is published, and record it in a catalogue of your own (--catalogue)"
    return "write license where the recipe names them"
