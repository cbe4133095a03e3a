"""The head of a page: what was made, how good it is, what it cost, in plain sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.plain import counted, listed
from mashbill.lineage.bills.telling import amount
from mashbill.report.costs import Cost, money, together
from mashbill.report.worth import ORDER, Level, Worth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.report.data.profile import DataProfile
    from mashbill.report.data.sketches import Distinct
    from mashbill.report.gather import ReportFacts

_MOSTLY = 0.5  # share of texts that repeat from which on data are poor
_MOST_SYSTEMS = 6  # that the head speaks of
_HOW = {
    "classifier": "hold rows back with a stage of kind split, let the model label them with one of "
    "kind apply, and hold them against human labels with one of kind evaluate",
}
_HOW_ELSE = (
    "hold rows back with a stage of kind split, and name the model in the key models of a stage of "
    "kind evaluate, which tells how likely the texts are to it; with a verifier in the key by it "
    "scores its answers"
)


@dataclass(frozen=True)
class Tile:
    """One number of the head."""

    name: str
    value: str
    more: str = ""


@dataclass(frozen=True)
class Headline:
    """What stands at the top of a page."""

    question: str
    level: Level
    lead: str
    """the first sentence: how it stands, where that is known"""
    made: str
    """what was made of what, in a sentence"""
    lines: tuple[str, ...]
    """more sentences: a line a system"""
    how: str
    """how an evaluation is had, where there is none; else empty"""
    cost: str
    """what it took, in a sentence"""
    tiles: tuple[Tile, ...]


def headline(facts: ReportFacts, profiles: Sequence[DataProfile]) -> Headline:
    """Return the head of a page.

    Args:
        facts: all that the page shows.
        profiles: of the datasets that were looked at, by themselves.
    """
    result = facts.result
    is_model = result.kind == "model" or any(one.worths for one in facts.measured)
    if result.kind == "dataset" and not is_model:
        return _of_data(facts, profiles)
    worths = sorted(
        (worth for one in facts.measured for worth in one.worths),
        key=lambda worth: ORDER.index(worth.level),
    )
    total = together(facts.costs)
    made = _made(facts)
    question = "Is my model good?" if result.kind == "model" else "Which model is good?"
    if not worths:
        others = [one.shown.name for one in facts.measured]
        lead = f"Nobody measured how good {result.ref} is"
        rests = f"; {listed(others)} measures what rests on it" if others else ""
        how = _HOW.get(str(result.stage.get("kind")), _HOW_ELSE)
        return Headline(question, "unknown", f"{lead}{rests}.", made, (), how, _cost(facts, total),
                        tuple(_tiles_of_cost(total)))  # fmt: skip
    first = worths[0]
    named = len(worths) > 1
    lead = _line(first, named=named)
    lines = tuple(_line(worth, named=True) for worth in worths[1:_MOST_SYSTEMS])
    more = len(worths) - _MOST_SYSTEMS
    if more > 0:
        lines += (f"{counted(more, 'system')} more {'stands' if more == 1 else 'stand'} below.",)
    tiles = [
        Tile(first.what, first.value, first.interval and f"95% interval {first.interval}"),
        *([Tile("to compare with", first.nothing.rpartition(": ")[2],
                first.nothing.rpartition(": ")[0])] if first.nothing else []),
        *_tiles_of_cost(total),
    ]  # fmt: skip
    return Headline(question, first.level, lead, made, lines, "", _cost(facts, total), tuple(tiles))


def _line(worth: Worth, *, named: bool) -> str:
    """Return how a system stands, in a sentence that begins with the worst of it."""
    who = f"{worth.system}: " if named else ""
    says = worth.says[:1].lower() + worth.says[1:]
    if not worth.first:
        return f"{who}{says}" if named else worth.says
    if not says:
        return f"{who}{worth.first}."
    return f"{who}{worth.first}: {says}"


def _made(facts: ReportFacts) -> str:
    """Return what it is, how it was made, and of what."""
    result = facts.result
    kind = str(result.stage.get("kind", "unknown"))
    taken = [item.name for item in result.inputs if item.is_artifact]
    of = f" of {listed(taken, 4)}" if taken else ""
    return f"{result.ref} is {facts.described.what()}, made by a stage of kind {kind}{of}."


def _of_data(facts: ReportFacts, profiles: Sequence[DataProfile]) -> Headline:
    """Return the head of a page about a dataset: rows, repeats, labels, what was rejected."""
    result = facts.result
    total = together(facts.costs)
    found: list[str] = []
    level: Level = "unknown"
    if not result.rows:
        level = "poor"
    whole = result.rows + result.rejected_rows
    tiles = [Tile("rows", f"{result.rows:,}", amount(result.tokens, result.token_unit))]
    own = next((one for one in profiles if one.manifest.ref == result.ref), None)
    if own is not None and own.rows.rows:
        same, what = _same(own)
        share = same.repeated / (same.rows or 1)
        if share > _MOSTLY:
            level = "poor"
        tiles.append(
            Tile(f"repeat an earlier {what}", f"{share:.1%}",
                 f"{counted(same.repeated, what)} of {same.rows:,}")
        )  # fmt: skip
        found.append(_of_repeats(same, what))
    if result.rejected_rows:
        gone = f"{result.rejected_rows / whole:.1%}"
        tiles.append(Tile("rejected", gone, f"{result.rejected_rows:,} of {counted(whole, 'row')}"))
    if own is not None:
        found += _of_labels(own)
    lead = f"{result.ref} has {counted(result.rows, 'row')}"
    lead += f" and {result.rejected_rows:,} were rejected" if result.rejected_rows else ""
    return Headline(
        "Are my data good?", level, f"{lead}.", _made(facts), tuple(found), "",
        _cost(facts, total), (*tiles, *_tiles_of_cost(total)),
    )  # fmt: skip


def _same(own: DataProfile) -> tuple[Distinct, str]:
    """Return what is counted for repeats, and what it is: texts, whole rows where there are none.

    Texts that differ in case, punctuation and spacing alone are the same.
    """
    main = next((one for one in own.columns if one.name == own.main), None)
    if main is None or not main.distinct.rows:
        return own.rows, "row"
    return max(main.distinct, main.same or main.distinct, key=lambda one: one.repeated), "text"


def _of_repeats(same: Distinct, what: str) -> str:
    repeated, about = same.repeated, "" if same.is_exact else "About "
    if not repeated:
        return f"No {what} repeats an earlier one."
    verb = "repeats" if repeated == 1 else "repeat"
    share = repeated / same.rows
    return f"{about}{counted(repeated, what)} {verb} an earlier one ({share:.1%})."


def _of_labels(own: DataProfile) -> list[str]:
    column = next((one for one in own.columns if one.name == "label"), None)
    labels = column.labels if column is not None else None
    if not labels:
        return []
    total = sum(count for _, count in labels) or 1
    most, rows = max(labels, key=lambda one: one[1])
    named = counted(len(labels), "label")
    return [f"{named[:1].upper()}{named[1:]}; the commonest, “{most}”, has {rows / total:.1%}."]


def _cost(facts: ReportFacts, total: Cost) -> str:
    stages = counted(len(facts.costs), "stage")
    calls = (
        f"{counted(total.calls, 'teacher call')} with {counted(total.tokens, 'token')}, for "
        f"{money(total.usd)}"
        if total.calls
        else "no teacher call"
    )
    return f"Making it, and all that it rests on, took {total.time} in {stages}, and {calls}."


def _tiles_of_cost(total: Cost) -> list[Tile]:
    return [
        Tile("time", total.time),
        Tile("teacher calls", f"{total.calls:,}",
             f"{counted(total.tokens, 'token')}, {money(total.usd)}" if total.calls else ""),
    ]  # fmt: skip
