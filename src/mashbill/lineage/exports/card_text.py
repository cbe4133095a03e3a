"""The readable part of a card: what it is, how to use it, data, evaluation, lineage, limits.

The order is that of the Hub's own well-kept cards: first what a reader came for, then what it was
made from, then how to check it. The whole bill stands in ``bill.json``; a card tells the start of
every list and how much more there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.lineage.bills.telling import (
    amount,
    counted,
    coverage_sentence,
    definition_sentences,
    depth_words,
    did,
    licence_words,
    listed,
)
from mashbill.lineage.bills.text import (
    list_item,
    markdown,
    path_text,
    share_text,
    table_row,
    table_rule,
)
from mashbill.lineage.exports.bill_file import BILL_FILE
from mashbill.lineage.exports.card_duties import duties
from mashbill.lineage.exports.card_evaluation import evaluation
from mashbill.lineage.exports.card_learned import learned_lines
from mashbill.lineage.exports.card_usage import usage
from mashbill.lineage.exports.trained_here import own_teachers
from mashbill.policy.licences import spelled

if TYPE_CHECKING:
    from mashbill.lineage.exports.account import Account

_SOURCES = 100  # rows of the table of sources
_UNKNOWN = 12  # unknowns that are told one by one


def body(account: Account) -> list[str]:
    """Return the text of a card, a line an item."""
    sections = [
        ("How to use it", usage(account)),
        ("Training data" if account.is_model else "Where the data come from", _data(account)),
        ("Evaluation", evaluation(account)),
        ("Is it distilled?", _lineage(account)),
        *([("Licence and duties", duties(account))] if account.is_model else []),
        ("Limits", _limits(account)),
        ("Check it", _check(account)),
    ]
    lines = [f"# {account.manifest.ref}", "", *_what(account)]
    for title, told in sections:
        lines += ["", f"## {title}", "", *told]
    return lines


def _size(account: Account) -> str:
    manifest = account.manifest
    return amount(manifest.tokens, manifest.token_unit)


def _what(account: Account) -> list[str]:
    manifest = account.manifest
    kind = str(manifest.stage.get("kind", manifest.kind))
    taught = [f"{name} (trained here)" for name in own_teachers(account.table)]
    taught += dict.fromkeys(
        line.source.title for line in account.lines if line.source.what == "model"
    )
    what = account.described.what()
    if account.is_model:
        what = f"{what}, made by the stage `{kind}` from {_size(account)}"
    else:
        what = f"{what}, made by the stage `{kind}`"
    what = f"{what[0].upper()}{what[1:]}."
    by = f" Models had a part in it: {markdown(listed(taught))}." if taught else ""
    stated = account.stated_license
    licence = (
        f"Its licence is {markdown(spelled(stated))}."
        if stated
        else "The licence that it is under is not recorded."
    )
    return [f"{what}{by} {licence}", *_facts(account)]


def _facts(account: Account) -> list[str]:
    """Return a table of how it is built."""
    facts = account.described.facts()
    if len(facts) < 2:
        return []
    return ["", table_row(["", "what it is"]), table_rule(2), *(table_row(one) for one in facts)]


def _data(account: Account) -> list[str]:
    manifest = account.manifest
    inputs = [
        item.name
        for item in account.step.taken
        if item.role not in ("teacher", "verifier", "source")
    ]
    lines = []
    if inputs:
        lines += [f"It was made from {markdown(listed(inputs))}.", ""]
    lines += learned_lines(manifest)
    lines += [
        (
            f"Behind it stand {counted(len({line.source for line in account.lines}), 'source')}"
            f"{_in_rows(account)}. "
            f"A share is the part of the {manifest.token_unit} in records that the source reached, "
            "so shares overlap."
        ),
        "",
        table_row(["source", "what it did", "share", "how far", "licence"]),
        table_rule(5),
    ]
    lines += [
        table_row(
            [
                line.source.title,
                did(line),
                share_text(line.share),
                depth_words(line.depth),
                licence_words(line.source),
            ]
        )
        for line in account.lines[:_SOURCES]
    ]
    if (more := len(account.lines) - _SOURCES) > 0:
        lines += ["", f"{counted(more, 'further line')} in `{BILL_FILE}`."]
    return lines


def _lineage(account: Account) -> list[str]:
    lines = [
        (
            "Distillation is an ordinary technique, and what it means is not agreed. Under each "
            "definition this is what is recorded:"
        ),
        "",
    ]
    for closed, any_model in account.verdicts:
        about = closed.definition
        path = path_text(closed.path) or path_text(any_model.path)
        by = f" By this path: {path}." if path else ""
        unit = account.manifest.token_unit
        told = f"{definition_sentences(closed, any_model, unit)}{by}"
        lines.append(list_item(f"{about.name} ({about.title}, version {about.version}). {told}"))
    covered = coverage_sentence(account.covered, account.manifest.token_unit)
    return [*lines, "", markdown(covered)]


def _limits(account: Account) -> list[str]:
    unknown, limits = account.unknown, account.described.limits
    lines = [
        (
            "Nothing here says that something is allowed, and nothing is legal advice. Personal "
            "data, opt-outs and safety were not looked at."
        ),
        "",
    ]
    if limits:
        lines += [*(list_item(text) for text in limits), ""]
    if not unknown:
        return [*lines, "No fact is listed as unknown."]
    lines += ["What is not recorded:", ""]
    lines += [list_item(text) for text in unknown[:_UNKNOWN]]
    if (more := len(unknown) - _UNKNOWN) > 0:
        lines += ["", f"{counted(more, 'further unknown')} in `{BILL_FILE}`."]
    return lines


def _check(account: Account) -> list[str]:
    manifest = account.manifest
    return [
        (
            f"The whole bill is `{BILL_FILE}`, whose SHA-256 stands in this card. With the store "
            "beside you, `mashbill audit` checks every file against the signed ledger, and "
            f"`mashbill bill {manifest.ref}` derives it again. Content digest "
            f"`{manifest.digest}`; ledger entry {account.step.entry.index}, "
            f"`{account.step.entry.digest}`."
        ),
    ]


def _in_rows(account: Account) -> str:
    """Say that a source has a row for each thing that it did, where one did several."""
    rows = len(account.lines)
    if rows == len({line.source for line in account.lines}):
        return ""
    return f", told in {rows:,} rows, one for each way that a source was used"
