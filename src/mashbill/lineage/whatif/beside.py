"""Scenarios side by side: the rows of the table that stands first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def side_by_side(facts: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return the rows of the table in which scenarios stand side by side."""
    rows: list[tuple[str, list[str]]] = []
    for key, noun in (("models", "models"), ("datasets", "datasets")):
        impacts = [item["impact"][key] for item in facts]
        rows += [
            (f"{noun} that go", [f"{i['go']:,}" for i in impacts]),
            *(
                [
                    (
                        f"{noun} that go by one way and stay by another",
                        [f"{i['go_by_one_way_only']:,}" for i in impacts],
                    )
                ]
                if any(i["go_by_one_way_only"] for i in impacts)
                else []
            ),
            (
                f"{noun} that stay and lose an ancestor",
                [f"{i['stay_and_lose']:,}" for i in impacts],
            ),
            (
                f"{noun} hit, of all on record",
                [f"{i['hit']:,} of {i['in_all']:,}" for i in impacts],
            ),
            (
                f"{noun} that could be hit, if each gap in the record hid one",
                [f"{item['unknown'][key]['if_anything_missing']:,}" for item in facts],
            ),
            (
                f"further {noun} hit, if one gap alone hid one",
                [_one_gap(item["one_gap"][key]) for item in facts],
            ),
            (
                f"impact, in whole {noun}",
                [_impact(item) for item in impacts],
            ),
        ]
    rows += [
        (
            f"models and datasets that stay and lose an ancestor under {name}",
            [
                f"{item['under'][name]['models']:,} and {item['under'][name]['datasets']:,}"
                for item in facts
            ],
        )
        for name in facts[0]["under"]
    ]
    rows += [
        ("of those that stay, have no substitute that is known to fit",
         [f"{item['without_substitute'][1]:,}" for item in facts]),
        ("of those, have none that might fit either",
         [f"{item['without_substitute'][0]:,}" for item in facts]),
    ]  # fmt: skip
    lists = [item["impact"]["over_a_list"] for item in facts]
    if lists[0] is not None:
        for key, noun in (("models", "models"), ("datasets", "datasets")):
            if lists[0][key]["score"] is not None:
                rows.append(
                    (
                        f"score, 0 to 100, over the {lists[0][key]['members']} {noun} of the list "
                        + lists[0]["name"],
                        [interval(item[key]["score"]) for item in lists],
                    )
                )
    downloads = [item["impact"]["models"]["downloads"] for item in facts]
    if any(item["known_of_hit"] for item in downloads):
        rows.append((
            "impact by downloads in 30 days, where they are known",
            [f"{interval(d['impact'])} of {d['hit']:,.0f}, known of {d['known_of_hit']:,}"
             for d in downloads],
        ))  # fmt: skip
    else:
        rows.append(("downloads of the models hit", ["not recorded"] * len(facts)))
    return rows


def _one_gap(told: dict[str, Any]) -> str:
    most = f"{told['most']:,} at most" + (f" ({told['most_by']})" if told["most"] else "")
    return f"{told['mean']:,.1f} on average, {most}"


def _impact(told: dict[str, Any]) -> str:
    """Say an impact with its range, and how much of it is what goes itself."""
    own = f"; {told['go']:,} of it goes itself" if told["go"] else ""
    return f"{interval(told['impact'])} (from 0 to {told['hit']:,}{own})"


def interval(ends: Sequence[float]) -> str:
    """Return an interval for people; one number where both ends read the same."""
    low, high = (f"{end:,.1f}".removesuffix(".0") for end in ends)
    return low if low == high else f"{low} to {high}"
