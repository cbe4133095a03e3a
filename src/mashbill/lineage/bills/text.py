"""How lines, verdicts and shares are told: to people in words, to programs in flat facts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mashbill.core.shown import json_text, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.lineage.bills.bill import Line
    from mashbill.lineage.bills.definitions import Verdict
    from mashbill.lineage.circuit.witness import Step


def percent(part: float) -> str:
    """Return a part, 0 to 1, for people: a part that is not all never reads 100%."""
    text = f"{100 * part:.1f}"
    if text == "100.0" and part < 1:
        return "over 99.9%"
    if text == "0.0" and part > 0:
        return "under 0.1%"
    return f"{text.removesuffix('.0')}%"


def share_text(share: tuple[float, float]) -> str:
    """Return a share for people; both ends where they read differently."""
    low, high = (percent(end) for end in share)
    return low if low == high else f"{low} to {high}"


def line_facts(line: Line) -> dict[str, Any]:
    """Return a line's channels, both shares, depth and records, for a program."""
    facts: dict[str, Any] = {
        "channels": [channel.value for channel in line.channels],
        "share_low": line.share[0],
        "share_high": line.share[1],
        "owed_low": line.owed[0],
        "owed_high": line.owed[1],
        "depth": line.depth,
    }
    return facts if line.records is None else {**facts, "records": line.records}


def path_text(path: Iterable[Step]) -> str:
    """Return a path for people, from the artifact on; empty if there is none."""
    return ", then ".join(f"{step.what} by {step.channel.value}" for step in path)


def conclusion_text(verdict: Verdict, *, share: bool = True) -> str:
    """Return a conclusion for people, with depth, share, and what lineage alone gives."""
    text: str = verdict.conclusion
    if verdict.lineage_part:
        text += f"; by lineage alone: {verdict.lineage_part}"
    if verdict.depth is None:
        return text
    part = f", {share_text(verdict.share)} of tokens" if share else ""
    return f"{text} (depth {verdict.depth}{part})"


def verdict_facts(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict without its sources, which the bill lists, for a program."""
    return {
        "definition": verdict.definition.name,
        "version": verdict.definition.version,
        "asked": verdict.asked,
        "conclusion": verdict.conclusion,
        "lineage_part": verdict.lineage_part or None,
        "depth": verdict.depth,
        "share_low": verdict.share[0],
        "share_high": verdict.share[1],
        "path": [f"{step.channel.value}: {step.what}" for step in verdict.path],
        "unknown": list(verdict.unknown),
    }


def table_row(cells: Iterable[Any]) -> str:
    """Return a row of a Markdown table, safe from what the cells hold."""
    return "| " + " | ".join(markdown(cell) for cell in cells) + " |"


def table_rule(columns: int) -> str:
    """Return the row that stands below the head of a Markdown table."""
    return "| " + " | ".join(["---"] * columns) + " |"


def list_item(text: str) -> str:
    """Return an item of a Markdown list: of this text, whatever it begins with."""
    return "* " + _BLOCK.sub(r"\1\\\2", markdown(text).lstrip(), count=1)


_BLOCK = re.compile(r"^(\d*)([-+=#.)])")
"""begins a heading, a rule or a list"""
_INLINE = re.compile(r"[\\`*\[\]|~$&<>]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def markdown(value: object) -> str:
    """Return a text as Markdown, and HTML, that reads as it does: one line, no markup, no tags."""
    return _INLINE.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), shown(value))


def to_json(value: Any) -> str:
    """Return JSON text with a final newline."""
    return json_text(value) + "\n"
