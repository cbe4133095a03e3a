"""Printing what the catalogue says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.cli.options import out
from mashbill.cli.printing import table
from mashbill.lineage.bills.telling import looked_words
from mashbill.lineage.bills.text import share_text

if TYPE_CHECKING:
    from mashbill.policy.claims import Claim, Entity


def print_entity(
    entity: Entity,
    about: list[Claim],
    used: list[Claim],
    disputes: dict[str, list[Claim]],
    *,
    made_from: int,
    used_in: int,
) -> None:
    """Print a model or dataset, what it was made from, and what it is used in.

    Args:
        entity: it.
        about: claims about what it was made from, the first of them.
        used: claims that name it as a parent, the first of them.
        disputes: claims that contradict each other, by name.
        made_from: claims about what it was made from, in all.
        used_in: claims that name it as a parent, in all.
    """
    facts = {
        "what": entity.what, "kind": entity.kind, "provider": entity.provider,
        "country": entity.country, "licence": entity.license or _looked(entity.license_looked),
        "released": entity.released or _looked(entity.released_looked),
        "parameters": entity.parameters,
        "context": f"{entity.context:,} tokens" if entity.context else "",
        "takes in": " and ".join(entity.takes),
        "downloads in 30 days": _downloads(entity),
        "also called": ", ".join(entity.aliases), "source": entity.source,
        "source of context and media": entity.measures_source,
    }  # fmt: skip
    mark = " (second-hand: re-check)" if entity.second_hand else ""
    told = "; ".join(f"{key} {value}" for key, value in facts.items() if value)
    out.say((entity.id, "bold"), f": {told}{mark}")
    claims = table(
        "from", "as", "through", "how much", "status", "source", "note", title="Claims: made from"
    )
    for claim in about:
        mark = ", second-hand" if claim.second_hand else ""
        dispute = f", disputed ({claim.dispute})" if claim.dispute else ""
        route = "" if claim.route == "unknown" else f" by {claim.route}"
        claims.add_row(claim.parent + route, claim.relation, claim.dataset, _amount(claim),
                       claim.status + mark + dispute, claim.source, claim.note)  # fmt: skip
    if about:
        out.print(claims)
    else:
        out.say(f"What it was made from: {_looked(entity.making_looked)}.")
    if made_from > len(about):
        out.say(f"and {made_from - len(about):,} more claims, told by --json or a larger --limit")
    mine = {claim.dispute for claim in about if claim.dispute}
    for name in sorted(mine):
        sides = " / ".join(f"{c.parent} ({c.relation}, {c.source})" for c in disputes[name])
        out.say(f"Sources disagree on {name}: {sides}")
    if used:
        names = sorted({f"{claim.child} ({claim.relation})" for claim in used})
        more = used_in - len(used)
        rest = f"; and {more:,} more, told by --json or a larger --limit" if more else ""
        out.say(f"Used in {len(names) + more:,}: {'; '.join(names)}{rest}")


def _downloads(entity: Entity) -> str:
    if entity.downloads is None:
        return ""
    return f"{entity.downloads:,} ({entity.downloads_on}, {entity.downloads_source})"


def _looked(where: str) -> str:
    return looked_words(where)


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
