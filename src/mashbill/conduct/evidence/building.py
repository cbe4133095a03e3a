"""From a finding to its case: what an analyst needs to decide, out of the state at that moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.conduct.evidence import grouping, resumed, together
from mashbill.conduct.evidence.case import LINKS, NODES, ROWS, Case, case_of
from mashbill.conduct.evidence.tiers import ACT, LEVEL, NOTE, REVIEW, TIERS
from mashbill.conduct.scan import known
from mashbill.conduct.scan.tables import ITEMS, SAMPLED, VALUES
from mashbill.conduct.scan.tally import SPAN
from mashbill.conduct.signals import (
    evenness,
    families,
    handover,
    linkage,
    partition,
    replay,
    succession,
    timing,
    wording,
)
from mashbill.conduct.signals import templates as shapes
from mashbill.core.canonical import digest
from mashbill.core.plain import counted

if TYPE_CHECKING:
    from mashbill.conduct.events import Hashes
    from mashbill.conduct.evidence.weighed import Sign
    from mashbill.conduct.scan.database import Database
    from mashbill.conduct.scan.tally import Levels
    from mashbill.conduct.scan.ticking import Held

_SHOWN_ACCOUNTS = 200
"""accounts whose timeline and samples a case shows"""
_SAMPLES = 24
_CLEARS = {
    "wording": "prompts that quote such wordings, to sort, translate or moderate them, or a test "
    "of safety that was agreed",
    "replay": "a product that hands conversations on between its own accounts, joined under one "
    "organisation",
    "handover": "accounts of one organisation whose limits were agreed, or a public tool that "
    "tries again by itself for many people",
    "evenness": "one task that was given to all of these people, by name",
    "timing": "an event that all of these people were told of, by name and time",
    "linkage": "one organisation behind the accounts, declared as such",
    "partition": "an open division of one work between people, by name",
    "succession": "an announcement that brought newcomers in these days, by name",
    "inheritance": "another person of the same household or office, by name",
}


def parameters(levels: Levels) -> dict[str, Any]:
    """Return all numbers that findings rest on; a scan with others finds others."""
    return {
        "levels": {
            "jailbreak": list(levels.jailbreak),
            "extraction": list(levels.extraction),
            "model": levels.model,
        },
        "tiers": [NOTE, REVIEW, ACT],
        "false_discoveries": LEVEL,
        "wording": {
            "null": list(wording.NULL),
            "shares": list(wording.SHARES),
            "parts": [list(parts) for parts in wording.PARTS],
            "least": wording.LEAST,
        },
        "templates": [shapes.USUAL, shapes.LEAST, shapes.RUNS, shapes.SAME],
        "families": [
            families.WIDTH,
            families.ALIKE,
            families.NEAR,
            families.JOINED,
            families.ROUNDS,
        ],
        "groups": [
            grouping.LEAST,
            grouping.GROWN,
            grouping.EACH,
            grouping.SHARE,
            grouping.DAY,
            together.SAYS,
            together.WINDOW,
            resumed.SAYS,
            resumed.DAY,
            resumed.USUAL,
        ],
        "samples": [*SAMPLED.values(), ITEMS, VALUES],
        "handover": [
            handover.WITHIN,
            handover.QUIET,
            handover.BEFORE,
            handover.RUNS,
            list(handover.SHARES),
        ],
        "evenness": [evenness.STRANGERS, list(evenness.ONE_HAND), evenness.LEAST],
        "timing": [
            timing.SLOT,
            timing.BLOCK,
            timing.ROUND,
            timing.KEPT,
            timing.DAYS,
            timing.MARGIN,
            timing.LEAST,
            timing.STRANGERS,
            timing.STAKE,
            timing.LIMIT,
            *timing.SHARES,
        ],
        "linkage": [linkage.LIMIT, linkage.MINUTES],
        "partition": [partition.LIMIT, partition.PART, partition.PUBLIC],
        "succession": [
            *succession.WINDOWS,
            succession.LEAST,
            succession.BEFORE,
            succession.BACK,
            *succession.SHARES,
            succession.LENT,
            succession.LIMIT,
        ],
        "replay": [replay.ACROSS_ACCOUNTS, replay.AGAIN, replay.ACROSS_MODELS],
    }


def facts(hashes: Hashes, levels: Levels) -> dict[str, str]:
    """Return what all scans into one state have in common."""
    return {"key": hashes.keyid, "parameters": digest(parameters(levels))}


def build(database: Database, held: Held, log: dict[str, Any], levels: Levels) -> Case:
    """Return the case of a finding.

    Args:
        database: the state, at the moment of the finding.
        held: the finding.
        log: ``name``, ``form``, ``rows`` and ``digest`` of what was read up to now.
        levels: of scores.
    """
    weighed = held.weighed
    accounts = known.accounts(database, weighed.accounts)
    there = [one for one in weighed.accounts if one in accounts]
    first = min(accounts[one].first for one in there)
    last = max(accounts[one].last for one in there)
    exchanges = sum(accounts[one].exchanges for one in there)
    used = digest(parameters(levels))
    declared = sum(accounts[one].declared for one in there)
    value = {
        "id": weighed.name,
        "finding": weighed.kind,
        "tier": held.tier,
        "subject": {
            "kind": "account" if len(weighed.accounts) == 1 else "cluster",
            "accounts": [one.hex() for one in weighed.accounts],
            "shown": [f"account {one.hex()[:6]}" for one in weighed.accounts],
        },
        "log": {**log, "first": first, "last": last},
        "found": held.found,
        "first": first,
        "last": last,
        "exchanges": exchanges,
        "exchanges_before": exchanges,
        "evidence": [_sign(sign) for sign in weighed.signs],
        "log10_e": weighed.log10_e,
        "threshold": dict(TIERS)[held.tier],
        "thresholds": dict(TIERS),
        "discovery": {
            "tested": held.tested, "alpha": LEVEL, "rank": held.rank, "method": "e-BH",
        } if held.rank else None,
        "context": _context(database, accounts),
        "graph": _graph(database, held, accounts),
        "timeline": _timeline(database, held, accounts),
        "growth": _growth(database, held),
        "samples": _samples(database, held),
        "clears": sorted({_CLEARS[sign.signal] for sign in weighed.signs if sign.log10_e > 0}),
        "declared": {
            "statements": declared,
            "plain": f"{counted(declared, 'request')} came with the digest of a signed statement "
            "of a run; that speaks for its volume, and not against this finding",
        } if declared else None,
        "derive": {
            "command": f"mashbill conduct derive {weighed.name}.json --log {log['name']}",
            "parameters_digest": used,
        },
    }  # fmt: skip
    return case_of(value, weighed.name)


def _sign(sign: Sign) -> dict[str, Any]:
    return {
        "signal": sign.signal,
        "statistic": {name: float(value) for name, value in sign.statistic.items()},
        "null": sign.null,
        "log10_e": sign.log10_e,
        "limit": sign.limit,
        "plain": sign.plain,
        "rows": list(sign.rows[:ROWS]),
        "rows_in_all": max(sign.rows_in_all, len(sign.rows)),
        "parameters": sign.parameters,
    }


def _context(database: Database, accounts: dict[bytes, known.Account]) -> list[dict[str, str]]:
    whole = sum(one.exchanges for one in accounts.values())
    tokens = sum(one.tokens_out for one in accounts.values())
    found = [
        {
            "what": "volume",
            "plain": f"{counted(whole, 'exchange')} of {counted(len(accounts), 'account')} up to "
            f"then, with {tokens:,} tokens written for them",
        }
    ]
    for trait, what in (("agent", "client program"), ("address", "address")):
        shared = known.shared(database, accounts, trait)
        if shared < 2:
            continue
        found.append(
            {
                "what": "client" if trait == "agent" else "address",
                "plain": f"{shared:,} of these accounts have one {what} in common; users of one "
                "tool share theirs, and so do people of one house, so that it counts for nothing",
            }
        )
    recurring = known.with_templates(database, accounts)
    if recurring:
        found.append(
            {
                "what": "templates",
                "plain": f"the prompts of {recurring:,} of {counted(len(accounts), 'account')} "
                "have parts that recur, as if they were made from templates",
            }
        )
    return found


def _graph(database: Database, held: Held, accounts: dict[bytes, known.Account]) -> dict[str, Any]:
    links = held.weighed.links[:LINKS]
    outside = {end for link in links for end in (link.one, link.other)} - set(accounts)
    beside = known.accounts(database, outside)
    members = sorted(accounts)[:NODES]
    others = sorted(beside)[: NODES - len(members)]
    shown = {*members, *others}
    kept = [link for link in links if {link.one, link.other} <= shown and link.one != link.other]
    return {
        "nodes": [
            {"account": one.hex(), "exchanges": accounts[one].exchanges, "role": "member"}
            for one in members
        ]
        + [
            {"account": one.hex(), "exchanges": beside[one].exchanges, "role": "outside"}
            for one in others
        ],
        "links": [
            {
                "a": link.one.hex(),
                "b": link.other.hex(),
                "why": link.why,
                "strength": link.strength,
                "value": link.value.hex() if link.value is not None else None,
            }
            for link in kept
        ],
        "left_out": len(accounts) + len(beside) - len(shown),
    }


def _timeline(
    database: Database, held: Held, accounts: dict[bytes, known.Account]
) -> dict[str, Any]:
    busiest = sorted(accounts, key=lambda one: (-accounts[one].exchanges, one))
    shown = sorted(busiest[:_SHOWN_ACCOUNTS])
    last = held.found // SPAN + 1
    first = max(last - 400, min(accounts[one].first for one in shown) // SPAN)
    counts = known.spans(database, shown, first, last)
    marks = [{"time": held.found, "what": "found", "account": None}]
    for one in shown:
        banned, opened = accounts[one].banned, accounts[one].signed_up
        if banned is not None:
            marks.append({"time": banned, "what": "ban", "account": one.hex()})
        if opened is not None and opened >= first * SPAN:
            marks.append({"time": opened, "what": "signup", "account": one.hex()})
    return {
        "start": first * SPAN,
        "bin_seconds": SPAN // 1_000_000,
        "rows": [
            {
                "account": one.hex(),
                "counts": [counts.get(one, {}).get(span, 0) for span in range(first, last)],
            }
            for one in shown
        ],
        "left_out": len(accounts) - len(shown),
        "marks": sorted(marks, key=lambda one: (one["time"], one["what"], str(one["account"]))),
    }


def _growth(database: Database, held: Held) -> list[dict[str, Any]]:
    rows = database.run(
        "SELECT time, log10_e FROM growth WHERE subject = ? AND kind = ? ORDER BY time",
        (held.weighed.name, held.weighed.kind),
    )
    empty = dict.fromkeys("JXIL", 0.0)
    return [
        {"time": int(time), **empty, held.weighed.kind: float(value)}
        for time, value in rows[-20_000:]
    ]


def _samples(database: Database, held: Held) -> list[dict[str, Any]]:
    worded = any(sign.signal == "wording" for sign in held.weighed.signs)
    pool = held.weighed.kind if worded else "all"
    few = held.weighed.accounts[:_SHOWN_ACCOUNTS]
    sampled = known.samples(database, few, pool)
    each = max(1, _SAMPLES // max(1, len(sampled)))
    found = [
        (one.time, one.row, account, one)
        for account, rows in sorted(sampled.items())
        for one in rows[:each]
    ]
    return [
        {
            "row": one.row,
            "time": one.time,
            "account": account.hex(),
            "text": None,
            "jailbreak": one.jailbreak,
            "extraction": one.extraction,
        }
        for _, _, account, one in sorted(found, key=lambda row: row[:3])[:_SAMPLES]
    ]
