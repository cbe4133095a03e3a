"""What breaks if some sources go, or if terms change: scenarios put to a store or the catalogue."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.lineage.bills.definitions import load_definitions
from mashbill.lineage.whatif import lead, population
from mashbill.lineage.whatif.beside import side_by_side
from mashbill.lineage.whatif.hub_facts import things_of_index
from mashbill.lineage.whatif.scenarios import Scenario, forbidding, removing, tell
from mashbill.lineage.whatif.summary import ARTIFACTS_TOLD, Summary, counted_over
from mashbill.lineage.whatif.things import Things, things_of_store
from mashbill.policy.documents import load_registry
from mashbill.policy.index import Names
from mashbill.policy.statuses import COUNTED
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from mashbill.core.store import Store
    from mashbill.policy.documents import Registry
    from mashbill.policy.index import Index
    from mashbill.policy.statuses import Status
    from mashbill.workspace.recipes import PathLike


@dataclass(frozen=True)
class WhatIf:
    """Scenarios, and what each does to everything on record."""

    as_of: date
    """the day whose terms substitutes were held against"""
    counted: str
    """a sentence on what the scenarios were put to"""
    scenarios: tuple[Summary, ...] = field(repr=False)
    most: int = ARTIFACTS_TOLD
    """artifacts of each that are told; counts are over all"""

    @cached_property
    def facts(self) -> list[dict[str, Any]]:
        """Each scenario for a program."""
        return [item.as_json(self.most) for item in self.scenarios]

    def as_json(self) -> dict[str, Any]:
        """Return it for a program, as ``whatif --json`` does."""
        return {
            "as_of": self.as_of.isoformat(),
            "counted": self.counted,
            "scenarios": self.facts,
        }

    def write(self, to: PathLike) -> Path:
        """Write one HTML page that opens offline."""
        from mashbill.report.whatif import write_whatif

        flows = [item.flows() for item in self.scenarios]
        return write_whatif(self.facts, flows, Path(to), as_of=self.as_of, counted=self.counted)

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        names = ["", *(item["title"] for item in self.facts)]
        rows = [[name, *values] for name, values in side_by_side(self.facts)]
        return f"What if? {self.counted}", names, rows

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


@dataclass(frozen=True)
class Asked:
    """What goes, in which words, and by which definitions and terms it is told."""

    remove: tuple[str, ...] = ()
    """CEL over facts of things; each is a scenario"""
    terms: tuple[str, ...] = ()
    """PROVIDER forbids training from YYYY-MM-DD; each is a scenario"""
    title: tuple[str, ...] = ()
    """in words; the first belongs to the first of ``remove``"""
    definition: tuple[str, ...] = ("A", "B", "C")
    lead_months: int | None = None
    """months that every rebuild takes; by step and size if None"""
    population: PathLike | None = None
    """CSV of the names over which the score is told"""
    claims: Sequence[Status] = COUNTED
    terms_file: tuple[PathLike, ...] = ()
    most: int = ARTIFACTS_TOLD

    def of_store(self, store: Store, root: Path, day: date) -> WhatIf:
        """Put the scenarios to what a store holds, by its own records.

        Args:
            store: that is asked.
            root: its folder, as it is told.
            day: whose terms count.
        """
        things = things_of_store(store)
        sentence = counted_over(things, f"the store {root}", "its own records")
        return self._put(things, {}, sentence, day, is_public=False)

    def of_catalogue(self, index: Index, day: date) -> WhatIf:
        """Put the scenarios to public models and datasets, by the claims that count."""
        things = things_of_index(index, self.claims)
        by = f"{', '.join(self.claims)} claims"
        sentence = counted_over(things, "the catalogue", by)
        return self._put(things, Names(index), sentence, day, is_public=True)

    def _put(
        self, things: Things, ids: Mapping[str, str], sentence: str, day: date, *, is_public: bool
    ) -> WhatIf:
        registry = load_registry([Path(path) for path in self.terms_file])
        listed = population.read_population(Path(self.population)) if self.population else None
        if is_public:
            listed = listed or population.shipped()
        definitions = load_definitions(self.definition)
        times = lead.shipped() if self.lead_months is None else lead.every_step(self.lead_months)
        told = [
            tell(things, one, definitions, registry, day, lead=times, population=listed, ids=ids)
            for one in self._scenarios(things, registry, day)
        ]
        return WhatIf(day, sentence, tuple(told), self.most)

    def _scenarios(self, things: Things, registry: Registry, day: date) -> list[Scenario]:
        named = [*self.title, *[""] * (len(self.remove) - len(self.title))]
        scenarios = [
            removing(things, text, day, name) for text, name in zip(self.remove, named, strict=True)
        ]
        return scenarios + [forbidding(things, text, registry) for text in self.terms]

    def __post_init__(self) -> None:
        """Refuse what asks nothing, or names what is not there.

        Raises:
            InputError: if nothing goes, or there are more titles than expressions.
        """
        if not self.remove and not self.terms:
            msg = (
                "say what goes: remove='country == \"XX\"', or "
                "terms='P forbids training from YYYY-MM-DD'"
            )
            raise InputError(msg)
        if len(self.title) > len(self.remove):
            msg = (
                f"title: there are {len(self.title)} for {len(self.remove)} of remove; "
                "give one for each"
            )
            raise InputError(msg)
