"""How a case is told in words: its heading, its strengths, its times."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mashbill.core.plain import counted

if TYPE_CHECKING:
    from collections.abc import Collection

    from mashbill.conduct.evidence.case import Case

FINDINGS = {
    "J": "prompts made to get round a model's rules",
    "X": "asking for what is not offered",
    "I": "many accounts that act as one",
    "L": "getting round limits",
}
TIERS = {
    "note": "A note. Nothing follows from it by itself.",
    "review": "For review. A person looks at it before anything is done.",
    "act": "Strong enough to act on, where the operator's configuration says so.",
}
SIGNALS = {
    "handover": "Another account takes over after a limit",
    "succession": "Another account goes on after a ban",
    "inheritance": "What a banned account had, a newcomer has",
    "partition": "One list of work, divided",
    "sharing": "Prompts of one making",
    "timing": "Busy at the same moments",
    "evenness": "Equal shares",
    "linkage": "What few others have in common",
    "replay": "Sealed reasoning from elsewhere",
    "wording": "How requests are worded",
}
CONTEXT = {
    "volume": "how much",
    "narrowness": "how narrow",
    "client": "client program",
    "address": "address",
    "templates": "how alike",
    "release": "when",
}
_SUPER = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_LARGE = ((9, "billion"), (6, "million"))


def headline(case: Case) -> str:
    """Return the finding in one plain sentence, without its full stop."""
    number = len(case.subject.accounts)
    signals = {one.signal for one in case.evidence}
    is_one = case.subject.kind == "account"
    who = "This account" if is_one else f"These {counted(number, 'account')}"
    does = "s" if is_one else ""
    if case.finding == "J":
        return f"{who} send{does} prompts made to get round the model's rules"
    if case.finding == "X":
        if signals == {"replay"}:
            return f"{who} present{does} sealed reasoning that was made for others"
        return f"{who} ask{does} for reasoning or instructions that are not offered"
    if case.finding == "I":
        if is_one:
            return "This account goes on with the work of one that was banned"
        return f"{who} act as one"
    if is_one:
        return "This account takes part in getting round a limit"
    return f"{who} get round a limit together"


def odds(log10_e: float) -> str:
    """Return an e-value as "N to 1", of two digits."""
    if log10_e < 0:
        return f"1 to {_amount(-log10_e)}"
    return f"{_amount(log10_e)} to 1"


def _amount(power: float) -> str:
    """Return 10 to a power of at least 0, in words that can be read aloud where there are any."""
    if power >= 12:
        return power_of_ten(math.floor(power))
    value = 10.0**power
    value = round(value, 1 - math.floor(math.log10(value) + 1e-12))
    for digits, word in _LARGE:
        if value >= 10.0**digits:
            return f"{value / 10**digits:,.4g} {word}"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def power_of_ten(power: int) -> str:
    """Return a power of ten as print has it."""
    return f"10{str(power).translate(_SUPER)}"


def moment(time: int) -> datetime:
    """Return a moment of a case: from microseconds since 1970."""
    return _BEGIN + timedelta(microseconds=time)


def told(time: int) -> str:
    """Return a moment to the minute."""
    return moment(time).strftime("%Y-%m-%d %H:%M")


def lasting(span: int) -> str:
    """Return how long some microseconds are, in the unit that leaves few digits."""
    seconds = max(span, 0) / _SECOND
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return counted(round(seconds / size), noun)
    return counted(round(seconds), "second")


def share(part: int, whole: int) -> str:
    """Return a share in percent; small ones keep a digit."""
    if not whole:
        return "none"
    percent = 100 * part / whole
    if part and percent < 0.1:
        return "less than 0.1%"
    return f"{percent:.1f}%" if percent < 10 and part else f"{percent:.0f}%"


def number(value: float) -> str:
    """Return a number of a statistic: whole ones whole, others of four digits."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}"


def found_sentence(case: Case) -> str:
    """Return when it was found, and what had been served until then."""
    after = lasting(case.found - case.first)
    text = f"Found {told(case.found)} UTC, {after} after the first exchange."
    if case.exchanges_before is None:
        return text
    until = case.exchanges_before
    if not until:
        return f"{text} Nothing had been served until then."
    if until == case.exchanges:
        return f"{text} Until then {counted(until, 'exchange')} {was(until)} served."
    part = share(until, case.exchanges)
    whole = counted(case.exchanges, "exchange")
    return f"{text} Until then {until:,} of {whole} {was(until)} served: {part}."


def was(count: int) -> str:
    """Return the verb of so many things that were."""
    return "was" if count == 1 else "were"


def sentence(text: str) -> str:
    """Return a text as a sentence: with a capital letter and a full stop."""
    text = text.strip()
    end = "" if text.endswith((".", "!", "?", "…")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


ANEW = frozenset({"evenness", "timing"})
"""signals of the last days alone, told anew at each look"""


def chance(log10_e: float, signals: Collection[str] = ()) -> str:
    """Return what an e-value says of honest use, as one sentence.

    Args:
        log10_e: it.
        signals: that it is of; with some of :data:`ANEW` it holds of each look, and not of all.
    """
    when = "each time that one looks" if ANEW & set(signals) else "at whatever time one looks"
    if log10_e <= 0:
        return "Taken together, the evidence speaks for honest use."
    return (
        "If this were honest use, as each comparison below describes it, a strength of that size "
        f"or more would come about by chance once in {_amount(log10_e)} at most, {when}."
    )


def discovery_sentence(case: Case) -> str:
    """Return at which rate of false discoveries the case stands; empty if that was not tested."""
    one = case.discovery
    if one is None:
        return ""
    return (
        f"It is number {one.rank:,} by strength of {one.tested:,} that were tested. Of all that "
        f"are reported with it, {100 * one.alpha:.3g}% at most are false on average ({one.method})."
    )
