"""What stages on the way to a dataset measured of its rows, as sentences: of kinds that are known.

Measures come from a manifest, which may be somebody else's: what is no number there is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.lineage.bills.telling import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Told = tuple[str, str]
"""(what it is about, sentences)"""

_MOST = 12  # parts of a sentence that are listed


def sentences(artifact: str, kind: str, measures: Mapping[str, Any]) -> list[Told]:
    """Return what a stage measured, in words; nothing of a kind whose measures are not told.

    Args:
        artifact: what it made.
        kind: of the stage.
        measures: those of the manifest.
    """
    tells = _TELLS.get(kind)
    if tells is None:
        return []
    about, told = tells(measures)
    return [(about, f"{artifact}: {told}")] if told else []


def _of_pii(measures: Mapping[str, Any]) -> Told:
    finds, rows = _counts(measures.get("found")), _counts(measures.get("rows_with"))
    if not finds:
        return "personal data", ""
    some = [
        f"{kind} {count:,} (in {counted(rows.get(kind, 0), 'row')})"
        for kind, count in finds.items()
        if count
    ]
    none = [kind for kind, count in finds.items() if not count]
    told = f"found in {counted(_number(measures.get('rows_touched')), 'row')}"
    told += f": {_list(some)}" if some else ""
    if none:
        told += f"; none of kind {_list(none)}"
    return "personal data", told


def _of_decontaminate(measures: Mapping[str, Any]) -> Told:
    rows, hit = _number(measures.get("rows")), _number(measures.get("contaminated"))
    told = [f"{hit:,} of {counted(rows, 'row')} hold items of evaluation sets"]
    hits = measures.get("hits")
    for name, one in _tables(measures.get("sets")).items():
        asked, looked = _number(one.get("questions")), _number(one.get("looked_for"))
        paired = _number(one.get("looked_for_with_their_answer"))
        line = f"of {name}, {looked:,} of {counted(asked, 'question')} were looked for"
        line += f", {paired:,} of them together with their answer" if paired else ""
        places = _counts(hits.get(name)) if isinstance(hits, dict) else {}
        where = [f"{counted(count, 'row')} in {place}" for place, count in places.items()]
        told.append(f"{line}, and found in {_list(where)}" if where else f"{line}, and none found")
    return "contamination", "; ".join(told)


def _of_prefer(measures: Mapping[str, Any]) -> Told:
    alone = _counts(measures.get("unpaired"))
    if "pairs" not in measures or not isinstance(measures["pairs"], int):
        return "preferences", ""
    left = [f"{counted(count, 'row')} of {name}" for name, count in alone.items() if count]
    told = f"{counted(_number(measures['pairs']), 'pair')}"
    return "preferences", f"{told}; in no pair are {_list(left)}" if left else told


_TELLS: dict[str, Callable[[Mapping[str, Any]], Told]] = {
    "pii": _of_pii,
    "decontaminate": _of_decontaminate,
    "prefer": _of_prefer,
}
TOLD_KINDS = tuple(_TELLS)
"""kinds of stages whose measures are told"""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _counts(value: Any) -> dict[str, int]:
    given = value if isinstance(value, dict) else {}
    return {str(name): count for name, count in given.items() if isinstance(count, int)}


def _tables(value: Any) -> dict[str, dict[str, Any]]:
    given = value if isinstance(value, dict) else {}
    return {str(name): one for name, one in given.items() if isinstance(one, dict)}


def _list(parts: list[str]) -> str:
    more = f" and {len(parts) - _MOST} more" if len(parts) > _MOST else ""
    return ", ".join(parts[:_MOST]) + more
