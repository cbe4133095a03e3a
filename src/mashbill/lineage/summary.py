"""The bill of an artifact with its verdicts, for programs: ``bill --json`` and ``bill.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.lineage.bill import Coverage, Line
    from mashbill.lineage.definitions import Verdict


def summary(
    name: str,
    digest: str | None,
    lines: Sequence[Line],
    verdicts: Sequence[tuple[Verdict, Verdict]],
    covered: Coverage,
) -> dict[str, Any]:
    """Return what is recorded of an artifact: bill, coverage, verdicts."""
    return {
        "artifact": name,
        "digest": digest,
        "bill": [line.as_json() for line in lines],
        **covered.as_json(),
        "verdicts": [verdict.as_json() for pair in verdicts for verdict in pair],
    }
