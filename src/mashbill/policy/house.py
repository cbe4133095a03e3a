"""House rules: what a company wants of its own releases, as CEL over the same facts.

A rule is about every source of an artifact, or about the artifact. Its ``when`` is the case in
which the outcome holds. Shares are intervals: a rule that holds in a part of one only leads to
review, as does a fact that is not recorded.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mashbill.core.cells import is_missing
from mashbill.core.errors import InputError
from mashbill.core.explaining import near
from mashbill.core.toml_file import read_toml
from mashbill.core.use import Use
from mashbill.policy.decision import Decision, Outcome
from mashbill.policy.expressions import Expression, LackingError
from mashbill.policy.lacking import lacking_facts, members

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date
    from pathlib import Path

OF_SOURCE = (
    "name", "version", "what", "provider", "country", "kind", "route", "license", "channels",
    "depth", "share", "owed", "records", "artifact", "use",
)  # fmt: skip
"""facts of a source, by name: as a bill's line has them"""
OF_ARTIFACT = (
    "artifact", "use", "coverage", "coverage_prompt", "named", "verdicts", "licence", "licences",
    "obligations", "sources", "denied", "in_review",
)  # fmt: skip
"""facts of an artifact, by name"""
MEMBERS = {"use": tuple(Use.model_fields), "artifact": ("name", "kind")}
"""fact -> what can be asked of it behind a full stop"""

# Whatever may hold the like of a head, and is none, is taken first: comments and texts.
_HEAD = re.compile(
    r"""\#[^\n]*+
    |"{3}(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5} |'{3}(?:[^']|'{1,2}(?!'))*+'{3,5}
    |"(?:[^"\\\n]|\\.)*+" |'[^'\n]*+'
    |(?P<head>^[ \t]*\[\[[ \t]*(?:rule|"rule"|'rule')[ \t]*\]\])""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_CASES = 20_000
"""ways at most in which facts that are known between two ends only are tried"""


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
        text, read = read_toml(file, _RuleFile)
        begins = _begins(text)
        names = [table.id for table in read.rule]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"{file}: rule {', '.join(twice)}: there more than once; name each otherwise"
            raise InputError(msg)
        for place, table in enumerate(read.rule):
            known = OF_SOURCE if table.about == "source" else OF_ARTIFACT
            _check_members(table, f"{file}: rule {table.id}")
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


def _check_members(table: _RuleTable, where: str) -> None:
    """Refuse a rule that asks for a member that no artifact or use ever has.

    It would be taken for one that is not recorded, and want review for ever.

    Raises:
        InputError: naming it, and those there are.
    """
    for fact, there in MEMBERS.items():
        for unknown in sorted(members(table.when, fact) - set(there)):
            hint = near(unknown, there)
            if fact == "artifact" and unknown in OF_ARTIFACT:
                hint = f'; {unknown} is asked of an artifact as it is: write for = "artifact"'
            msg = f"{where}: there is no {fact}.{unknown}{hint}; {fact} has {', '.join(there)}"
            raise InputError(msg)


def _begins(text: str) -> list[int]:
    """Return the lines on which rules begin, from 1."""
    begins, line, at = [], 1, 0
    for found in _HEAD.finditer(text):
        if found["head"]:
            line, at = line + text.count("\n", at, found.start()), found.start()
            begins.append(line)
    return begins


@dataclass(frozen=True)
class Unsettled:
    """What a rule may go by whatever stands behind that which is not recorded."""

    facts: Mapping[str, Any]
    """facts that hold in any case; what could be otherwise is not among them"""
    intervals: Mapping[str, tuple[float, float]]
    """between which ends the others lie"""
    why: tuple[str, ...]
    """what is not recorded, for people"""


def apply_rule(
    rule: HouseRule,
    about: str,
    facts: Mapping[str, Any],
    intervals: Mapping[str, tuple[float, float]],
    as_of: date,
    unsettled: Unsettled | None = None,
) -> Decision:
    """Return what a rule says about one source or artifact.

    Args:
        rule: the rule.
        about: what it is put to, for people.
        facts: by name.
        intervals: facts that are known between two ends only.
        as_of: the day that is asked about.
        unsettled: where something is not recorded, what holds in spite of it; a rule that does not
            hold of what is recorded, and might of what is not, wants review.
    """
    used = {name: facts[name] for name in sorted(rule.when.names & set(facts))}
    used |= {name: list(intervals[name]) for name in sorted(rule.when.names & set(intervals))}

    def decided(outcome: Outcome, because: str, lacking: tuple[str, ...] = ()) -> Decision:
        return _decision(rule, about, outcome, because, as_of, used, lacking)

    known = _recorded(facts)
    try:
        found_so = {rule.when.holds({**known, **case}) for case in _cases(rule.when, intervals)}
    except LackingError:
        lacking = lacking_facts(rule.when.text, rule.when.names, {**facts, **intervals}, about)
        if lacking:
            are = "is" if len(lacking) == 1 else "are"
            because = f"It cannot be put: {', '.join(lacking)} {are} not recorded."
        else:
            because = f"It cannot be put to what is recorded; look at {rule.when.where}."
        return decided("review", f"{rule.says} {because}", lacking or ("an answer of the rule",))
    if found_so == {True}:
        found = ", ".join(f"{name} {_told(used[name])}" for name in used if name in rule.when.names)
        return decided(rule.outcome, f"{rule.says} Found: {found}")
    if True in found_so:
        unsure = sorted(rule.when.names & set(intervals))
        between = ", ".join(
            f"{name} between {intervals[name][0]:.3g} and {intervals[name][1]:.3g}"
            for name in unsure
        )
        because = f"{rule.says} It depends on what is not known: {between}"
        why = unsettled.why if unsettled is not None else ()
        if why:
            because += f", since it is not recorded {'; '.join(why)}"
        return decided("review", because, (*unsure, *why))
    if unsettled is not None and _might_hold(rule.when, unsettled):
        return apply_to_unrecorded(rule, about, unsettled, as_of, used)
    return decided("allow", rule.says)


def apply_to_unrecorded(
    rule: HouseRule,
    about: str,
    unsettled: Unsettled,
    as_of: date,
    used: Mapping[str, Any] | None = None,
) -> Decision:
    """Return what a rule says to what is not recorded: review, unless it cannot hold of it."""
    if not _might_hold(rule.when, unsettled):
        return _decision(rule, about, "allow", rule.says, as_of, used or {})
    because = f"{rule.says} It depends on what is not recorded: {'; '.join(unsettled.why)}"
    return _decision(rule, about, "review", because, as_of, used or {}, unsettled.why)


def _might_hold(when: Expression, unsettled: Unsettled) -> bool:
    """Return whether an expression can be true, given what holds in any case."""
    known = _recorded(unsettled.facts)
    try:
        return any(when.holds({**known, **case}) for case in _cases(when, unsettled.intervals))
    except (LackingError, _ManyCasesError):
        return True


def _decision(
    rule: HouseRule, about: str, outcome: Outcome, because: str, as_of: date,
    used: Mapping[str, Any], lacking: tuple[str, ...] = (),
) -> Decision:  # fmt: skip
    return Decision(
        outcome, "house rule", rule.id, about, because, as_of, document=rule.file,
        title=f"house rule {rule.id}", used=dict(used), lacking=lacking,
        pointer={"path": rule.file, "line": str(rule.line)},
    )  # fmt: skip


class _ManyCasesError(InputError):
    """There are more ways to try than are tried."""


def _cases(
    when: Expression, intervals: Mapping[str, tuple[float, float]]
) -> Iterator[dict[str, float]]:
    """Return values of what is known between two ends only, so that no case is left out.

    An expression can change only where a value meets a number or an end. Two values between each
    two of these are enough for expressions that compare, since two facts may meet there, too;
    for others, such as one that multiplies, it is a sample that has the ends.
    """
    used = {name: intervals[name] for name in sorted(when.names & set(intervals))}
    marks = sorted(when.numbers.union(*used.values()))
    between = [a + (b - a) * part for a, b in pairwise(marks) for part in (1 / 3, 2 / 3)]
    values = [
        [low, *(value for value in (*marks, *between) if low < value < high), high]
        if low < high
        else [low]
        for low, high in used.values()
    ]
    ways = math.prod(map(len, values))
    if ways > _CASES:
        msg = (
            f"{when.where}: {when.text:.400} holds {len(used)} facts that are not known exactly "
            f"against {len(when.numbers)} numbers, which would be tried in {ways:,} ways; divide it"
        )
        raise _ManyCasesError(msg)
    for case in product(*values):
        yield dict(zip(used, case, strict=True))


_NESTED = 20  # levels of the facts that a rule is put to, which this program makes


def _recorded(value: Any, depth: int = 0) -> Any:
    """Return facts without those that are not recorded, so that asking for one is an error.

    A number that is NaN is one that nobody has recorded.
    """
    if depth > _NESTED:
        msg = f"facts stand more than {_NESTED} levels inside each other"
        raise InputError(msg)
    if isinstance(value, dict):
        known = {key: item for key, item in value.items() if not is_missing(item)}
        return {key: _recorded(item, depth + 1) for key, item in known.items()}
    if isinstance(value, list | tuple):
        return [_recorded(item, depth + 1) for item in value]
    return value


def _told(value: Any) -> str:
    """Say a fact in a few words."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, float) for v in value):
        return f"{value[0]:.3g}" if value[0] == value[1] else f"{value[0]:.3g} to {value[1]:.3g}"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
