"""Section 2.5, synthetic data, of the EU template for the public summary of training content.

The template is the European Commission's, C(2025) 8311 final of 5 December 2025 (first published on
24 July 2025), under Article 53(1)(d) of Regulation (EU) 2024/1689. Its title page and first
paragraphs, and the fields of section 2.5, were read in copies that others hold, so it is cited as
second-hand: docs/exports.md has where. Which steps count is read from the shipped definition
EU-2.5; whether a verifier counts is open there, so both readings stand side by side. What is said
of models comes from :mod:`mashbill.lineage.exports.eu_answer` alone, so that no two lines of the
text can differ. Every figure is weighted by tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.lineage.bills.definitions import load_definitions
from mashbill.lineage.bills.telling import amount, definition_sentences, listed
from mashbill.lineage.bills.text import list_item, markdown, percent, table_row, table_rule
from mashbill.lineage.exports.eu_answer import Generator, Section, called, others, section_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.lineage.bills.definitions import Definition
    from mashbill.lineage.exports.account import Account
    from mashbill.lineage.exports.readings import Use

PAGE = (
    "digital-strategy.ec.europa.eu/en/library/"
    "explanatory-notice-and-template-public-summary-training-content-general-purpose-ai-models"
)
"""the Commission's page of the template"""


def write(account: Account) -> str:
    """Return the account as Markdown."""
    (definition,) = load_definitions(["EU-2.5"])
    section = section_of(account, definition)
    manifest = account.manifest
    lines = [
        f"# Synthetic data (section 2.5): {manifest.ref}",
        "",
        (
            "For whom: providers of general-purpose AI models on the Union market owe a public "
            "summary of the content that such a model was trained on (Regulation (EU) 2024/1689, "
            f"Article 53(1)(d)). Whether {manifest.ref} is such a model, and who provides it, is "
            "not recorded in a store; below, the provider is whoever holds this one."
        ),
        "",
        (
            "Template: European Commission, C(2025) 8311 final, 5 December 2025, first published "
            f"on 24 July 2025; {PAGE}. Its fields are given here in our own words after "
            "copies that others hold: second-hand, re-check."
        ),
        "",
        "## Was AI-generated data made, by the provider or for it, to train the model?",
        "",
        markdown(section.answer),
        "",
        table_row(["reading", "trained on what models put out, whoever had them do so"]),
        table_rule(2),
        table_row(["verifiers not counted", _names(section, verifiers=False)]),
        table_row(["verifiers counted", _names(section, verifiers=True)]),
        "",
        _by_definition(section, account, definition),
        "",
        "## Modality of these data",
        "",
        *_modality(account, section),
        "",
        "## Models available on the market",
        "",
        *_table([item for item in _in_order(section) if not item.is_own], account),
        "",
        *_market_notes(section),
        "## The provider's own models",
        "",
        *_table([item for item in _in_order(section) if item.is_own], account),
        "",
        *_own_notes(section),
        "## Left out",
        "",
        (
            "These cleaned or enriched data, decided what stays, wrote what was asked, or gave the "
            "weights that training started from, and so made no such data:"
        ),
        "",
        *([_left_out(use, account) for use in section.left_out] or ["* none recorded"]),
        "",
        "## Comments",
        "",
        (
            f"Counted over {amount(manifest.tokens, manifest.token_unit)}: "
            f"{'those that it learned from' if account.is_model else 'those of its records'}. "
            "A model's tokens are those of records that it reached; one record may be reached by "
            "several models, so shares do not add up. Depth 1 is direct; what lies deeper stands "
            "behind a model of the provider's own."
        ),
        "",
        "## Not recorded",
        "",
        *([list_item(text) for text in account.unknown] or ["* nothing is listed"]),
        "",
        account.coverage + " Nothing here is legal advice.",
    ]
    return "\n".join(lines) + "\n"


def _in_order(section: Section) -> list[Generator]:
    return [*section.direct, *section.behind]


def _names(section: Section, *, verifiers: bool) -> str:
    names = section.named(verifiers=verifiers)
    return f"yes: {', '.join(names)}" if names else "none recorded"


def _by_definition(section: Section, account: Account, definition: Definition) -> str:
    """Return what the shipped definition concludes, which asks about others' models alone."""
    told = [
        definition_sentences(closed, any_model, account.manifest.token_unit)
        for closed, any_model in account.verdicts
        if closed.definition.name == definition.name
    ]
    own = section.named(verifiers=True, own=True)
    beside = (
        f" Beside them, of the provider's own: {markdown(listed(own, len(own)))}." if own else ""
    )
    return (
        f"Definition {definition.name}, version {definition.version}, asks about models of others "
        f"alone. {' '.join(told)}{beside}"
    )


def _modality(account: Account, section: Section) -> list[str]:
    if not section.direct:
        return ["No such data are recorded."]
    other = account.binary_columns
    told = "Text."
    if other:
        told += (
            f" The columns {', '.join(other)} hold bytes; whether those are images, audio or "
            "video is not recorded."
        )
    return [markdown(told)]


def _amount(share: tuple[float, float] | None, account: Account) -> str:
    """Return tokens and share for people; a hyphen where nothing counts."""
    if share is None:
        return "-"
    low, high = (round(end * account.manifest.tokens) for end in share)
    if share[0] == share[1]:
        return f"{low:,} ({percent(share[0])})"
    return f"{low:,} to {high:,} ({percent(share[0])} to {percent(share[1])})"


def _role(use: Use) -> str:
    return " + ".join(channel.value for channel in use.channels)


def _table(found: Sequence[Generator], account: Account) -> list[str]:
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
        "on the market",
        "general-purpose",
        "on whose behalf",
    ]
    rows: list[list[Any]] = [
        [
            item.name,
            item.use.source.provider,
            item.use.source.route,
            _role(item.use),
            item.use.depth,
            _amount(item.use.strict, account),
            _amount(item.use.wide, account),
            item.on_the_market,
            item.general_purpose,
            item.behalf,
        ]
        for item in found
    ]
    return [table_row(head), table_rule(len(head)), *(table_row(row) for row in rows)]


def _market_notes(section: Section) -> list[str]:
    """Say what the template wants of these models and no store holds."""
    if not others(_in_order(section)):
        return []
    return [
        (
            "To be filled in by the provider: which of these are general-purpose AI models, and a "
            "link to the public summary of each that has one. Models of others that are on no "
            "market stand here too, with what is recorded of it."
        ),
        "",
    ]


def _own_notes(section: Section) -> list[str]:
    own = sorted({item.name for item in _in_order(section) if item.is_own})
    if not own:
        return []
    ways = ", ".join(f"`mashbill export {name} --format eu-2.5`" for name in own)
    return [f"What these were trained on themselves: {ways}.", ""]


def _left_out(use: Use, account: Account) -> str:
    amount = _amount(use.recorded, account) if use.recorded else "weights, which are no tokens"
    part = "; a part of it counts above" if use.wide else ""
    return list_item(f"{called(use)}, {_role(use)}, depth {use.depth}: {amount}{part}")
