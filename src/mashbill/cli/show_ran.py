"""How a run ends on a terminal: ten lines at most, or with ``--full`` all that it has to say."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from mashbill.cli.printing import WIDTH, out
from mashbill.cli.show import print_spend, print_verdicts
from mashbill.cli.show_evaluation import print_evaluations
from mashbill.cli.show_judges import print_judged
from mashbill.cli.show_rewards import print_rewards
from mashbill.cli.show_training import print_training, shown_first
from mashbill.core.curves import told_as
from mashbill.core.evaluation import WORDS
from mashbill.core.plain import counted, listed
from mashbill.core.shown import shown
from mashbill.core.stage import WARNINGS
from mashbill.lineage.bills.text import path_text
from mashbill.report.scores import difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.evaluation import Evaluation, Result
    from mashbill.lineage.bills.definitions import Verdict
    from mashbill.run.spend import Spend
    from mashbill.workspace.planned import Planned, Ran

_LABEL = 11  # columns before the text of a line
_MOST = {"made": 2, "how good": 4, "cost": 2, "distilled": 2, "attention": 2}
"""lines of each part"""
_ALL = 9
"""lines of all of them"""
_SHORTENED = ("attention", "made", "distilled")
"""what gets one line, in this order, where there would be more"""
_NAMES = 3


def print_ran(ran: Ran, planned: Planned, spend: Spend) -> None:
    """Print what was made, how good it is, what it cost, what to look at, what wants attention."""
    parts = {
        "made": [_made(ran)],
        "how good": list(_how_good(ran)),
        "cost": [_cost(ran, spend)],
        "distilled": [_distilled(ran.verdicts)],
        "attention": list(_attention(ran, planned)),
    }
    lines = {label: _lines(texts, _MOST[label]) for label, texts in parts.items()}
    for label in _SHORTENED:
        if sum(map(len, lines.values())) > _ALL:
            lines[label] = _lines(parts[label], 1)
    out.print()
    for label, own in lines.items():
        for number, line in enumerate(own):
            style = "red" if line.startswith(_BAD) else ""
            out.say((f"{'' if number else label:<{_LABEL}}", "bold"), (line, style))
    # A path is not divided: it is to be clicked at, or copied.
    out.say((f"{'look at':<{_LABEL}}", "bold"), str(ran.report))


def print_all(ran: Ran, spend: Spend) -> None:
    """Print every table of a run."""
    print_spend(spend)
    out.print()
    print_training(ran)
    print_rewards(ran.rewards)
    print_judged([item.manifest for item in ran.done])
    evaluations = _evaluations(ran)
    if evaluations or ran.arms is None:
        print_evaluations(evaluations)
    if ran.arms is not None:
        from mashbill.cli.show_compared import print_compared

        print_compared(ran.arms)
    print_verdicts(list(ran.verdicts), str(ran.result.ref))
    out.say(f"Report: {ran.report}")


def _lines(texts: Sequence[str], most: int) -> list[str]:
    """Return texts in as many lines as they may have; what is left out is said to be."""
    width = WIDTH - _LABEL
    lines = [line for text in texts for line in _wrapped(shown(text), width)]
    if len(lines) > most:
        lines = lines[:most]
        lines[-1] = f"{lines[-1][: width - 2].rstrip(' ,;')} …"
    return lines


_BAD = ("below the", "not better than", "not above")


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _evaluations(ran: Ran) -> dict[str, Evaluation]:
    return {name: one for name, one in ran.evaluations.items() if not ran.is_of_arms(name)}


def _made(ran: Ran) -> str:
    """Say what the result is, and what else was made now."""
    result = ran.result
    if result.kind == "dataset":
        what = f"{counted(result.rows, 'row')}"
        if result.rejected_rows:
            what += f", {result.rejected_rows:,} rejected"
    else:
        size = result.measures.get("parameters")
        what = "a model" + (f", {counted(size, 'parameter')}" if isinstance(size, int) else "")
    now = [item for item in ran.done if not item.was_cached]
    old = len(ran.done) - len(now)
    if not now:
        return f"nothing: all was there before; {result.ref} is {what}"
    names = [str(item.manifest.ref) for item in now if item.manifest.ref != result.ref]
    if len(names) == len(now):
        return f"{listed(names, _NAMES)}; {result.ref}, {what}, was there before"
    more = [f"made on the way {len(names):,}"] if names else []
    more += [f"there before {old:,}"] if old else []
    return "; ".join([f"{result.ref}: {what}", *more])


def _how_good(ran: Ran) -> Iterator[str]:
    """Say how good the result is, what must be said against it first."""
    evaluations = _evaluations(ran)
    if ran.arms is not None:
        yield from _of_arms(ran)
    elif evaluations:
        name, found = _of_result(evaluations, ran.result.name)
        yield from _of_evaluation(found, ran.result.name)
        if len(evaluations) > 1:
            others = listed([one for one in evaluations if one != name], _NAMES)
            yield f"also measured: {others}"
    for told in ran.rewards[:1]:
        passed = told.counts.get("passed")
        first = next((one for one in told.pass_at if one.estimate is not None), None)
        said = f"{told.counts.get('scored', 0):,} of {counted(told.rows, 'row')} scored"
        said += f", {passed:,} pass" if passed is not None else ""
        said += f", pass@{first.k} {first.estimate:.3f}" if first is not None else ""
        yield f"{told.name}, by {told.verifier}: {said}"
    yield from _of_training(ran)
    if evaluations or ran.arms is not None or ran.rewards:
        return
    if ran.result.kind == "model":
        yield "not measured: no stage `evaluate` holds it against rows of known answer"
    else:
        yield f"not measured; `mashbill report {ran.result.name} --data` says what rows are like"


def _of_result(found: dict[str, Evaluation], name: str) -> tuple[str, Evaluation]:
    """Return the evaluation that has the result among its systems, or else the last."""
    own = [(one, each) for one, each in found.items() if name in each.systems]
    return (own or list(found.items()))[-1]


def _of_evaluation(found: Evaluation, name: str) -> Iterator[str]:
    from mashbill.evals.remarks import remarks

    systems = sorted(found.by_value(), key=lambda item: item[0] != name)
    if not systems:
        yield "nothing was scored"
        return
    main, result = systems[0]
    against = [one.text for one in remarks(found) if one.system == main]
    rows = f" on {counted(found.rows, 'row')}" if found.rows else ""
    more = ""
    if found.metric == "accuracy" and found.majority is not None:
        label = found.measures.get("majority_label")
        which = f"{label!r:.30}" if label is not None else "the commonest label"
        more = f"; always {which}: {found.majority:.3f}"
    yield from against[:1]
    yield f"{main}: {WORDS[found.metric]} {_valued(result)}{rows}{more}"
    others = [f"{other} {_valued(each)}" for other, each in systems[1:]]
    if others:
        yield f"beside it {listed(others, _NAMES)}"


def _valued(result: Result) -> str:
    if not result.is_known:
        return "not scored"
    low, high = result.low, result.high
    between = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    return f"{result.value:.3f}{between}"


def _of_arms(ran: Ran) -> Iterator[str]:
    arms = ran.arms
    if arms is None:
        return
    gaps = [(one, gap) for one in arms.telling if one.is_main for gap in one.gaps]
    for one, gap in sorted(gaps, key=lambda each: not each[1].found.is_beyond_all)[:2]:
        beyond = "beyond chance" if gap.found.is_beyond_all else "not beyond chance"
        found = gap.found
        yield (
            f"{gap.first} - {gap.second}, {one.title}: {found.difference:+.3f} "
            f"({found.low:+.3f} to {found.high:+.3f}), {beyond}"
        )
    if gaps:
        return
    for name, whole in _evaluations(ran).items():  # of all arms together
        if whole.compare:
            yield from (f"{name}: {difference(pair).split(';')[0]}" for pair in whole.compare[:2])
            return
    yield f"{counted(len(arms.sides), 'arm')}, and nothing measured that can be compared"


def _of_training(ran: Ran) -> Iterator[str]:
    for item in ran.done:
        curves = ran.curves(item)
        if item.manifest.ref != ran.result.ref or item.was_cached or not curves:
            continue
        name = shown_first(curves)[0]
        first, last = curves[name]["first"], curves[name]["last"]
        if first is not None and last is not None:
            steps = counted(curves[name]["last_step"] + 1, "step")
            yield f"{told_as(name)} {first:.3g} at first, {last:.3g} after {steps}"


def _cost(ran: Ran, spend: Spend) -> str:
    if all(item.was_cached for item in ran.done):
        return "nothing"
    said = [_time(sum(item.seconds for item in ran.done))]
    calls, tokens = (sum(getattr(item, key) for item in ran.done) for key in ("calls", "tokens"))
    if spend.projected:
        said.append(f"services: {spend.running()}")
        calls, tokens = calls - spend.total.calls, tokens - spend.total.tokens
    if calls > 0:
        said.append(f"teachers that run here: {counted(calls, 'call')}, {counted(tokens, 'token')}")
    return "; ".join(said)


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _distilled(pairs: Sequence[tuple[Verdict, Verdict]]) -> str:
    """Say which definitions conclude what; the whole of it is told by ``bill``."""
    said: dict[str, list[str]] = {}
    for closed, any_model in pairs:
        for one, asked in ((closed, "a closed model"), (any_model, "")):
            if asked == "" or one.conclusion == "yes":
                how = "" if one.conclusion != "yes" else f": {path_text(one.path)}"
                text = one.conclusion.split(";")[0]
                said.setdefault(f"{text}{f' from {asked}' * bool(asked)} by {{}}{how}", []).append(
                    one.definition.name
                )
    told = [text.replace("{}", listed(names), 1) for text, names in said.items()]
    return "; ".join(sorted(told, key=lambda one: (_ORDER.get(one[:3], len(_ORDER)), one)))


_ORDER = {"yes": 0, "non": 1}
"""how what is concluded begins -> its place in a line"""


def _attention(ran: Ran, planned: Planned) -> Iterator[str]:
    """Say what wants to be looked at, the gravest first."""
    from mashbill.evals.remarks import remarks
    from mashbill.report.reward_signs import signs

    for told in ran.rewards:
        yield from (f"{told.name}: {text}" for text in signs(told))
    for stage in planned.stages:
        if stage.told is not None:
            yield f"{stage.name} is {stage.told.says}"
    for name, found in _evaluations(ran).items():
        others = found.systems.keys() - {ran.result.name}
        against = [one for one in remarks(found) if one.system in others]
        if against:
            more = f" and {len(against) - 1} more of {name}" if len(against) > 1 else ""
            yield f"{against[0].system}: {against[0].text}{more}"
    warned = [(i.name, text) for i in ran.done for text in i.manifest.measures.get(WARNINGS, [])]
    if warned:
        name, text = warned[0]
        yield f"{counted(len(warned), 'warning')}, the first of {name}: {text}"
    rejected = sorted(
        ((item.manifest.rejected_rows, item) for item in ran.done if item.manifest.rejected_rows),
        key=lambda each: -each[0],
    )
    if rejected:
        _, item = rejected[0]
        all_of = sum(rows for rows, _ in rejected)
        why = f": {item.rejected[0].reason}" if item.rejected else ""
        yield f"{counted(all_of, 'row')} rejected, most by {item.name}{why}"
    unknown = {item for closed, _ in ran.verdicts for item in closed.unknown}
    if unknown:
        yield f"{counted(len(unknown), 'thing')} not known that verdicts rest on, told by `bill`"
