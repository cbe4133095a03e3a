"""The bill of an artifact with its verdicts, for programs: ``bill --json`` and ``bill.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.artifact import LearnedFrom
    from mashbill.core.marks import Contradiction
    from mashbill.lineage.bills.bill import Coverage, Line
    from mashbill.lineage.bills.definitions import Verdict
    from mashbill.lineage.bills.prompted import PromptCoverage


def summary(
    name: str,
    digest: str | None,
    lines: Sequence[Line],
    verdicts: Sequence[tuple[Verdict, Verdict]],
    covered: Coverage,
    told: Mapping[str, Contradiction],
    prompted: PromptCoverage | None = None,
    learned_from: Sequence[LearnedFrom] = (),
) -> dict[str, Any]:
    """Return what is recorded of an artifact: bill, coverage, contradicted origins, verdicts.

    Of a model, too, what each dataset that it learned from is in it.
    """
    return {
        "artifact": name,
        "digest": digest,
        "bill": [line.as_json() for line in lines],
        **covered.as_json(),
        "prompt_coverage": None if prompted is None else prompted.as_json(),
        "contradicted": {
            name: {
                "says": one.says,
                "declared": list(one.declared),
                "marks": [mark.facts() for mark in one.marks],
            }
            for name, one in told.items()
        },
        "learned_from": [told_of(each, learned_from) for each in learned_from],
        "verdicts": [verdict.as_json() for pair in verdicts for verdict in pair],
    }


def told_of(one: LearnedFrom, others: Sequence[LearnedFrom]) -> dict[str, Any]:
    """Return what a dataset is in a model, for a program, with its part beside the others'."""
    whole = sum(each.weight for each in others)
    return {
        "dataset": one.name,
        "rows": one.rows,
        "tokens": one.tokens,
        "epochs": round(one.epochs, 6),
        "loss_weight": list(one.loss_weights),
        "part": one.weight / whole if whole else 0.0,
    }
