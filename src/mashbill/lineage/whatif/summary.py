"""A scenario and its outcome, as tables, JSON and the page tell them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.lineage.whatif.flows import flows_of
from mashbill.lineage.whatif.foremost import foremost
from mashbill.lineage.whatif.lead import STEPS, LeadTimes, after
from mashbill.lineage.whatif.one_gap import one_gap
from mashbill.lineage.whatif.population import impact_in_all, score
from mashbill.lineage.whatif.roles import CHANNELS, SERVES
from mashbill.lineage.whatif.roster import Hit, Roster
from mashbill.lineage.whatif.series import by_quarter
from mashbill.lineage.whatif.substitutes import lost_places, told_place
from mashbill.lineage.whatif.unknowns import Bounds, bounds
from mashbill.lineage.whatif.words import counted, first_line, spoken_day

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.source import Channel
    from mashbill.lineage.whatif.passes import Outcome
    from mashbill.lineage.whatif.population import Population
    from mashbill.lineage.whatif.scenarios import Scenario
    from mashbill.lineage.whatif.things import Things

GROUPED_BY = ("provider", "country", "kind", "what")
SUBSTITUTES_SHOWN = 5
PLACES_TOLD = 25
GROUPS_TOLD = 40
ARTIFACTS_TOLD = 200
"""so many of each are told; the counts are over all"""

_STANDS = {
    "open-weights": "as weights",
    "public-dataset": "as data",
    "closed-api": "while its maker serves it",
}
NOT_RECORDED = "not recorded"
MADE_AGAIN = (
    "with what stays, or what is known to fit",
    "only with what might fit",
    "no substitute of which enough is known",
)


@dataclass(frozen=True)
class Summary:
    """A scenario and its outcome."""

    scenario: Scenario
    things: Things
    outcome: Outcome
    lead: LeadTimes
    population: Population | None = None
    """the list over which the score is told; there is no score without one"""
    ids: Mapping[str, str] = field(default_factory=dict)
    """lower-case id or alias -> id"""

    @cached_property
    def roster(self) -> Roster:
        """Things, each once."""
        return Roster.of(self.things)

    @cached_property
    def hit(self) -> Hit:
        """What becomes of each."""
        return Hit.of(self.roster, self.outcome)

    @cached_property
    def bounds(self) -> Bounds:
        """What claims that are missing could change."""
        return bounds(self.things, self.outcome.removed)

    @cached_property
    def _kinds(self) -> dict[str, np.ndarray]:
        return {"models": self.roster.is_model, "datasets": self.roster.is_data}

    def affected(self, most: int | None = None) -> list[int]:
        """Return the things that stay and lose an ancestor, the hardest hit first.

        Args:
            most: how many are wanted; all if None.
        """
        hit = self.hit
        at = np.flatnonzero(hit.stays)
        order = at[np.lexsort((-hit.low[at], -hit.high[at]))]
        if most is not None and len(order) > most:
            least = order[most - 1]
            order = order[hit.high[order] >= hit.high[least]][: most * 20]

        def rank(node: int) -> tuple[float, float, str]:
            impact = self.outcome.impact.at(node)
            return -impact.high, -impact.low, self.things.title(node)

        return sorted(self._node(order).tolist(), key=rank)[:most]

    def _node(self, entries: np.ndarray) -> np.ndarray:
        """Return a node of each entry that stays."""
        roster = self.roster
        stays = np.where(self.outcome.removed[roster.nodes], np.iinfo(np.int64).max, roster.nodes)
        least = np.minimum.reduceat(stays, roster.first) if len(roster) else stays
        found: np.ndarray = least[entries]
        return found

    def groups(self, fact: str) -> list[dict[str, Any]]:
        """Return how many of each group are made, go, and lose an ancestor.

        Under a definition, those that stay are counted.
        """
        column = self.things.columns[fact]
        code = column.code[self.roster.node]
        columns = {
            key: np.bincount(code[entries], minlength=len(column.values))
            for key, entries in self._counted.items()
        }
        some = np.flatnonzero((columns["lose"] > 0) | (columns["go"] > 0))
        ranks = [columns["stay_and_lose"], columns["go"]]
        first = foremost(some, ranks, column.values, GROUPS_TOLD)
        rows = [
            {fact: column.values[at] or NOT_RECORDED, **{k: int(c[at]) for k, c in columns.items()}}
            for at in first
        ]
        if rest := len(some) - len(first):
            others = {k: int(c[some].sum() - c[first].sum()) for k, c in columns.items()}
            rows.append({fact: f"{rest:,} others", **others})
        return rows

    @cached_property
    def _counted(self) -> dict[str, np.ndarray]:
        """Entries of each column of groups."""
        hit = self.hit
        columns = {"made": self.roster.recorded, "go": hit.goes, "lose": hit.loses,
                   "stay_and_lose": hit.stays, **self._under}  # fmt: skip
        return {key: np.flatnonzero(mask).astype(np.int32) for key, mask in columns.items()}

    @cached_property
    def _under(self) -> dict[str, np.ndarray]:
        """Which entries stay and lose an ancestor, by definition; each bool, shape (entries,)."""
        each, stays = self.roster.each, self.hit.stays
        return {
            d.definition.name: each(np.logical_or, d.reached) & stays
            for d in self.outcome.definitions
        }

    def roles(self) -> list[dict[str, Any]]:
        """Return each role that what stays loses: how many do, and for how many nothing follows."""
        outcome, roster = self.outcome, self.roster
        masks = [
            np.where(self.hit.stays, roster.each(np.bitwise_or, part), np.uint8(0))
            for part in (outcome.lost, outcome.unfitted, outcome.unserved)
        ]
        rows = []
        for place, channel in enumerate(CHANNELS):
            lost, unfitted, unserved = (int((mask >> place & 1).sum()) for mask in masks)
            if lost:
                told = {"role": SERVES[channel], "channel": channel.value, "lost_by": lost}
                rows.append({**told, "none_known_to_fit": unfitted, "none_that_might": unserved})
        return sorted(rows, key=lambda row: -row["lost_by"])

    def lost(self) -> dict[str, Any]:
        """Return what goes and served, most used first, each with who could take its place."""
        outcome = self.outcome
        found, in_all = lost_places(self.things, outcome.removed, outcome.uses, PLACES_TOLD)
        told = [
            told_place(self.things, outcome.places, outcome.uses, lost, SUBSTITUTES_SHOWN)
            for lost in found
        ]
        return {"in_all": in_all, "told": told}

    def artifact(self, node: int) -> dict[str, Any]:
        """Return everything about one affected thing."""
        outcome, columns = self.outcome, self.things.columns
        impact = outcome.impact.at(node)
        again = self._again[node]
        return {
            "name": columns["name"][node],
            "what": columns["what"][node],
            "provider": columns["provider"][node],
            "country": columns["country"][node],
            "released": columns["released"][node],
            "stands": _STANDS.get(columns["kind"][node], NOT_RECORDED),
            "definitions": {
                d.definition.name: {
                    "loses": bool(d.reached[node]),
                    "hops": int(d.depth[node]) if d.depth[node] >= 0 else None,
                    "share": list(d.share(node)) if d.reached[node] else None,
                }
                for d in outcome.definitions
            },
            "loses_directly": [SERVES[c] for c in _channels(int(outcome.lost[node]))],
            "keeps_an_unaffected_path": bool(outcome.keeps[node]),
            "made_again": MADE_AGAIN[again],
            "rebuild_steps": int(outcome.in_a_row.at(node)),
            "rebuilt_by": None if again == 2 else self._days(node),
            "impact": {
                "score": [round(100 * end, 1) for end in (impact.low, impact.high)],
                "channel": impact.channel,
                "share": [impact.share_low, impact.share_high],
                "nearness": impact.nearness,
            },
        }

    @cached_property
    def _again(self) -> np.ndarray:
        """Place in MADE_AGAIN of each node, uint8, shape (n,)."""
        found: np.ndarray = self.outcome.without.astype(np.uint8) + self.outcome.without_any
        return found

    def _days(self, node: int) -> list[str | None]:
        ends = (after(self.scenario.start, round(end.at(node))) for end in self.outcome.takes)
        return [None if day is None else day.isoformat() for day in ends]

    def _stand(self) -> dict[str, dict[str, int]]:
        """Return how many of what stays and loses can be had in which way, models and data."""
        kind = self.things.columns["kind"]
        words = (*_STANDS.values(), NOT_RECORDED)
        way = [words.index(_STANDS.get(value, NOT_RECORDED)) for value in kind.values]
        how = np.array(way, np.uint8)[kind.code[self.roster.node]]
        stays = self.hit.stays
        return {
            key: {word: int((stays & which & (how == at)).sum()) for at, word in enumerate(words)}
            for key, which in self._kinds.items()
        }

    def _made_again(self) -> dict[str, dict[str, int]]:
        again = self.roster.each(np.maximum, self._again)
        stays = self.hit.stays
        return {
            key: {
                word: int((stays & which & (again == at)).sum())
                for at, word in enumerate(MADE_AGAIN)
            }
            for key, which in self._kinds.items()
        }

    def _unknown(self) -> dict[str, dict[str, int]]:
        parts = {
            "if_nothing_recorded": self.bounds.if_nothing_recorded,
            "if_anything_missing": self.bounds.if_anything_missing,
        }
        every = {name: self.roster.each(np.logical_or, mask) for name, mask in parts.items()}
        return {
            key: {
                "recorded": int((self.hit.any & which).sum()),
                **{name: int((mask & which).sum()) for name, mask in every.items()},
                "in_all": int(which.sum()),
            }
            for key, which in self._kinds.items()
        }

    def _open(self) -> dict[str, Any]:
        """Return for how many things it is not known whether they go, and what is not recorded."""
        roster = self.roster
        parts = {
            fact: roster.each(np.logical_or, mask) & ~self.hit.goes
            for fact, mask in self.scenario.lacking.items()
        }
        every = np.logical_or.reduce([np.zeros(len(roster), bool), *parts.values()])
        return {
            "things": int(every.sum()),
            **{key: int((every & which).sum()) for key, which in self._kinds.items()},
            "not_recorded": {fact: int(mask.sum()) for fact, mask in parts.items()},
        }

    def flows(self) -> list[tuple[str, str, str, int]]:
        """Return (provider of what goes, role, provider of who loses, artifacts) for a drawing."""
        return flows_of(self.things, self.outcome)

    def as_json(self, most: int = ARTIFACTS_TOLD) -> dict[str, Any]:
        """Return it for a program.

        Args:
            most: how many artifacts are told; the counts are over all.
        """
        roster, hit, outcome = self.roster, self.hit, self.outcome
        told = [self.artifact(node) for node in self.affected(most)]

        def staying(mask: np.ndarray) -> np.ndarray:
            found: np.ndarray = roster.each(np.logical_or, mask) & hit.stays
            return found

        def by_kind(mask: np.ndarray) -> dict[str, int]:
            return {key: int((mask & which).sum()) for key, which in self._kinds.items()}

        facts: dict[str, Any] = {
            "title": self.scenario.title,
            "scenario": self.scenario.asked,
            "from": self.scenario.start.isoformat(),
            "from_in_words": spoken_day(self.scenario.start),
            "only_new_use_is_barred": self.scenario.is_terms,
            "removed": int(hit.goes.sum()),
            "barred": int((hit.goes | hit.partly).sum()),
            "not_known_whether_they_go": self._open(),
            "made": int(roster.recorded.sum()),
            "lose_an_ancestor": int(hit.loses.sum()),
            "stay_and_lose": int(hit.stays.sum()),
            "hit": int(hit.any.sum()),
            "under": {name: by_kind(mask) for name, mask in self._under.items()},
            "keep_an_unaffected_path": int(staying(outcome.keeps).sum()),
            "without_substitute": [
                int(staying(part).sum()) for part in (outcome.without_any, outcome.without)
            ],
            "impact": {
                **{key: impact_in_all(roster, hit, which) for key, which in self._kinds.items()},
                "over_a_list": (
                    None
                    if self.population is None
                    else score(self.population, roster, hit, self.ids)
                ),
            },
            "unknown": self._unknown(),
            "one_gap": one_gap(roster, hit, self.bounds.gap, self._kinds).as_json(roster),
            "stand": self._stand(),
            "made_again": self._made_again(),
            "by_quarter": {key: by_quarter(roster, hit, w) for key, w in self._kinds.items()},
            "groups": {fact: self.groups(fact) for fact in GROUPED_BY},
            "roles": self.roles(),
            "lost": self.lost(),
            "lead_times": lead_facts(self.lead),
            "artifacts_in_all": int(hit.stays.sum()),
            "artifacts": told,
        }
        return {"first_lines": first_line(facts), **facts}


def counted_over(things: Things, where: str, by: str) -> str:
    """Return the sentence that says what scenarios are put to.

    Args:
        things: what they are put to.
        where: the catalogue, or a store.
        by: by what a making is recorded.
    """
    roster = Roster.of(things)
    models, data = int(roster.is_model.sum()), int(roster.is_data.sum())
    recorded = [int((roster.recorded & which).sum()) for which in (roster.is_model, roster.is_data)]
    return (
        f"{where[0].upper()}{where[1:]} has {counted(models, 'model')} and "
        f"{counted(data, 'dataset')}; of {recorded[0]:,} models and {recorded[1]:,} datasets "
        f"something is recorded about their making, by {by}."
    )


def rebuilt_words(artifact: dict[str, Any]) -> str:
    """Say when something could be made anew, as :meth:`Summary.artifact` tells it."""
    if artifact["rebuilt_by"] is None:
        return MADE_AGAIN[2]
    first, last = (day or "beyond the calendar" for day in artifact["rebuilt_by"])
    days = first if first == last else f"{first} to {last}"
    if artifact["made_again"] == MADE_AGAIN[1]:
        return f"{days}, if a substitute fits"
    return days


def lead_facts(lead: LeadTimes) -> dict[str, Any]:
    """Return the lead times with what is stated, where, and what is assumed."""
    if lead.fixed is not None:
        return {"every_step_months": lead.fixed, "because": "--lead-months says so"}
    return {
        STEPS[step]: [
            {"below_parameters": None if row.below == float("inf") else row.below,
             "months": row.months, "states": row.states, "source": row.source,
             "assumption": row.assumption}
            for row in rows
        ]
        for step, rows in lead.rows.items()
    }  # fmt: skip


def _channels(mask: int) -> list[Channel]:
    return [channel for place, channel in enumerate(CHANNELS) if mask >> place & 1]
