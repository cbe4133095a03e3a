"""What data are like, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.cli.options import out
from mashbill.cli.printing import stacked, table
from mashbill.report.data.page import HEADS, columns_of, facts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.report.data.profile import DataProfile

_LABELS = 12  # of a column that a terminal shows


def print_data(profiles: Sequence[DataProfile]) -> None:
    """Print facts, columns, labels, and what became of the rows."""
    if not profiles:
        out.say("It is made of no dataset of this store.")
    for profile in profiles:
        facts = table("about", "", title=str(profile.manifest.ref))
        for what, told in facts_of(profile):
            facts.add_row(what, told)
        out.print(facts)
        columns = table(*HEADS)
        for figures in columns.columns[2:]:
            figures.justify = "right"
        for row in columns_of(profile):
            columns.add_row(*row)
        out.print(columns)
        for column in profile.columns:
            if column.labels is not None:
                told = ", ".join(f"{value} {rows:,}" for value, rows in column.labels[:_LABELS])
                more = len(column.labels) - _LABELS
                out.say(f"{column.name}: ", told, f" and {more} more" if more > 0 else "")
        stages = table("stage", "kind", "took", "kept", "rejected", "why", "whose text")
        for each in profile.yields:
            stages.add_row(
                each.artifact,
                each.kind,
                "" if each.taken is None else f"{each.taken:,}",
                f"{each.kept:,}",
                f"{each.rejected:,}",
                stacked(str(reason) for reason in each.reasons),
                stacked(str(source) for source in each.sources),
            )
        out.print(stages)
