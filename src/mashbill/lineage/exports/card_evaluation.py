"""What a card says of how good its artifact is: each evaluation with intervals and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.evaluation import is_number
from mashbill.lineage.bills.telling import counted, listed
from mashbill.lineage.bills.text import list_item, markdown, table_row, table_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mashbill.core.evaluation import Result
    from mashbill.lineage.described import Evaluated
    from mashbill.lineage.exports.account import Account

_SYSTEMS = 20  # rows of an evaluation
_LABELS = 40


def evaluation(account: Account) -> list[str]:
    """Return the section, a line an item."""
    described = account.described
    lines: list[str] = []
    if account.is_model and not described.is_evaluated:
        lines.append("It was not evaluated: no evaluation in its store measures it.")
    elif not described.evaluations:
        lines.append("No evaluation of it is recorded.")
    for each in described.evaluations:
        told = _suite(each) if each.found.metric == "suite" else _systems(each)
        lines += [*([""] if lines else []), *told]
    return lines


def _systems(each: Evaluated) -> Iterator[str]:
    found = each.found
    rows = counted(found.rows, "held-out row") if found.rows else "held-out rows"
    of = f" of {each.held_out}" if each.held_out else ""
    against = " with human labels" if found.metric == "accuracy" else ""
    yield markdown(f"{each.name}: {rows}{of}{against}.{_whose(each)}")
    yield ""
    for _, result in each.results():
        yield from (f"**{markdown(each.sentence(result))}**", "")
    beside = ["macro F1"] if found.metric == "accuracy" else []
    head = ["system", each.metric, "95% interval", "rows", *beside]
    yield from (table_row(head), table_rule(len(head)))
    for name, result in list(found.systems.items())[:_SYSTEMS]:
        yield table_row(_cells(each, name, result)[: len(head)])
    if (more := len(found.systems) - _SYSTEMS) > 0:
        yield from ("", f"{counted(more, 'further system')} are in the store.")
    yield from _beside(each)
    for name, result in each.results():
        yield from _by_label(name, result)


def _whose(each: Evaluated) -> str:
    if not each.own:
        return " It measures what was made from it."
    return (
        f" Of its systems, {listed(each.own)} {'is' if len(each.own) == 1 else 'are'} this model."
    )


def _cells(each: Evaluated, name: str, result: Result) -> list[str]:
    low, high = result.interval
    interval = "" if result.low is None else f"{low:.3f} to {high:.3f}"
    rows, f1 = each.rows_of(result), result.facts.get("macro_f1")
    return [
        name,
        f"{result.value:.3f}" if result.is_known else "not known",
        interval,
        "" if rows is None else f"{rows:,}",
        f"{f1:.3f}" if is_number(f1) else "",
    ]


def _beside(each: Evaluated) -> Iterator[str]:
    """Yield what values are to be seen beside, and the differences of pairs."""
    found = each.found
    if found.metric == "accuracy" and each.found.majority is not None:
        label = markdown(found.measures.get("majority_label", "the commonest label"))
        yield from ("", f"Always saying {label} is right in {found.majority:.1%} of them.")
    told = [text for pair in each.differences() if (text := _difference(pair))][:_SYSTEMS]
    if told:
        yield from ("", "Differences, row by row:", "")
        yield from (list_item(text) for text in told)


def _difference(pair: Mapping[str, object]) -> str:
    numbers = [pair.get(key) for key in ("difference", "low", "high")]
    first, second = pair.get("first"), pair.get("second")
    if not is_number(numbers[0]):
        return ""
    told = f"{first} less {second}: {numbers[0]:+.3f}"
    if is_number(numbers[1]) and is_number(numbers[2]):
        told += f" (95% interval {numbers[1]:+.3f} to {numbers[2]:+.3f})"
    p = pair.get("p_corrected")
    return f"{told}, p {p:.2g}, corrected for all pairs" if is_number(p) else told


def _by_label(name: str, result: Result) -> Iterator[str]:
    labels = result.facts.get("labels")
    if not isinstance(labels, dict) or not labels:
        return
    head = ["label", "held-out rows", "said", "precision", "recall", "F1"]
    yield from ("", f"By label, of {markdown(name)}:", "", table_row(head), table_rule(len(head)))
    for label, told in list(labels.items())[:_LABELS]:
        one = told if isinstance(told, dict) else {}
        counts = [one.get(key) for key in ("gold", "said")]
        parts = [one.get(key) for key in ("precision", "recall", "f1")]
        cells = [f"{n:,}" if is_number(n) else "" for n in counts]
        cells += [f"{part:.3f}" if is_number(part) else "not known" for part in parts]
        yield table_row([label, *cells])


def _suite(each: Evaluated) -> Iterator[str]:
    """Yield what a suite of tasks told."""
    by = each.found.measures.get("by", "a suite")
    yield from (markdown(f"{each.name}: tasks of {by}.{_whose(each)}"), "")
    yield from (table_row(["task", "metric", "system", "value", "standard error"]), table_rule(5))
    for task, metric, system, told in each.found.figures[:_SYSTEMS]:
        cells = [
            f"{one:.3f}" if is_number(one) else "" for one in map(told.get, ("value", "stderr"))
        ]
        yield table_row([task, metric, system, *cells])
