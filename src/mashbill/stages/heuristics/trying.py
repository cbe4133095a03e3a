"""Trying rules on texts: which one turns a text down, with value and limit, and how often each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mashbill.core.explaining import near
from mashbill.core.stage import StageContext
from mashbill.files.rows.prose import Prose
from mashbill.stages.heuristics.rules import ALSO, ENGLISH, FAMILIES, RULES, Rule, stop_words

_MANY, _NEARLY = 20, 0.95
"""rows that a rule was tried on, and the share of them from which on it is told that it took all"""


def chosen(
    names: Sequence[str], limits: Mapping[str, float], words: Sequence[str]
) -> tuple[Rule, ...]:
    """Return the rules of some families or names, in the order in which they are tried.

    Args:
        names: families and rules.
        limits: rule -> the limit that takes the place of the paper's.
        words: stop words; English ones if there are none.

    Raises:
        ValueError: naming what is no rule, or a limit of a rule that is not chosen.
    """
    wanted: set[str] = set()
    for name in (each for one in names for each in ALSO.get(one, (one,))):
        if name not in FAMILIES and name not in RULES:
            told = near(name, [*ALSO, *FAMILIES, *RULES]) or f"; families: {', '.join(FAMILIES)}"
            msg = f"{name!r} is no rule and no family of rules{told}"
            raise ValueError(msg)
        wanted.update(FAMILIES.get(name, (name,)))
    for name, limit in limits.items():
        if math.isnan(limit):
            msg = f"limits.{name} is NaN; to leave a rule out, name the others in heuristics"
            raise ValueError(msg)
        if name not in wanted:
            told = near(name, wanted) or f"; chosen are {', '.join(sorted(wanted)) or 'none'}"
            msg = f"limits.{name} is a limit of no rule that is chosen{told}"
            raise ValueError(msg)
    found = [replace(RULES[name], limit=limits.get(name, RULES[name].limit))
             for name in RULES if name in wanted]  # fmt: skip
    return tuple(
        replace(rule, value=stop_words(tuple(words)))
        if words and rule.name == "gopher-stop-words"
        else rule
        for rule in found
    )


class Trying:
    """Tries rules on the texts of a slice."""

    def __init__(self, rules: Sequence[Rule], words: Sequence[str] = ()) -> None:
        """Prepare.

        Args:
            rules: in the order in which they are tried.
            words: stop words that the user gave.
        """
        self._rules = tuple(rules)
        self._own_words = bool(words) and tuple(words) != ENGLISH
        self.counts: dict[str, dict[str, int]] = {
            rule.name: {"tried": 0, "rejected": 0, "left_out": 0} for rule in self._rules
        }

    def reason(self, text: str) -> str | None:
        """Return which rule turns a text down first, with value and limit; None if none does."""
        prose = Prose(text)
        for rule in self._rules:
            counts = self.counts[rule.name]
            own = self._own_words and rule.needs == "english"
            if not rule.says_of(prose, own_words=own):
                counts["left_out"] += 1
                continue
            counts["tried"] += 1
            value = rule.value(prose)
            if rule.turns_down(value, rule.limit):
                counts["rejected"] += 1
                return f"{rule.name}: {_told(value)} {rule.counts}, {rule.side} {_told(rule.limit)}"
        return None

    def tell(self, ctx: StageContext) -> None:
        """Put the counts among the measures, and warn of a rule that left nothing."""
        measured: dict[str, Any] = ctx.measures.setdefault("rules", {})
        for name, counts in self.counts.items():
            own = measured.setdefault(name, dict.fromkeys(counts, 0))
            for key, count in counts.items():
                own[key] += count
            if counts["tried"] >= _MANY and counts["rejected"] >= _NEARLY * counts["tried"]:
                others = ", others left out, of which it says nothing" * (counts["left_out"] > 0)
                ctx.warn(
                    f"rule {name} turned down nearly all rows of a shard that it was tried on"
                    f"{others}{_why(name)}"
                )


def _why(name: str) -> str:
    if name == "gopher-stop-words":
        return ": it looks for English words; set stop_words to those of the texts' language"
    return "; it may be made for other texts than these: set its limit, or leave it out"


def _told(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:.4g}"
