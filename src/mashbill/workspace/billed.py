"""The bill of an artifact with its verdicts, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.lineage.bills.bill import Coverage, Line, bill
from mashbill.lineage.bills.definitions import SHIPPED, Verdict, judge_all
from mashbill.lineage.bills.difference import LinePair, compare_bills, compare_verdicts
from mashbill.lineage.bills.prompted import covered_with
from mashbill.lineage.bills.summary import summary
from mashbill.lineage.bills.text import share_text
from mashbill.lineage.catalogue.unsettled import Unsettled, unsettled
from mashbill.policy.statuses import COUNTED
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.artifact import LearnedFrom
    from mashbill.lineage.subject import Subject
    from mashbill.policy.statuses import Status

_COLUMNS = ("source", "kind", "provider", "channels", "share of tokens", "hops")


@dataclass(frozen=True)
class Billed:
    """What an artifact was distilled from, and what each definition concludes."""

    subject: Subject
    lines: tuple[Line, ...]
    """most direct and largest first"""
    verdicts: tuple[tuple[Verdict, Verdict], ...] = field(repr=False)
    """of each definition: on closed models, and on any model"""
    definitions: tuple[str, ...] = SHIPPED
    """those that were asked, by name or file"""
    claims: tuple[Status, ...] = COUNTED
    """statuses of the claims that count, where the catalogue is asked"""

    @classmethod
    def of(
        cls,
        subject: Subject,
        definitions: Sequence[str] = SHIPPED,
        *,
        paths: int = 1,
        claims: Sequence[Status] = COUNTED,
    ) -> Billed:
        """Read the bill of a subject.

        Args:
            subject: an artifact of a store, or a public one.
            definitions: names of shipped ones, or TOML files.
            paths: that a verdict shows.
            claims: statuses of the claims that count.
        """
        circuit = subject.circuit
        lines, verdicts = bill(circuit), judge_all(circuit, definitions, paths=paths)
        return cls(subject, tuple(lines), tuple(verdicts), tuple(definitions), tuple(claims))

    @property
    def name(self) -> str:
        """Whose bill it is."""
        return self.subject.name

    @cached_property
    def coverage(self) -> Coverage:
        """How much of it has a recorded origin, all the way back."""
        return covered_with(self.subject.circuit, self.subject.prompted)

    @cached_property
    def unsettled(self) -> tuple[Unsettled, ...]:
        """Verdicts on a public one that would differ if claims were counted otherwise."""
        subject = self.subject
        if subject.entity is None or subject.lineage is None:
            return ()
        catalogue = subject.lineage.catalogue
        return tuple(unsettled(catalogue, subject.entity, self.definitions, self.claims))

    @property
    def learned_from(self) -> tuple[LearnedFrom, ...]:
        """Of a model: rows, tokens, epochs and loss weights of each dataset that it learned from.

        Empty of a dataset, a public model, and one that a release before 0.3 made.
        """
        return self.subject.manifest.learned_from if self.subject.manifest else ()

    def against(self, other: Billed | str) -> Difference:
        """Return only how this bill and another one differ, or how two definitions differ on it.

        Args:
            other: a bill of the same definitions; or a definition, by name or file.
        """
        if isinstance(other, Billed):
            pairs = compare_bills(self.lines, other.lines)
            verdicts = compare_verdicts(self.verdicts, other.verdicts)
            return Difference(self.name, other.name, tuple(pairs), tuple(verdicts))
        asked = judge_all(self.subject.circuit, (other,) * len(self.definitions))
        verdicts = compare_verdicts(self.verdicts, asked)
        return Difference("/".join(self.definitions), other, (), tuple(verdicts))

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
        told = summary(
            subject.name, digest, list(self.lines), list(self.verdicts), self.coverage,
            subject.contradicted, subject.prompted, self.learned_from,
        )  # fmt: skip
        return {**told, "unsettled": [vars(doubt) for doubt in self.unsettled]}

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


@dataclass(frozen=True)
class Difference:
    """How two bills differ, or two definitions on one."""

    first: str
    second: str
    lines: tuple[LinePair, ...]
    """sources that are in one only, or in both with other shares or depths"""
    verdicts: tuple[tuple[Verdict, Verdict], ...] = field(repr=False)
    """asked alike and concluded otherwise"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program, as ``bill --against --json`` does."""
        return {
            "first": self.first,
            "second": self.second,
            "lines": [pair.as_json() for pair in self.lines],
            "verdicts": [[one.as_json(), two.as_json()] for one, two in self.verdicts],
        }

    def _table(self) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        rows: list[tuple[Any, ...]] = [
            (pair.either.source.title, *(line and share_text(line.share) for line in
                                         (pair.first, pair.second)))
            for pair in self.lines
        ]  # fmt: skip
        for one, two in self.verdicts:
            rows.append((f"verdict {one.definition.name}", one.conclusion, two.conclusion))
        return f"{self.first} and {self.second} differ in", ("", self.first, self.second), rows

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())
