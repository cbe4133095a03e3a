"""The readable part of a card: what it is, how to use it, data, evaluation, lineage, limits.

The order is that of the Hub's own well-kept cards: first what a reader came for, then what it was
made from, then how to check it. The whole bill stands in ``bill.json``; a card tells the start of
every list and how much more there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.evaluation import WORDS
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
    percent,
    share_text,
    table_row,
    table_rule,
)
from mashbill.lineage.exports.bill_file import BILL_FILE
from mashbill.lineage.exports.card_duties import duties
from mashbill.lineage.exports.card_learned import learned_lines
from mashbill.lineage.exports.card_usage import usage
from mashbill.lineage.exports.trained_here import own_teachers
from mashbill.policy.licences import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.evaluation import Evaluation, Result
    from mashbill.lineage.exports.account import Account

_SOURCES = 100  # rows of the table of sources
_UNKNOWN = 12  # unknowns that are told one by one
_SYSTEMS = 20  # rows of an evaluation


def body(account: Account) -> list[str]:
    """Return the text of a card, a line an item."""
    sections = [
        ("How to use it", usage(account)),
        ("Training data" if account.is_model else "Where the data come from", _data(account)),
        ("Evaluation", _evaluation(account)),
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
    if account.is_model:
        size = manifest.measures.get("parameters")
        of = f" of {counted(size, 'parameter')}" if isinstance(size, int) else ""
        what = f"A model{of}, made by the stage `{kind}` from {_size(account)}."
    else:
        rows = counted(manifest.rows, "row")
        what = f"A dataset of {rows} ({_size(account)}), made by the stage `{kind}`."
    by = f" Models had a part in it: {markdown(listed(taught))}." if taught else ""
    stated = account.stated_license
    licence = (
        f"Its licence is {markdown(spelled(stated))}."
        if stated
        else "The licence that it is under is not recorded."
    )
    return [f"{what}{by} {licence}"]


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


def _evaluation(account: Account) -> list[str]:
    if not account.evaluations:
        return ["No evaluation of it is recorded."]
    lines: list[str] = []
    for name, found in account.evaluations:
        systems = list(found.systems.items())
        if found.metric == "suite":
            lines += [*([""] if lines else []), *_suite(name, found)]
            continue
        rows = counted(found.rows or 0, "held-out row")
        against = " with human labels" if found.metric == "accuracy" else ""
        beside = ["macro F1"] if found.metric == "accuracy" else []
        head = ["system", WORDS[found.metric], "95% interval", *beside]
        lines += [
            *([""] if lines else []),
            f"{markdown(name)}: {rows}{against}.",
            "",
            table_row(head),
            table_rule(len(head)),
            *(table_row(row[: len(head)]) for row in _scores(systems[:_SYSTEMS])),
            *_majority(found),
        ]
    return lines


def _suite(name: str, found: Evaluation) -> Iterator[str]:
    """Yield what a suite of tasks told."""
    yield from (f"{markdown(name)}: tasks of {markdown(found.measures.get('by', 'a suite'))}.", "")
    yield from (table_row(["task", "metric", "system", "value", "standard error"]), table_rule(5))
    for task, metric, system, told in found.figures[:_SYSTEMS]:
        value, error = (told.get(key) for key in ("value", "stderr"))
        cells = [f"{one:.3f}" if isinstance(one, int | float) else "" for one in (value, error)]
        yield table_row([task, metric, system, *cells])


def _scores(systems: list[tuple[str, Result]]) -> Iterator[list[str]]:
    for name, score in systems:
        low, high = score.interval
        interval = "" if score.low is None else f"{low:.3f} to {high:.3f}"
        f1 = score.facts.get("macro_f1")
        value = f"{score.value:.3f}" if score.is_known else "not known"
        yield [name, value, interval, "" if f1 is None else f"{f1:.3f}"]


def _majority(found: Evaluation) -> list[str]:
    if "majority_label" not in found.measures or found.majority is None:
        return []
    label = markdown(found.measures["majority_label"])
    return ["", f"Always saying {label} is right in {percent(found.majority)} of them."]


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
    unknown = account.unknown
    lines = [
        (
            "Nothing here says that something is allowed, and nothing is legal advice. Personal "
            "data, opt-outs and safety were not looked at."
        ),
        "",
    ]
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
