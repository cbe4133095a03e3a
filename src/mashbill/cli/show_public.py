"""Printing what the catalogue and scenarios say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.cli.options import out
from mashbill.cli.printing import table
from mashbill.lineage.words import share_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.lineage.scenarios import Told
    from mashbill.policy.claims import Claim, Entity

_SHOWN = 40  # artifacts of a scenario that a terminal shows; --json and the page have all


def print_entity(
    entity: Entity, about: list[Claim], used: list[Claim], disputes: dict[str, list[Claim]]
) -> None:
    """Print a model or dataset, what it was made from, and what it is used in."""
    facts = {
        "what": entity.what, "kind": entity.kind, "provider": entity.provider,
        "country": entity.country, "licence": entity.license or _looked(entity.license_looked),
        "released": entity.released or _looked(entity.released_looked),
        "parameters": entity.parameters,
        "also called": ", ".join(entity.aliases), "source": entity.source,
    }  # fmt: skip
    mark = " (second-hand: re-check)" if entity.second_hand else ""
    told = "; ".join(f"{key} {value}" for key, value in facts.items() if value)
    out.say((entity.id, "bold"), f": {told}{mark}")
    claims = table("from", "as", "through", "how much", "status", "source", "note",
                   title="Claims: made from")  # fmt: skip
    for claim in about:
        mark = ", second-hand" if claim.second_hand else ""
        dispute = f", disputed ({claim.dispute})" if claim.dispute else ""
        route = "" if claim.route == "unknown" else f" by {claim.route}"
        claims.add_row(claim.parent + route, claim.relation, claim.dataset, _amount(claim),
                       claim.status + mark + dispute, claim.source, claim.note)  # fmt: skip
    if about:
        out.print(claims)
    else:
        out.say("Nothing is recorded of what it was made from.")
    mine = {claim.dispute for claim in about if claim.dispute}
    for name in sorted(mine):
        sides = " / ".join(f"{c.parent} ({c.relation}, {c.source})" for c in disputes[name])
        out.say(f"Sources disagree on {name}: {sides}")
    if used:
        names = sorted({f"{claim.child} ({claim.relation})" for claim in used})
        out.say(f"Used in {len(names)}: {'; '.join(names)}")


def _looked(where: str) -> str:
    return f"not found (looked in {where})" if where else "not recorded"


def print_sources(told: dict[str, Any]) -> None:
    """Print what :func:`mashbill.policy.catalogue_sources.standing_of_sources` counts."""
    rows = table("", "claims", "models and datasets", title="What the catalogue rests on")
    for name in told["claims"]:
        rows.add_row(name, f"{told['claims'][name]:,}", f"{told['entities'][name]:,}")
    out.print(rows)
    for what, counts in told["facts"].items():
        parts = "; ".join(f"{count:,} {name}" for name, count in counts.items())
        out.say((what, "bold"), f": {parts}")


def _amount(claim: Claim) -> str:
    parts = []
    if claim.tokens is not None:
        parts.append(f"{claim.tokens:,.0f} tokens")
    if claim.share is not None:
        parts.append(share_text((claim.share, claim.share)))
    if claim.rows is not None:
        parts.append(f"{claim.rows:,.0f} rows")
    if claim.of:
        parts.append(f"of {claim.of}")
    return ", ".join(parts)


def print_whatif(told: Sequence[Told], counted: str) -> None:
    """Print scenarios side by side, and then each."""
    facts = [item.as_json() for item in told]
    side = table("", *(item["scenario"] for item in facts), title=f"What if? {counted}")
    under = [
        (f"lose one under {name}", [item["under"][name] for item in facts])
        for name in facts[0]["under"]
    ]
    rows: list[tuple[str, list[Any]]] = [
        ("go", [item["removed"] for item in facts]),
        ("lose an ancestor", [item["lose_an_ancestor"] for item in facts]),
        *under,
        ("keep an unaffected path", [item["keep_an_unaffected_path"] for item in facts]),
        ("lack a substitute", [item["without_substitute"] for item in facts]),
        ("impact, 0 to 100", [_interval(item["impact"]) for item in facts]),
    ]
    for name, values in rows:
        side.add_row(name, *(str(value) for value in values))
    out.print(side)
    for item in facts:
        _print_scenario(item)
    out.print(
        "Claims are never complete, so losses are the least that is recorded. Impact is the mean "
        "over all artifacts of 40% channel, 30% share, 15% nearness, 15% roles without "
        "substitute; what goes counts as 100. A loss is about technique; it says nothing on how "
        "access was had.",
        style="dim",
    )


def _interval(ends: list[float]) -> str:
    low, high = ends
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _print_scenario(facts: dict[str, Any]) -> None:
    out.print()
    out.say((facts["scenario"], "bold"), f", gone from {facts['from']}")
    for group in ("provider", "country", "kind"):
        named = [f"{row[group]} {row['lose']} of {row['made']}" for row in facts["groups"][group]
                 if row["lose"]]  # fmt: skip
        out.say(f"Lose an ancestor, by {group}: {'; '.join(named) or 'nobody'}")
    for role in facts["roles"]:
        named = [
            f"{s['name']} (serves {s['serves']}, {s['license'] or s['kind']}, terms: {s['terms']})"
            for s in role["substitutes"]
        ]
        rest = role["substitutes_in_all"] - len(named)
        more = f" and {rest} more" if rest > 0 else ""
        out.say(f"Who {role['role']} is lost by {role['lost_by']}; could serve: "
                f"{', '.join(named) or 'nothing recorded'}{more}")  # fmt: skip
    names = list(facts["under"])
    hit = table("artifact", "provider", "loses directly", *names, "other path", "steps",
                "rebuilt by", "impact", title="Hardest hit")  # fmt: skip
    for item in facts["artifacts"][:_SHOWN]:
        stands = " (stands as made)" if item["stands_as_made"] else ""
        hit.add_row(
            item["name"] + stands,
            item["provider"],
            ", ".join(item["loses_directly"]) or "what it was built on",
            *(_under(item["definitions"][name]) for name in names),
            "yes" if item["keeps_an_unaffected_path"] else "no",
            str(item["rebuild_steps"]),
            item["rebuilt_by"] or "no substitute recorded",
            _interval(item["impact"]["score"]),
        )
    out.print(hit)
    rest = len(facts["artifacts"]) - _SHOWN
    if rest > 0:
        out.say(f"and {rest:,} more, told by --json and by the page")


def _under(verdict: dict[str, Any]) -> str:
    if not verdict["loses"]:
        return "no"
    low, high = verdict["share"]
    return f"{verdict['hops']} hops, {share_text((low, high))}"
