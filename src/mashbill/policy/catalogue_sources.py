"""What a catalogue rests on, counted: by whom it was told, what can be opened, what is missing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from mashbill.policy.source_reference import KINDS, parse_sources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.policy.claims import Catalogue, Claim, Entity


def standing_of_sources(catalogue: Catalogue) -> dict[str, Any]:
    """Return counts for a program, which the command line prints as a table.

    Of each kind of source, rows from a primary source, rows that are second-hand, and rows whose
    source is words alone. A row with several sources counts by the first that can be opened.
    """
    entities = catalogue.entities.values()
    models = [entity for entity in entities if entity.what == "model"]
    data = [entity for entity in entities if entity.what == "dataset"]
    return {
        "claims": _rows(catalogue.claims),
        "entities": _rows(entities),
        "facts": {
            "licence of a dataset": _facts((bool(e.license), bool(e.license_looked)) for e in data),
            "licence of a model": _facts((bool(e.license), bool(e.license_looked)) for e in models),
            "release of a model": _facts(
                (bool(e.released), bool(e.released_looked)) for e in models
            ),
        },
    }


def _rows(rows: Iterable[Claim | Entity]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for row in rows:
        found["all"] += 1
        sources = parse_sources(row.source)
        opened = next((source for source in sources if source.can_be_opened), None)
        if row.second_hand:
            found["second-hand"] += 1
        elif opened is not None:
            found["primary"] += 1
            found[f"primary: {opened.kind}"] += 1
            found["primary, with line or section"] += opened.is_exact
        else:
            found["primary: none that can be opened"] += 1
    kinds = [f"primary: {kind}" for kind in KINDS if kind != "words"]
    order = ["all", "primary", *kinds, "primary, with line or section",
             "primary: none that can be opened", "second-hand"]  # fmt: skip
    return {name: found[name] for name in order}


def _facts(pairs: Iterable[tuple[bool, bool]]) -> dict[str, int]:
    found = Counter(
        "recorded" if has else "looked for and not found" if looked else "not recorded"
        for has, looked in pairs
    )
    return {name: found[name] for name in ("recorded", "looked for and not found", "not recorded")}
