"""The bill of an artifact with its verdicts, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.lineage.bills.bill import Coverage, Line, bill
from mashbill.lineage.bills.definitions import SHIPPED, Verdict, judge_all
from mashbill.lineage.bills.prompted import covered_with
from mashbill.lineage.bills.summary import summary
from mashbill.lineage.bills.text import share_text
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.lineage.subject import Subject

_COLUMNS = ("source", "kind", "provider", "channels", "share of tokens", "hops")


@dataclass(frozen=True)
class Billed:
    """What an artifact was distilled from, and what each definition concludes."""

    subject: Subject
    lines: tuple[Line, ...]
    """most direct and largest first"""
    coverage: Coverage
    """how much of it has a recorded origin, all the way back"""
    verdicts: tuple[tuple[Verdict, Verdict], ...] = field(repr=False)
    """of each definition: on closed models, and on any model"""

    @classmethod
    def of(
        cls, subject: Subject, definitions: Sequence[str] = SHIPPED, *, paths: int = 1
    ) -> Billed:
        """Read the bill of a subject.

        Args:
            subject: an artifact of a store, or a public one.
            definitions: names of shipped ones, or TOML files.
            paths: that a verdict shows.
        """
        circuit = subject.circuit
        verdicts = tuple(judge_all(circuit, definitions, paths=paths))
        return cls(subject, tuple(bill(circuit)), covered_with(circuit, subject.prompted), verdicts)

    @property
    def name(self) -> str:
        """Whose bill it is."""
        return self.subject.name

    def verdict(self, definition: str, *, on: str = "closed") -> Verdict:
        """Return what a definition concludes.

        Args:
            definition: its name, such as "C".
            on: "closed", whether it was distilled from a closed model; "any", from any model.

        Raises:
            InputError: if it was not asked of this bill.
        """
        asked = {each.definition.name: pair for pair in self.verdicts for each in pair[:1]}
        names = {name.upper(): pair for name, pair in asked.items()}
        if definition.upper() not in names or on not in {"closed", "any"}:
            near = get_close_matches(definition.upper(), names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            msg = (
                f"no verdict {definition!r} on {on!r} models: this bill has {', '.join(asked)}, "
                f"each on 'closed' or on 'any' models{hint}"
            )
            raise InputError(msg)
        return names[definition.upper()][0 if on == "closed" else 1]

    def as_json(self) -> dict[str, Any]:
        """Return it for a program, as ``bill --json`` does."""
        subject = self.subject
        digest = subject.manifest.digest if subject.manifest else None
        return summary(
            subject.name, digest, list(self.lines), list(self.verdicts), self.coverage,
            subject.contradicted, subject.prompted,
        )  # fmt: skip

    def _rows(self) -> list[tuple[Any, ...]]:
        return [
            (
                line.source.title, line.source.kind, line.source.provider,
                " + ".join(line.channels), share_text(line.share), line.depth,
            )
            for line in self.lines
        ]  # fmt: skip

    def __str__(self) -> str:
        return text_table(f"Bill of {self.name}", _COLUMNS, self._rows())

    def _repr_html_(self) -> str:
        return html_table(f"Bill of {self.name}", _COLUMNS, self._rows())
