"""House rules: what a company wants of its own releases, as CEL over the same facts.

A rule is about every source of an artifact, or about the artifact. Its ``when`` is the case in
which the outcome holds. Shares are intervals: ``share`` and ``owed`` are put in at both ends, and
a rule that holds at one end only leads to review, as does a fact that is not recorded.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mashbill.core.errors import InputError
from mashbill.policy.decision import Decision, Outcome
from mashbill.policy.expressions import Expression, LackingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from pathlib import Path

OF_SOURCE = (
    "name", "version", "what", "provider", "country", "kind", "route", "license", "channels",
    "depth", "share", "owed", "records", "artifact", "use",
)  # fmt: skip
"""facts of a source, by name: as a bill's line has them"""
OF_ARTIFACT = (
    "artifact", "use", "coverage", "verdicts", "licence", "licences", "obligations", "sources",
    "denied", "in_review",
)  # fmt: skip
"""facts of an artifact, by name"""


class _RuleTable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    says: str = Field(min_length=1)
    about: Literal["source", "artifact"] = Field(alias="for", default="source")
    when: str
    outcome: Literal["deny", "review"] = "deny"


class _RuleFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: tuple[_RuleTable, ...]


@dataclass(frozen=True)
class HouseRule:
    """One rule of one file."""

    id: str
    says: str
    """what it asks for, in a sentence"""
    about: Literal["source", "artifact"]
    when: Expression
    """the case in which ``outcome`` holds"""
    outcome: Outcome
    file: str
    line: int
    """line of the file on which it begins"""


def load_rules(files: Iterable[Path]) -> list[HouseRule]:
    """Read house rules.

    Raises:
        InputError: naming file, rule and key.
    """
    rules: list[HouseRule] = []
    for file in files:
        try:
            text = file.read_text("utf-8")
            read = _RuleFile.model_validate(tomllib.loads(text))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            msg = f"{file}: cannot be read as TOML: {error}"
            raise InputError(msg) from error
        except ValidationError as error:
            lines = [
                f"{file}: {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
                for item in error.errors()
            ]
            raise InputError("\n".join(lines)) from error
        begins = [n for n, line in enumerate(text.splitlines(), 1) if line.strip() == "[[rule]]"]
        for place, table in enumerate(read.rule):
            known = OF_SOURCE if table.about == "source" else OF_ARTIFACT
            rules.append(
                HouseRule(
                    table.id,
                    table.says,
                    table.about,
                    Expression(table.when, f"{file}: rule {table.id}", known),
                    table.outcome,
                    str(file),
                    begins[place] if place < len(begins) else 1,
                )
            )
    return rules


def apply_rule(
    rule: HouseRule,
    about: str,
    facts: Mapping[str, Any],
    intervals: Mapping[str, tuple[float, float]],
    as_of: date,
) -> Decision:
    """Return what a rule says about one source or artifact.

    Args:
        rule: the rule.
        about: what it is put to, for people.
        facts: by name.
        intervals: facts that are known between two ends only.
        as_of: the day that is asked about.
    """
    used = {name: facts[name] for name in sorted(rule.when.names & set(facts))}
    used |= {name: list(intervals[name]) for name in sorted(rule.when.names & set(intervals))}

    def decided(outcome: Outcome, because: str, lacking: tuple[str, ...] = ()) -> Decision:
        return Decision(
            outcome, "house rule", rule.id, about, because, as_of, document=rule.file,
            title=f"house rule {rule.id}", used=used, lacking=lacking,
            pointer={"path": rule.file, "line": str(rule.line)},
        )  # fmt: skip

    ends = [
        {**facts, **{name: interval[end] for name, interval in intervals.items()}} for end in (0, 1)
    ]
    try:
        low, high = (rule.when.holds(end) for end in ends)
    except LackingError as error:
        return decided("review", f"{rule.says} It cannot be put: {error}", (str(error),))
    if low and high:
        found = ", ".join(f"{name} {_told(used[name])}" for name in used if name in rule.when.names)
        return decided(rule.outcome, f"{rule.says} Found: {found}")
    if low or high:
        unsure = sorted(rule.when.names & set(intervals))
        between = ", ".join(
            f"{name} between {intervals[name][0]:.3g} and {intervals[name][1]:.3g}"
            for name in unsure
        )
        return decided("review", f"{rule.says} It depends on what is not known: {between}",
                       tuple(unsure))  # fmt: skip
    return decided("allow", rule.says)


def _told(value: Any) -> str:
    """Say a fact in a few words."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, float) for v in value):
        return f"{value[0]:.3g}" if value[0] == value[1] else f"{value[0]:.3g} to {value[1]:.3g}"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
