"""What an evaluation found, in words and tables for terminal and page alike.

Measures of strangers' stores are shown as far as they can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.evaluation import WORDS, count_of, is_number
from mashbill.core.paired import beyond_chance
from mashbill.core.plain import counted

if TYPE_CHECKING:
    from mashbill.core.evaluation import Evaluation, Result

_KS = 4  # of pass@k that a table has columns for
_LEVELS = 12  # that a line tells


@dataclass(frozen=True)
class Scores:
    """A table of systems."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def scores(evaluation: Evaluation) -> Scores:
    """Return what each system is worth, the best first."""
    if evaluation.metric == "suite":
        return _of_suite(evaluation)
    found = evaluation.by_value()
    columns = [("system", [name for name, _ in found])]
    columns.append((WORDS[evaluation.metric], [_number(one.value) for _, one in found]))
    columns.append(("95% interval", [_interval(one.low, one.high) for _, one in found]))
    if evaluation.metric == "accuracy":
        columns.append(("macro F1", [_number(one.facts.get("macro_f1")) for _, one in found]))
    columns += _of_scores(found) + _of_likelihood(found) + _of_seeds(found)
    rows = zip(*(cells for _, cells in columns), strict=True)
    return Scores(_title(evaluation), tuple(name for name, _ in columns), tuple(rows))


def _of_suite(evaluation: Evaluation) -> Scores:
    """Return what a suite told of each system, by task and metric."""
    rows: list[tuple[str, ...]] = []
    for task, metric, system, told in evaluation.figures:
        seeds = _table(told.get("seeds"))
        spread = f"{_number(seeds.get('sd'))} ({seeds.get('seeds')})" if seeds else ""
        worse = " (fewer is better)" if told.get("higher_is_better") is False else ""
        rows.append(
            (
                task, f"{metric}{worse}", system, _number(told.get("value")),
                _interval(told.get("low"), told.get("high")), _count(told.get("samples")), spread,
            )
        )  # fmt: skip
    head: tuple[str, ...] = (
        "task",
        "metric",
        "system",
        "value",
        "95% interval",
        "items",
        "sd over seeds",
    )
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    return Scores(f"Tasks of {evaluation.measures.get('by', 'a suite')}", head, tuple(rows))


def _title(evaluation: Evaluation) -> str:
    rows = counted(evaluation.rows or 0, "held-out row")
    if evaluation.metric == "accuracy":
        return f"Accuracy against humans on {rows}"
    if evaluation.metric == "score":
        return f"Mean score by {evaluation.measures.get('by', 'a verifier')} on {rows}"
    return f"Bits per byte of {rows} (fewer is better)"


_Column = tuple[str, list[str]]


def _of_scores(found: list[tuple[str, Result]]) -> list[_Column]:
    """Return columns of what came of answers, where not all were scored, and of pass@k."""
    columns: list[_Column] = []
    if any(_unscored(one) for _, one in found):
        bounds = [
            _interval(one.facts.get("at_least"), one.facts.get("at_most")) for _, one in found
        ]
        columns += [("not scored", [f"{_unscored(one):,}" for _, one in found]), ("bounds", bounds)]
    if any(is_number(one.facts.get("characters")) for _, one in found):
        columns.append(("characters", [_rounded(one.facts.get("characters")) for _, one in found]))
    told = [_table(one.facts.get("pass_at")) for _, one in found]
    ks = sorted({int(k) for own in told for k in own if k.isdigit()})
    for k in [k for k in ks if k > 1][:_KS]:
        cells = [_number(_table(own.get(str(k))).get("estimate")) for own in told]
        columns.append((f"pass@{k}", cells))
    return columns


def _of_likelihood(found: list[tuple[str, Result]]) -> list[_Column]:
    if not any("perplexity" in one.facts for _, one in found):
        return []
    each = [one.facts for _, one in found]
    return [
        ("perplexity a token", [_large(facts.get("perplexity")) for facts in each]),
        ("a byte", [_large(facts.get("byte_perplexity")) for facts in each]),
        ("tokens", [_count(facts.get("tokens")) for facts in each]),
        ("bytes", [_count(facts.get("bytes")) for facts in each]),
    ]


def _of_seeds(found: list[tuple[str, Result]]) -> list[_Column]:
    told = [_table(one.facts.get("seeds")) for _, one in found]
    if not any(told):
        return []
    spread = [f"{_number(own.get('sd'))} ({own.get('seeds')})" if own else "" for own in told]
    return [("sd over seeds", spread)]


def difference(pair: Mapping[str, Any]) -> str:
    """Return how a pair of systems differs, as a line."""
    low, high, value = pair.get("low"), pair.get("high"), pair.get("difference")
    who = f"{pair.get('first')} - {pair.get('second')}"
    if not is_number(value):
        return f"{who}: not compared, as no row has a score of both"
    line = f"{who}: {value:+.3f}"
    if is_number(low) and is_number(high):
        beyond = ", beyond chance" if beyond_chance(pair) else ""
        line += f" ({low:+.3f} to {high:+.3f}){beyond}"
    if is_number(pair.get("p")):
        corrected = pair.get("p_corrected")
        holm = f", {_p(corrected)} with all comparisons (Holm)" if is_number(corrected) else ""
        line += f"; p = {_p(pair['p'])} ({pair.get('test')}){holm}"
    if isinstance(pair.get("wins"), int):
        wins, losses, ties, pairs = (
            count_of(pair.get(key)) for key in ("wins", "losses", "ties", "pairs")
        )
        line += (
            f"; above on {wins:,}, below on {losses:,}, alike on {ties:,} of "
            f"{counted(pairs, 'row')}"
        )
        if rate := win_rate(pair):
            line += f"; win rate {rate}, ties as halves"
    if unpaired := count_of(pair.get("unpaired")):
        line += f"; {counted(unpaired, 'row')} without a score of both"
    return line


def win_rate(pair: Mapping[str, Any]) -> str:
    """Return a pair's win rate with its interval; empty where it is not told."""
    if not is_number(pair.get("win_rate")):
        return ""
    between = _interval(pair.get("win_low"), pair.get("win_high"))
    return f"{pair['win_rate']:.3f}" + (f" ({between})" if between else "")


def retention(pair: Mapping[str, Any]) -> str:
    """Return how much of its teacher's score a student has, as a line; empty if it is not told."""
    ratio = pair.get("ratio")
    if not is_number(ratio):
        return ""
    interval = _interval(pair.get("low"), pair.get("high"))
    between = f" ({interval})" if interval else ""
    return (
        f"{pair.get('student')} has {ratio:.3f}{between} of the score of {pair.get('teacher')}, "
        f"on {counted(count_of(pair.get('rows')), 'row')}"
    )


def overlaps(evaluation: Evaluation) -> list[str]:
    """Return each system with and without the rows that stand in what it learned from."""
    found = []
    for system, result in evaluation.systems.items():
        told = _table(result.facts.get("overlap"))
        rows = told.get("rows")
        if not isinstance(rows, int) or not rows:
            continue
        parts = []
        for what in ("without", "within"):
            own = _table(told.get(what))
            value = own.get(evaluation.metric)
            between = _interval(own.get("low"), own.get("high"))
            around = f" ({between})" if between else ""
            said = f"{value:.3f}{around}" if is_number(value) else "none"
            parts.append(f"{said} {'without' if what == 'without' else 'among'} them")
        found.append(
            f"{system}: {counted(rows, 'row')} in what it learned from; "
            f"{WORDS[evaluation.metric]} {', '.join(parts)}"
        )
    return found


def levels(evaluation: Evaluation) -> list[str]:
    """Return each system's scores by level."""
    found = []
    for system, result in evaluation.by_value():
        told = _table(result.facts.get("levels"))
        cells = [
            f"{name} {_number(_table(own).get(evaluation.metric))} of "
            f"{counted(count_of(_table(own).get('rows')), 'row')}"
            for name, own in list(told.items())[:_LEVELS]
        ]
        if cells:
            more = f"; and {len(told) - _LEVELS} more" if len(told) > _LEVELS else ""
            found.append(f"{system}, by level: {'; '.join(cells)}{more}")
    return found


def _unscored(result: Result) -> int:
    came = _table(result.facts.get("came"))
    return sum(count_of(n) for name, n in came.items() if name != "scored")


def _table(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}


def _number(value: Any) -> str:
    return f"{value:.3f}" if is_number(value) else ""


def _rounded(value: Any) -> str:
    return f"{value:,.0f}" if is_number(value) else ""


def _large(value: Any) -> str:
    return f"{value:,.2f}" if is_number(value) else ""


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and is_number(value) else ""


def _interval(low: Any, high: Any) -> str:
    return f"{low:.3f} to {high:.3f}" if is_number(low) and is_number(high) else ""


def _p(value: float) -> str:
    return "below 0.0001" if value < 0.0001 else f"{value:.4f}"
