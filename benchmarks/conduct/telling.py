"""The figures of a run, as tables that a terminal and a README show alike."""

from __future__ import annotations

from typing import Any

WHOLE = 28.8e6
"""exchanges of the largest campaign that is reported"""
REACH = {
    "act": 0.001, "review": 0.01, "found": 0.9, "before": 0.05, "precision": 0.99, "recall": 0.85,
    "rate": 5000, "hours": 2,
}  # fmt: skip
"""what issue 17 asks for"""


def share(value: float | None, digits: int = 1) -> str:
    """Return a share as a percentage; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.{digits}f}%"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def told(report: dict[str, Any]) -> str:
    """Return all of a report."""
    parts = [_head(report), _side_by_side(report), _honest(report), _campaigns(report)]
    parts += [_scan(report), _controls(report)]
    if "prompts" in report:
        parts.append(_prompts(report["prompts"]))
    return "\n\n".join(parts) + "\n"


def _head(report: dict[str, Any]) -> str:
    main = report["main"]
    scored = (
        "Prompts are scored by the shipped model."
        if main["scored"]
        else "There is no model of texts: J and X by wording cannot be found."
    )
    text = (
        f"# Conduct ({report['machine']['date']}"
        f"{', quick: of a development seed, not to be quoted' if report['quick'] else ''})\n\n"
        f"One log of {main['rows']:,} rows and {main['accounts']:,} accounts (seed {main['seed']}, "
        f"scale {main['scale']}), {share(main['abusive'])} of them abusive; honest kinds with few "
        f"accounts there have more in {report['worlds']} other worlds. "
        f"{scored} "
        f"The run took {report['minutes']:.0f} minutes on this machine."
    )
    problems = [f"**{name}: {what}**" for name, what in report["problems"].items()]
    return "\n\n".join([text, *problems])


def _side_by_side(report: dict[str, Any]) -> str:
    rows = []
    for name, one in report["detectors"].items():
        if "not_run" in one:
            rows.append([name, f"not run: {one['not_run']}", *[""] * 6])
            continue
        joined = one.get("pairs")
        rows.append(
            [
                name,
                share(one["honest"]["found"] / max(1, one["honest"]["accounts"]), 2),
                f"{one['worst']['kind']} {share(one['worst']['share'])}",
                share(one["found"]),
                share(one["adaptive"]),
                share(one["before"]),
                share(one["before_cluster"]),
                f"{_part(joined['precision'])}, {_part(joined['recall'])}" if joined else "-",
            ]
        )
    head = [
        "detector", "honest accounts flagged", "worst kind", "campaign accounts found",
        "of the adaptive one", "served before, by account", "by cluster",
        "pairs: precision, recall",
    ]  # fmt: skip
    return (
        "## Beside what is done today\n\n"
        + table(head, rows)
        + "\n\nAll on the one log. Campaign accounts are those of all campaigns but the adaptive "
        "one. Served before is which part of the campaigns' answered exchanges came before the "
        "account, or the first account of its cluster, was named."
    )


def _part(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _honest(report: dict[str, Any]) -> str:
    rows = [
        [
            kind, f"{one['accounts']:,}", f"{one['rows_each']:,.0f}",
            f"{one['act']}", share(one["act"] / one["accounts"], 2), share(one["act_upper"], 2),
            f"{one['review']}", share(one["review"] / one["accounts"], 2),
            share(one["review_upper"], 2),
        ]
        for kind, one in report["honest"].items()
        if one["accounts"]
    ]  # fmt: skip
    head = [
        "honest kind", "accounts", "rows each", "acted on", "share", "at most", "reviewed or more",
        "share", "at most",
    ]  # fmt: skip
    return (
        "## Honest accounts, by kind\n\n"
        + table(head, rows)
        + "\n\nAll worlds together. At most: upper bound at 95%, Clopper and Pearson; with none "
        "found it is 0.1% from 2,995 accounts on."
    )


def _campaigns(report: dict[str, Any]) -> str:
    review = report["detectors"]["mashbill, review"]["campaigns"]
    act = report["detectors"]["mashbill, act"]["campaigns"]
    rows = []
    for name, one in review.items():
        joined = report["pairs"][name]
        rows.append(
            [
                name, str(one["accounts"]), f"{one['exchanges']:,}",
                share(one["found"] / one["accounts"]),
                share(act[name]["found"] / one["accounts"]),
                share(one["before"]), share(one["before_cluster"]),
                _part(joined["precision"]), _part(joined["recall"]),
            ]
        )  # fmt: skip
    head = [
        "campaign", "accounts", "answered exchanges", "found at review", "at act",
        "served before, by account", "by cluster", "clusters told apart", "recall by pairs",
    ]  # fmt: skip
    return "## Campaigns\n\n" + table(head, rows)


def _scan(report: dict[str, Any]) -> str:
    one = report["scan"]
    rows = [
        [f"{25 * number}%", f"{each['rows_a_second']:,.0f}", f"{each['peak_mib']:,.0f} MiB"]
        for number, each in enumerate(one["quarters"], 1)
    ]
    return (
        "## Scan\n\n"
        + table(["of the log", "rows a second of a core, in this quarter", "memory so far"], rows)
        + f"\n\n{one['rate']:,.0f} rows a second of processor time over all, one process, reading, "
        f"hashing, sketching, {'scoring, ' if report['main']['scored'] else ''}weighing and "
        f"writing cases. {WHOLE / 1e6:.1f} million rows would take {one['hours']:.1f} hours of "
        f"one core at the last quarter's rate. State: {one['state_bytes_a_row']:.0f} bytes a row."
    )


def _controls(report: dict[str, Any]) -> str:
    one = report["controls"]
    if "not_run" in one:
        return f"## Controls\n\nnot run: {one['not_run']}"
    rows = [
        [(f"a second scan of {one['rows']:,} rows gives the same {one['cases']} cases, "
            "byte for byte"),
         _yes(one["again_same"])],
        ["a scan cut in two, by another process, gives the same", _yes(one["cut_same"])],
        [f"findings that join accounts: {one['joint']}; with account labels permuted",
         str(one["shuffled_joint"])],
        ["accounts of bulk pipelines that are held for anything, of all worlds",
         f"{one['bulk_held']} of {one['bulk']:,}"],
    ]  # fmt: skip
    return "## Controls\n\n" + table(["control", "outcome"], rows)


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


def _prompts(report: dict[str, Any]) -> str:
    if "problem" in report:
        return f"## Prompts that were held out\n\nnot run: {report['problem']}"
    rows, families = [], []
    for name, one in report.items():
        for level, each in one["single"].items():
            rows.append(
                [name, one["head"], level, f"{each['over']} of {each['of']}",
                 share(each["over"] / max(1, each["of"])), share(each["upper"])]
            )  # fmt: skip
        at = one["single"]["1%"]["families"]
        for family, (hits, number) in at.items():
            pooled = one["accounts"][family]
            families.append(
                [name, family, f"{hits} of {number}", f"{pooled['log10_e']:.1f}", pooled["tier"]]
            )
    return (
        "## Prompts that were held out\n\n"
        + table(["set", "score", "level", "over it", "share", "at most"], rows)
        + "\n\nAn account that sends one family and nothing else:\n\n"
        + table(
            ["set", "family or method", "prompts over the 1% level", "log10 e", "tier"], families
        )
    )
