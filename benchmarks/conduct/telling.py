"""The figures of a run, as tables that a terminal and a README show alike."""

from __future__ import annotations

from typing import Any

WHOLE = 28.8e6
"""exchanges of the largest campaign that is reported"""


def share(value: float | None, digits: int = 1) -> str:
    """Return a share as a percentage; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.{digits}f}%"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def told(report: dict[str, Any]) -> str:
    """Return all of a report."""
    parts = [_head(report), _reach(report), _side_by_side(report), _honest(report)]
    parts += [_campaigns(report), _scan(report), _controls(report)]
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
    findings = ", ".join(f"{kind} {number}" for kind, number in main["findings"].items())
    text = (
        f"# Conduct ({report['machine']['date']}"
        f"{', quick: of a development seed, not to be quoted' if report['quick'] else ''})\n\n"
        f"One log of {main['rows']:,} rows and {main['accounts']:,} accounts (seed {main['seed']}, "
        f"scale {main['scale']}), {share(main['abusive'])} of them abusive; honest kinds with few "
        f"accounts there have more in {len(report['worlds']) - 1} other worlds. {scored} "
        f"Findings at review or above: {findings or 'none'}. "
        f"The run took {report['minutes']:.0f} minutes on this machine."
    )
    problems = [f"**{name}: {what}**" for name, what in report["problems"].items()]
    return "\n\n".join([text, *problems])


def _reach(report: dict[str, Any]) -> str:
    """Return what the issue asks for, beside what was measured."""
    review, act = (report["detectors"][f"mashbill, {tier}"] for tier in ("review", "act"))
    told = {name: one for name, one in review["campaigns"].items() if name != "adaptive"}
    least = min(told, key=lambda name: told[name]["found"] / told[name]["accounts"])
    late = max(told, key=lambda name: told[name]["before_cluster"])
    joined, one = review["pairs"], report["scan"]
    memory = [each["peak_mib"] for each in one["quarters"]] or [0.0]
    rows = [
        ["honest accounts acted on, worst kind", "0.1%", _worst(report, "act")],
        ["honest accounts reviewed, worst kind", "1%", _worst(report, "review")],
        ["accounts of campaigns found, at review", "90%",
         (f"{share(review['found'])}; least of {least}, "
         f"{share(told[least]['found'] / told[least]['accounts'])}")],
        ["the same, at act", "", share(act["found"])],
        ["of the adaptive campaign, at review, at act", "as it is",
         f"{share(review['adaptive'])}, {share(act['adaptive'])}"],
        ["served before a cluster is found", "5%",
         (f"{share(review['before_cluster'])}; most of {late}, "
         f"{share(told[late]['before_cluster'])}")],
        ["served before an account itself is found", "", share(review["before"])],
        ["precision by pairs; with a campaign as one cluster", "0.99",
         f"{_part(joined['precision'])}; {_part(joined['precision_campaign'])}"],
        ["recall by pairs, the adaptive campaign apart", "0.85", _part(_recall(report["pairs"]))],
        *_reach_of_prompts(report.get("prompts", {})),
        ["rows a second of a core", "5,000", f"{one['rate']:,.0f}"],
        ["memory, from a quarter of the log to all of it", "flat",
         f"{memory[0]:,.0f} to {memory[-1]:,.0f} MiB"],
        [f"hours for {WHOLE / 1e6:.1f} million rows, one core", "2", f"{one['hours']:.2f}"],
    ]  # fmt: skip
    return "## What was asked for\n\n" + table(["", "asked", "measured"], rows)


def _recall(joined: dict[str, Any]) -> float | None:
    others = [one for name, one in joined.items() if name != "adaptive"]
    true = sum(one["true"] for one in others)
    return sum(one["both"] for one in others) / true if true else None


def _worst(report: dict[str, Any], tier: str) -> str:
    """Return the honest kind of which most is held at a tier; red teams apart, who do send J."""
    kinds = {name: one for name, one in report["honest"].items() if one["accounts"]}
    others = [name for name in kinds if name != "redteam"]
    if not others:
        return "-"
    most = max(others, key=lambda name: kinds[name][tier] / kinds[name]["accounts"])
    loose = max(others, key=lambda name: kinds[name][f"{tier}_upper"])
    one = kinds[most]
    red = kinds.get("redteam")
    apart = f"; red teams {red[tier]} of {red['accounts']}" if red else ""
    return (
        f"{most} {one[tier]} of {one['accounts']:,} ({share(one[tier] / one['accounts'], 2)}); "
        f"largest bound {share(kinds[loose][f'{tier}_upper'], 2)} ({loose}){apart}"
    )


def _reach_of_prompts(report: dict[str, Any]) -> list[list[str]]:
    if "x" not in report:
        return []
    x, benign, j, plain = (report[name]["single"]["1%"] for name in ("x", "benign", "j", "jbenign"))
    return [
        ["X, prompts of unseen families at the 1% level", "95%", share(x["over"] / x["of"])],
        ["the same level, hard benign neighbours", "3%", share(benign["over"] / benign["of"])],
        ["J, prompts of unseen methods at the 1% level", "by method", share(j["over"] / j["of"])],
        ["the same level, benign neighbours", "", share(plain["over"] / plain["of"])],
    ]


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
            ", ".join(f"{kinds} {number}" for kinds, number in one["why"].items()),
        ]
        for kind, one in report["honest"].items()
        if one["accounts"]
    ]  # fmt: skip
    head = [
        "honest kind", "accounts", "rows each", "acted on", "share", "at most", "reviewed or more",
        "share", "at most", "for",
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
        ["a scan that ends half-way and goes on from its state: the same", _yes(one["cut_same"])],
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
