"""Facts of a lineage as sentences that can be read aloud, for documents that people sign or read.

One fact a sentence; a number is told with its noun, and where there is nothing, that is what is
told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.plain import counted, listed
from mashbill.core.source import Channel
from mashbill.lineage.bills.text import percent, share_text
from mashbill.lineage.circuit.unrecorded import is_unknown, is_unsaid, not_recorded, records_of
from mashbill.lineage.duties.rule_facts import has_no_licence
from mashbill.policy.licence_words import is_no_licence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mashbill.core.source import Source
    from mashbill.lineage.bills.bill import Coverage, Line
    from mashbill.lineage.bills.definitions import Verdict

__all__ = [
    "amount",
    "counted",
    "coverage_sentence",
    "declared_words",
    "definition_sentences",
    "depth_words",
    "did",
    "licence_words",
    "listed",
    "looked_words",
    "open_ends",
    "unrecorded_words",
]

DID = {
    Channel.CONTENT: "wrote text",
    Channel.LOGITS: "gave its probabilities",
    Channel.WEIGHTS: "gave its weights",
    Channel.JUDGEMENT: "labelled or scored",
    Channel.SELECTION: "picked what stays",
    Channel.TRANSFORM: "rewrote or cleaned",
    Channel.PROMPT: "wrote what was asked",
}
"""channel -> what a model did; a dataset of content is text that was read"""


_LOOKED = 80  # characters of where something was looked for


def did(line: Line) -> str:
    """Return what the source of a line did, in a few words.

    Where there are other channels beside weights, or text of a model that was built on them, or the
    source has none, the weights are those of a model between: one that only an API serves gave
    nobody its weights.
    """
    every, is_model = line.channels, line.source.what == "model"
    told = [
        "text that was learned from" if not is_model and one is Channel.CONTENT else DID[one]
        for one in every
        if one is not Channel.WEIGHTS
    ]
    if len(told) == len(every):
        return ", ".join(told)
    if not told and is_model and line.is_base:
        return DID[Channel.WEIGHTS]
    return " ".join([*([", ".join(told) + ";"] if told else []), "came in with a model's weights"])


def licence_words(source: Source, looked: str = "") -> str:
    """Return what licence a source is under, or what stands in its place, or that none is known.

    Args:
        source: it.
        looked: where its licence was looked for and not found.
    """
    if source.license and is_no_licence(source.license):
        return f"not recorded ({source.license!r} names none)"
    if source.license:
        return source.license
    if not has_no_licence(source):
        return looked_words(looked)
    if source.kind == "test-double":
        return "none needed: a stand-in"
    if source.kind == "program":
        return "none needed: a program whose text went into nothing"
    whose = "its maker" if source.provider == "unknown" else source.provider
    return f"none: terms of {whose} in its place"


def looked_words(where: str) -> str:
    """Say of a fact that is not known where it was looked for, if it was."""
    told = _place_looked(where)
    return f"not found (looked for in {told})" if told else "not recorded"


def _place_looked(where: str) -> str:
    """Return the first place where a fact was looked for; empty if it was in none."""
    told = where.partition(";")[0].strip()
    told = told if len(told) <= _LOOKED else f"{told[: _LOOKED - 1]}…"
    return told.removesuffix(" shows none")


def amount(number: int, unit: str) -> str:
    """Return a number of tokens, in words of their unit, which is a plural: 1 word, 2 words."""
    return counted(number, unit.removesuffix("s"), unit)


def declared_words(use: Mapping[str, Any]) -> str:
    """Return what is declared of a use, as ``Use.facts`` has it, in words."""
    told = [f"{key.replace('_', ' ')}: {_fact(value)}" for key, value in use.items()]
    return "; ".join(told) or "nothing is declared"


def _fact(value: Any) -> str:
    """Return a declared fact in words; what it holds has one level."""
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {item}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return listed([str(item) for item in value]) or "nobody"
    return str(value)


def coverage_sentence(covered: Coverage, unit: str = "tokens") -> str:
    """Say how much of an artifact has a recorded origin, and how far back the record goes."""
    words = f"who wrote {covered.words}" if covered.words else ""
    ends = "; ".join(filter(None, (words, unrecorded_words(covered.unknown))))
    of = f"; not recorded: {ends}" if ends else ""
    if covered.recorded == covered.named:
        return f"{_part_with('a recorded origin', covered.recorded, unit)}{of}."
    named = _part_with("a named origin", covered.named, unit)
    back = f"How much of the {unit} is recorded all the way back is not known"
    if covered.recorded != (0.0, 1.0):
        back = f"Recorded all the way back are {share_text(covered.recorded)}"
    why = unrecorded_words(covered.unmade)
    return f"{named}{of}. {back}{f': it is not recorded {why}' if why else ''}."


def unrecorded_words(sources: Iterable[Source]) -> str:
    """Say what is not recorded of these sources: each once, and each kind of gap once."""
    titles: dict[str, None] = {}
    made: dict[str, None] = {}
    rest: dict[str, dict[str, None]] = {}
    for source in sources:
        if is_unsaid(source):
            name, _, what = not_recorded(source).rpartition(": ")
            rest.setdefault(what, {})[name] = None
        elif is_unknown(source):
            titles[f"who or what wrote {records_of(source)}"] = None
        else:
            made[source.title] = None
    told = [listed(list(titles))] if titles else []
    if made:
        told.append(f"what {listed(list(made))} {'was' if len(made) == 1 else 'were'} made from")
    told += [f"{what} ({listed(list(names))})" for what, names in rest.items()]
    return "; ".join(told)


def _part_with(what: str, share: tuple[float, float], unit: str) -> str:
    """Say which part has a kind of origin, in a sentence without its end."""
    if share == (0.0, 1.0):
        return f"How much of the {unit} has {what} is not known"
    if share == (1.0, 1.0):
        return f"All of the {unit} have {what}"
    if share == (0.0, 0.0):
        return f"None of the {unit} has {what}"
    return f"{share_text(share)} of the {unit} have {what}"


def open_ends(lines: Sequence[Line], looked: str = "") -> str:
    """Say of a bill by claims whose making the claims leave open.

    Args:
        lines: the bill.
        looked: of a bill without lines: where its making was looked for, if it was.
    """
    names = sorted(
        {line.source.name.partition(":")[0] for line in lines if line.source.what == "unknown"}
    )
    if not lines:
        made = "what it was made from" + (
            f" (looked for in {_place_looked(looked)}, not found)" if looked else ""
        )
        return f"No claim says {made}, so nothing is shown of it, for or against."
    if not names:
        return "Claims are never complete, though these leave nothing open that they speak of."
    return f"Claims are never complete: what else {listed(names)} came from is not recorded."


def depth_words(depth: int) -> str:
    """Say how far a source is: directly, or through models."""
    if depth <= 1:
        return "directly"
    return f"through {counted(depth - 1, 'model')}"


def definition_sentences(closed: Verdict, any_model: Verdict, unit: str = "tokens") -> str:
    """Say what a definition concludes about closed models, and about any model."""
    first = _conclusion(closed, "a closed model", unit)
    second = _conclusion(any_model, "any model", unit)
    told = f"From {first}. From {second}."
    if closed.lineage_part:
        return f"Lineage alone does not decide it. What lineage shows: {told}"
    return told


def _conclusion(verdict: Verdict, who: str, unit: str) -> str:
    found = verdict.lineage_part or verdict.conclusion
    if verdict.depth is None:
        return f"{who}: {found}"
    far = depth_words(verdict.depth)
    low, high = (percent(end) for end in verdict.share)
    if verdict.share == (0.0, 1.0):
        return f"{who}: {found}, {far}; in how much of the {unit} is not known"
    part = low if low == high else f"{low} to {high}"
    return f"{who}: {found}, {far}, in {part} of the {unit}"
