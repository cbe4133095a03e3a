"""The Hub's ``model-index`` of a card: what evaluations found, where the Hub's tools read it.

The form is that of huggingface_hub's ``EvalResult``: a task, a dataset and metrics. It has no field
for an interval, so bounds and rows stand in a metric's ``args``, and in its name for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.evaluation import is_number
from mashbill.core.plain import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.evaluation import Result
    from mashbill.lineage.described import Evaluated
    from mashbill.lineage.exports.account import Account

_MOST = 50
_TYPES = {"accuracy": "accuracy", "score": "score", "bits_per_byte": "bits_per_byte"}


def model_index(account: Account) -> list[dict[str, Any]]:
    """Return the value of ``model-index``; empty where no evaluation measures the model itself."""
    results = [one for each in account.described.own for one in _results(account, each)]
    return [{"name": account.manifest.name, "results": results[:_MOST]}] if results else []


def _results(account: Account, each: Evaluated) -> Iterator[dict[str, Any]]:
    if each.found.metric == "suite":
        for task, metric, system, told in each.found.figures:
            value = told.get("value")
            if system in each.own and is_number(value):
                error = told.get("stderr")
                args = {"standard_error": _rounded(error)} if is_number(error) else {}
                yield _result("text-generation", task, [_metric(metric, metric, value, args)])
        return
    labels = "text-classification" if each.found.metric == "accuracy" else ""
    task = labels or account.described.task or "other"
    for system, result in each.results():
        metrics = list(_metrics(each, result))
        if metrics:
            several = f", {system}" if len(each.own) > 1 else ""
            yield _result(task, (each.held_out or each.name) + several, metrics)


def _metrics(each: Evaluated, result: Result) -> Iterator[dict[str, Any]]:
    if not result.is_known:
        return
    rows = each.rows_of(result)
    args: dict[str, Any] = {} if rows is None else {"rows": rows}
    said = "" if rows is None else counted(rows, "row")
    if result.low is not None and result.high is not None:
        args |= {"low": _rounded(result.low), "high": _rounded(result.high)}
        said = f"95% interval {result.low:.3f} to {result.high:.3f}" + (said and f", {said}")
    name = f"{each.metric} ({said})" if said else each.metric
    yield _metric(_TYPES[each.found.metric], name, result.value, args)
    f1 = result.facts.get("macro_f1")
    if is_number(f1):
        yield _metric("f1", "macro F1", f1, {})


def _metric(kind: str, name: str, value: float, args: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"type": kind, "value": _rounded(value), "name": name}
    return {**told, "args": args} if args else told


def _result(task: str, data: str, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    # The Hub's type is an id on it, and this is on none: its name without a version.
    kind = data.partition("@")[0]
    return {"task": {"type": task}, "dataset": {"name": data, "type": kind}, "metrics": metrics}


def _rounded(value: float) -> float:
    return round(float(value), 6)
