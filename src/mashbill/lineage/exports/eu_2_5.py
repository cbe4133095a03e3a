"""Section 2.5, synthetic data, of the EU template for the public summary of training content.

The template (European Commission, 24 July 2025, under Article 53(1)(d) of Regulation 2024/1689)
asks which models made data that another model is trained on directly, by distillation or
alignment, and leaves out models that clean or enrich. Which steps count is read from the shipped
definition EU-2.5; whether a verifier counts is open there, so both readings stand side by side.
Every figure is weighted by tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.lineage.definitions import Definition, Verdict, load_definitions
from mashbill.lineage.exports.readings import Use, own_models, readings_of, uses
from mashbill.lineage.words import (
    conclusion_text,
    list_item,
    percent,
    table_row,
    table_rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.lineage.exports.account import Account


def write(account: Account) -> str:
    """Return the account as Markdown."""
    (definition,) = load_definitions(["EU-2.5"])
    readings = readings_of(definition)
    market = uses(account.table, readings)
    own = own_models(account.table, readings)
    direct = [use for use in [*market, *own] if use.wide and _is_direct(use, definition)]
    out = [use for use in [*market, *own] if _is_left_out(use)]
    manifest = account.manifest
    lines = [
        f"# Synthetic data (section 2.5): {manifest.ref}",
        "",
        (
            f"Counted over {manifest.tokens:,} {manifest.token_unit}: "
            f"{'those that it learned from' if account.is_model else 'those of its records'}. "
            "A model's tokens are those of records that it reached; one record may be reached by "
            "several models, so shares do not add up. Depth 1 is direct; what lies deeper stands "
            "behind a model of the provider's own."
        ),
        "",
        table_row(["reading", "trained on outputs of other models"]),
        table_rule(2),
        table_row(["verifiers not counted", _answer(use for use in direct if use.strict)]),
        table_row(["verifiers counted", _answer(direct)]),
        "",
        *_verdicts(account, definition),
        "",
        "## Models available on the market",
        "",
        *_table([use for use in market if use.wide], account),
        "",
        "## The provider's own models",
        "",
        *_table([use for use in own if use.wide], account),
        "",
        "## Left out",
        "",
        (
            "Models that cleaned or enriched data, decided what stays, wrote what was asked, or "
            "gave the weights that training started from:"
        ),
        "",
        *([_left_out(use, account) for use in out] or ["* none recorded"]),
        "",
        "## Not recorded",
        "",
        *([list_item(text) for text in account.unknown] or ["* nothing is listed"]),
        "",
        account.coverage + " Nothing here is legal advice.",
    ]
    return "\n".join(lines) + "\n"


def _is_direct(use: Use, definition: Definition) -> bool:
    return definition.max_hops is None or use.depth <= definition.max_hops


def _verdicts(account: Account, definition: Definition) -> list[str]:
    """Return what the shipped definition concludes about models on the market."""
    return [
        f"Definition {definition.name}, version {definition.version}, about models on the market: "
        f"closed models, {_conclusion(closed, account)}; any model, "
        f"{_conclusion(any_model, account)}."
        for closed, any_model in account.verdicts
        if closed.definition.name == definition.name
    ]


def _conclusion(verdict: Verdict, account: Account) -> str:
    text = conclusion_text(verdict, share=False)
    return f"{text}, {_amount(verdict.share, account)}" if verdict.depth is not None else text


def _answer(found: Iterable[Use]) -> str:
    names = sorted({_name(use) for use in found})
    return f"yes: {', '.join(names)}" if names else "none recorded"


def _amount(share: tuple[float, float] | None, account: Account) -> str:
    """Return tokens and share for people; a hyphen where nothing counts."""
    if share is None:
        return "-"
    low, high = (round(end * account.manifest.tokens) for end in share)
    if share[0] == share[1]:
        return f"{low:,} ({percent(share[0])})"
    return f"{low:,} to {high:,} ({percent(share[0])} to {percent(share[1])})"


def _name(use: Use) -> str:
    double = " (a test double, no model)" if use.source.kind == "test-double" else ""
    return f"{use.source.title}{double}"


def _role(use: Use) -> str:
    return " + ".join(channel.value for channel in use.channels)


def _table(found: list[Use], account: Account) -> list[str]:
    """Return a table of models, one row a route."""
    if not found:
        return ["None recorded."]
    unit = account.manifest.token_unit
    head: list[Any] = [
        "model",
        "provider",
        "reached by",
        "role",
        "depth",
        f"{unit}, verifiers not counted",
        f"{unit}, verifiers counted",
    ]
    rows: list[list[Any]] = [
        [
            _name(use),
            use.source.provider,
            use.source.route,
            _role(use),
            use.depth,
            _amount(use.strict, account),
            _amount(use.wide, account),
        ]
        for use in found
    ]
    return [table_row(head), table_rule(len(head)), *(table_row(row) for row in rows)]


def _is_left_out(use: Use) -> bool:
    """Whether some of what it did does not count."""
    return not use.wide or (use.recorded is not None and use.wide[1] < use.recorded[1])


def _left_out(use: Use, account: Account) -> str:
    amount = _amount(use.recorded, account) if use.recorded else "weights, which are no tokens"
    part = "left out in part" if use.wide else "left out"
    return list_item(f"{_name(use)}, {_role(use)}, depth {use.depth}: {amount}; {part}")
