"""What a page shows of a dataset: a line a fact, and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.artifact import ArtifactRef
from mashbill.lineage.bills.telling import counted
from mashbill.report.data.measured import sentences
from mashbill.report.data.pictures import draw_counts, draw_histogram, draw_yields, short_number

if TYPE_CHECKING:
    from markupsafe import Markup

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store
    from mashbill.report.data.columns import Column
    from mashbill.report.data.languages import Languages
    from mashbill.report.data.profile import DataProfile

_COLUMNS = 40  # of a dataset that a page or a terminal shows
_SCRIPTS = 8


@dataclass(frozen=True)
class Picture:
    """A picture, and what stands above it."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class DataPage:
    """A dataset, as a page shows it."""

    profile: DataProfile
    facts: tuple[tuple[str, str], ...]
    """(what, in words)"""
    columns: tuple[tuple[str, ...], ...]
    """rows of the table of columns; see :data:`HEADS`"""
    pictures: tuple[Picture, ...]


HEADS = ("column", "type", "missing", "least", "median", "95%", "greatest", "distinct")
"""heads of the table of columns"""


def data_of(store: Store, result: Manifest) -> list[Manifest]:
    """Return the datasets that a report is about: the result, or what a model learned from."""
    if result.kind == "dataset":
        return [result]
    names = [item.name for item in result.inputs if item.role == "trained-on"]
    found = [store.get(ArtifactRef.parse(name)) for name in names]
    return [one for one in found if one is not None and one.kind == "dataset"]


def page_of(profile: DataProfile) -> DataPage:
    """Return what a page shows of a dataset."""
    return DataPage(
        profile, tuple(facts_of(profile)), tuple(columns_of(profile)), tuple(_pictures(profile))
    )


def facts_of(profile: DataProfile) -> list[tuple[str, str]]:
    """Return what is told of a dataset as a whole, in words."""
    manifest = profile.manifest
    size = f"{counted(manifest.rows, 'row')}, {counted(manifest.tokens, 'token')}"
    facts = [
        ("size", f"{size} ({manifest.token_unit}), {short_number(profile.size)} bytes on disk")
    ]
    rows = profile.rows
    facts.append(("equal rows", _told(rows.repeated, rows.rows, is_exact=rows.is_exact)))
    main = next((column for column in profile.columns if column.name == profile.main), None)
    if main is None:
        facts.append(("texts", "no column holds texts"))
    else:
        equal, same = main.distinct, main.same
        facts.append((f"equal texts in {main.name}",
                      _told(equal.repeated, equal.rows, is_exact=equal.is_exact)))  # fmt: skip
        if same is not None:
            facts.append(
                (f"texts in {main.name} that differ in case, punctuation and spacing alone",
                 _told(same.repeated, same.rows, is_exact=same.is_exact))
            )  # fmt: skip
    facts += _language_facts(profile.languages, profile.main)
    told = [each for name, kind, measures in profile.measured
            for each in sentences(name, kind, measures)]  # fmt: skip
    if all(about != "contamination" for about, _ in told):
        none = "not measured: no stage on the way looked for evaluation sets"
        told.append(("contamination", none))
    return [*facts, *told]


def _told(repeated: int, rows: int, *, is_exact: bool) -> str:
    if not rows:
        return "there are none"
    if not repeated:
        return f"none of {rows:,} repeats an earlier one"
    about = "" if is_exact else "about "
    return f"{about}{repeated:,} of {rows:,} repeat an earlier one ({repeated / rows:.1%})"


def _language_facts(found: Languages | None, main: str | None) -> list[tuple[str, str]]:
    if found is None or not found.texts:
        return []
    of = f"{counted(found.texts, 'text')} of {main}"
    scripts = ", ".join(f"{name} {share:.1%}" for name, share in found.scripts[:_SCRIPTS])
    facts = [("scripts", f"{scripts or 'no letters'} (letters, of {of})")]
    if found.by:
        told = ", ".join(f"{name} {count:,}" for name, count in found.languages[:_SCRIPTS])
        facts.append(("language", f"{told} (by {found.by}, of {of})"))
    else:
        facts.append(("language", "not told: only scripts are, without mashbill's extra language"))
    return facts


def columns_of(profile: DataProfile) -> list[tuple[str, ...]]:
    """Return a line a column: of texts lengths in characters, of numbers the numbers."""
    return [_column(column) for column in profile.columns[:_COLUMNS]]


def _column(column: Column) -> tuple[str, ...]:
    found = column.as_json()
    missing = f"{column.missing:,}"
    if column.is_text and column.empty:
        missing += f", {column.empty:,} blank"
    if "chars" in found:
        of, distinct = found["chars"], f"{found['equal']['distinct']:,}"
    elif "numbers" in found:
        of, distinct = found["numbers"], ""
    else:
        return (column.name, column.type, missing, "", "", "", "", _few(column))
    figures = [of[key] for key in ("least", "median", "p95", "greatest")]
    told = ["" if each is None else short_number(each) for each in figures]
    return (column.name, column.type, missing, *told, distinct or _few(column))


def _few(column: Column) -> str:
    return f"{len(column.values.counts):,}" if column.values.counts else ""


def _by_source(profile: DataProfile) -> list[tuple[str, int, int]]:
    """Return (source, rows of it in the dataset, rows of it that went on the way)."""
    kept = {each.source: each.kept for each in profile.yields[-1].sources if each.kept}
    gone = dict.fromkeys(kept, 0)
    for stage in profile.yields:
        for each in stage.sources:
            if each.source in gone:
                gone[each.source] += each.rejected
    return [(name, count, gone[name]) for name, count in kept.items()]


def _is_constant(column: Column) -> bool:
    """Return whether all cells that are there have one value."""
    if column.is_text:
        return column.distinct.rows - column.distinct.repeated <= 1
    counts, numbers = column.values.counts, column.numbers
    if counts:
        return len(counts) == 1
    return numbers is not None and numbers["least"] == numbers["greatest"]


def _pictures(profile: DataProfile) -> list[Picture]:
    pictures = []
    yields = [(each.artifact, each.kept, each.rejected) for each in profile.yields]
    pictures.append(Picture("Rows that each stage made", draw_yields(yields, "rows by stage")))
    sources = _by_source(profile)
    if len(sources) > 1:
        pictures.append(
            Picture(
                "Rows by source, and those that went on the way",
                draw_yields(sources, "rows by source"),
            )
        )
    for column in profile.columns[:_COLUMNS]:
        if _is_constant(column):
            continue  # a picture of one value says nothing that the table does not
        if column.name == profile.main and column.chars.rows:
            title = f"Characters of {column.name}"
            pictures.append(Picture(title, draw_histogram(column.chars.bins, "characters")))
            title = f"Words of {column.name}, between spaces"
            pictures.append(Picture(title, draw_histogram(column.words.bins, "words")))
        if column.turns.rows:
            title = f"Turns of {column.name}"
            pictures.append(Picture(title, draw_histogram(column.turns.bins, "turns")))
        numbers, labels = column.numbers, column.labels
        if labels is not None and len(labels) > 1:
            pictures.append(Picture(f"Values of {column.name}", draw_counts(labels, "rows")))
        elif numbers is not None:
            drawing = draw_histogram(numbers["bins"], f"{column.name}, share of rows")
            pictures.append(Picture(f"Numbers in {column.name}", drawing))
    found = profile.languages
    if found is not None and found.languages:
        drawing = draw_counts(found.languages, "texts by language")
        pictures.append(Picture(f"Languages, of {counted(found.texts, 'text')}", drawing))
    if found is not None and found.scripts:
        drawing = draw_counts(found.scripts, "letters by script", shares=True)
        pictures.append(Picture("Scripts, share of letters", drawing))
    return pictures
