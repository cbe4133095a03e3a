"""House rules put to an artifact, to each line of its bill, and to what is not recorded there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mashbill.lineage.bills.bill import Line, bill, coverage
from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.circuit.arrays import TYPES, Circuit
from mashbill.lineage.duties.rule_facts import licence_facts, source_facts, use_facts
from mashbill.lineage.duties.unsettled_facts import (
    behind_line,
    behind_root,
    behind_words,
    named_ends,
    of_artifact,
    with_words,
)
from mashbill.policy.house import apply_rule, apply_to_unrecorded

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from mashbill.core.use import Use
    from mashbill.lineage.bills.prompted import PromptCoverage
    from mashbill.lineage.duties.obligations import OutputLicence
    from mashbill.policy.decision import Decision
    from mashbill.policy.house import HouseRule, Unsettled

_ALL = (0.0, 1.0)


@dataclass(frozen=True)
class RulesPut:
    """What house rules are put to: an artifact, or what a plan would make."""

    circuit: Circuit
    about: str
    """its name, for people"""
    use: Use
    as_of: date
    decisions: tuple[Decision, ...]
    """what terms and licences decided"""
    licence: OutputLicence
    is_planned: bool = False
    """it is not made yet, so shares are not known"""
    prompted: PromptCoverage | None = None
    """whose words teachers were asked by, where a store tells it"""

    @cached_property
    def held(self) -> dict[str, Any]:
        """Facts that every rule may go by, whatever is not recorded."""
        root = self.circuit.root
        kind = TYPES[self.circuit.type[root]]
        if self.circuit.described[root]:  # how much is recorded of a public thing changes no kind
            kind = self.circuit.source(root).what
        return {"artifact": {"name": self.about, "kind": kind}, "use": use_facts(self.use)}

    @cached_property
    def lines(self) -> list[Line]:
        """The bill."""
        return bill(self.circuit)

    @cached_property
    def ends(self) -> frozenset[str]:
        """Sources at which the record ends before lineage does."""
        return named_ends(self.circuit)

    @cached_property
    def of_artifact(
        self,
    ) -> tuple[dict[str, Any], dict[str, tuple[float, float]], Unsettled | None]:
        """Facts of the artifact, those that are intervals, and what holds in any case."""
        verdicts = [verdict for verdict, _ in judge_all(self.circuit)]
        facts = {
            **self.held,
            "verdicts": {
                verdict.definition.name: {
                    "conclusion": verdict.conclusion,
                    "depth": verdict.depth or 0,
                    "share_low": 0.0 if self.is_planned else verdict.share[0],
                    "share_high": 1.0 if self.is_planned else verdict.share[1],
                }
                for verdict in verdicts
            },
            **licence_facts(self.licence),
            "obligations": [
                {"code": item.clause.code, "state": item.state, "document": item.document.id}
                for item in self.licence.obligations
            ],
            "sources": [source_facts(line.source) for line in self.lines],
            "denied": sum(decision.outcome == "deny" for decision in self.decisions),
            "in_review": sum(decision.outcome == "review" for decision in self.decisions),
        }
        prompted = self.prompted
        covered = coverage(self.circuit, prompted.nodes if prompted else ())
        intervals = {
            "coverage": _ALL if self.is_planned else covered.recorded,
            "named": _ALL if self.is_planned else covered.named,
            "coverage_prompt": prompted.recorded if prompted and not self.is_planned else _ALL,
        }
        behind = of_artifact(self.circuit, facts, intervals, verdicts)
        if self.by_words is not None:
            behind = with_words(behind, self.by_words, facts, intervals)
        return facts, intervals, behind

    @cached_property
    def by_words(self) -> Unsettled | None:
        """What holds of the sources of prompts of which nobody says whose words they are."""
        if self.prompted is None or not self.prompted.undeclared:
            return None
        return behind_words(self.prompted, self.held, is_planned=self.is_planned)


def put_rules(rules: Iterable[HouseRule], put: RulesPut) -> list[Decision]:
    """Return what house rules say to an artifact and to each line of its bill."""
    found = []
    for rule in rules:
        if rule.about == "source":
            found += _of_sources(rule, put)
        else:
            facts, intervals, behind = put.of_artifact
            found.append(apply_rule(rule, put.about, facts, intervals, put.as_of, behind))
    return found


def _of_sources(rule: HouseRule, put: RulesPut) -> list[Decision]:
    """Return what a rule says to each line of a bill, and to what stands behind it unrecorded."""
    if rule.when.names and rule.when.names <= set(put.held):
        # It asks for nothing of a source: of each it would say the same.
        return [apply_rule(rule, put.about, put.held, {}, put.as_of)]
    found = []
    for line in put.lines:
        source = line.source
        facts = {
            **source_facts(source),
            "channels": [channel.value for channel in line.channels],
            "depth": line.depth,
            **({} if line.records is None else {"records": line.records}),
            **put.held,
        }
        shares = {
            "share": _ALL if put.is_planned else line.share,
            "owed": _ALL if put.is_planned else line.owed,
        }
        behind = behind_line(line, put.ends, put.held, is_planned=put.is_planned)
        about = f"{source.title} ({source.route})"
        found.append(apply_rule(rule, about, facts, shares, put.as_of, behind))
    nothing = behind_root(put.circuit, put.held) if not put.lines else None
    open_ends = [behind for behind in (nothing, put.by_words) if behind is not None]
    return found + [apply_to_unrecorded(rule, put.about, end, put.as_of) for end in open_ends]
