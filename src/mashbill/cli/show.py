"""Printing for people: bills, verdicts, traces, what is affected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.tree import Tree

from mashbill.cli.options import out
from mashbill.cli.printing import line as one_line
from mashbill.cli.printing import stacked, table
from mashbill.core.said_learning import word_of_training
from mashbill.lineage.bills.bill import Line, summarised
from mashbill.lineage.bills.summary import told_of
from mashbill.lineage.bills.telling import counted, licence_words
from mashbill.lineage.bills.text import conclusion_text, path_text, share_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.text import Text

    from mashbill.core.marks import Contradiction
    from mashbill.lineage.bills.bill import Coverage
    from mashbill.lineage.bills.definitions import Verdict
    from mashbill.lineage.evidence.hop import Hop
    from mashbill.lineage.whatif.rebuild import Rebuild
    from mashbill.lineage.whatif.removal import Affected
    from mashbill.run.spend import Spend
    from mashbill.workspace.billed import Billed, Difference


_UNKNOWN = 12  # unknowns that a terminal shows


def print_spend(spend: Spend) -> None:
    """Print what services were to cost in a run, and what they did."""
    for line in spend.lines():
        out.say(line)


def print_bill(lines: Sequence[Line], name: str, covered: Coverage | None = None) -> None:
    """Print a bill."""
    listing = table(
        "source", "kind", "route", "licence", "through", "touched", "owed", "depth",
        title=f"Bill of {name}",
    )  # fmt: skip
    for summary in summarised(list(lines)):
        line = summary.line
        listing.add_row(
            line.source.title,
            line.source.kind,
            line.source.route,
            licence_words(line.source),
            "; ".join(summary.routes),
            share_text(line.share),
            share_text(line.owed),
            str(line.depth),
        )
    out.print(listing)
    out.print(
        "Touched is the part of the tokens in records that the source reached by that route, so "
        "it overlaps; owed is the part due to the source's text, logits or weights by any route "
        "when every mixture is split by its weights, an interval where a weight is not recorded. "
        "Routes are divided by ';'; 'a + b' took both channels. What reached this through a "
        "model, the texts that it learned from too, stands at depth 2 or more.",
        style="dim",
    )
    if covered is not None:
        out.say(f"Coverage: {covered}.")
        for text in covered.not_recorded:
            out.say(f"Not recorded: {text}")


def print_learned(found: Billed) -> None:
    """Print what each dataset is in a model: tokens x epochs x loss weight."""
    if found.subject.manifest is None:
        return
    if word := word_of_training(found.subject.manifest):
        out.print(f"{found.name}: {word}.")
    if not found.learned_from:
        return
    unit = found.subject.manifest.token_unit
    listing = table(
        "dataset", "rows", f"{unit} a pass", "epochs", "loss weight", "part",
        title=f"What {found.name} learned from",
    )  # fmt: skip
    for each in found.learned_from:
        told = told_of(each, found.learned_from)
        least, largest = each.loss_weights
        listing.add_row(
            each.name,
            f"{each.rows:,}",
            f"{each.tokens:,}",
            f"{each.epochs:.4g}",
            f"{least:.4g}" if least == largest else f"{least:.4g} to {largest:.4g}",
            share_text((told["part"], told["part"])),
        )
    out.print(listing)
    out.print(
        f"A part is {unit} times epochs times loss weight, beside the other datasets'; the weights "
        "that it started from have none that is known.",
        style="dim",
    )


def print_contradicted(told: Mapping[str, Contradiction]) -> None:
    """Print what speaks against the origins that recipes declared."""
    for name, one in told.items():
        out.say(("contradicted:", "yellow"), f" {name} was {one.says}.")


def print_verdicts(pairs: Sequence[tuple[Verdict, Verdict]], name: str) -> None:
    """Print each definition's conclusions with the path that decides, and what is unknown."""
    listing = table(
        "definition",
        "from a closed model",
        "from any model",
        "path that decides",
        title=f"Is it distilled? {name}",
    )
    for closed, any_model in pairs:
        decided = closed if closed.path else any_model
        paths = [decided.path, *decided.others] if decided.path else []
        listing.add_row(
            f"{closed.definition.name} {closed.definition.title}",
            conclusion_text(closed),
            conclusion_text(any_model),
            stacked(path_text(path) for path in paths) if paths else "none",
        )
    out.print(listing)
    for line in unknown_lines(pairs):
        out.say(line)


def unknown_lines(pairs: Sequence[tuple[Verdict, Verdict]]) -> Iterator[str]:
    """Yield what verdicts rest on that is not known, as far as a terminal shows it."""
    unknown = sorted({item for closed, _ in pairs for item in closed.unknown})
    yield from (f"Unknown: {item}" for item in unknown[:_UNKNOWN])
    if len(unknown) > _UNKNOWN:
        yield f"and {len(unknown) - _UNKNOWN} more that are unknown, told by --json"


def print_difference(found: Difference) -> None:
    """Print how two bills or two definitions differ."""
    one, two, pairs, verdicts = found.first, found.second, found.lines, found.verdicts
    if pairs:
        listing = table("source", "through", one, two, title=f"{one} against {two}")
        for pair in pairs:
            line = pair.either
            listing.add_row(
                line.source.title, " + ".join(line.channels), _side(pair.first), _side(pair.second)
            )
        out.print(listing)
    if verdicts:
        listing = table(
            "definition", "from", one, two, "path that decides", title="Verdicts that differ"
        )
        for first, second in verdicts:
            names = dict.fromkeys([first.definition.name, second.definition.name])
            decided = first if first.path else second
            asked = "a closed model" if first.asked == "closed" else "any model"
            listing.add_row(
                " / ".join(names),
                asked,
                conclusion_text(first),
                conclusion_text(second),
                path_text(decided.path) or "none",
            )
        out.print(listing)
    if not pairs and not verdicts:
        out.say(f"{one} and {two} do not differ in sources, shares, depths or verdicts.")


def _side(line: Line | None) -> str:
    if line is None:
        return "not there"
    return f"touched {share_text(line.share)}, owed {share_text(line.owed)}, depth {line.depth}"


def print_affected(found: Sequence[Affected], which: str, total: int) -> None:
    """Print what rests on some sources."""
    listing = table("artifact", "what", "records", "of unknown origin", "share", "systems",
                 title=f"Rests on {which}")  # fmt: skip
    for item in found:
        counted = "" if item.records is None else f"{item.records:,} of {item.manifest.rows:,}"
        listing.add_row(
            str(item.manifest.ref),
            item.what,
            counted,
            f"{item.maybe:,}" if item.maybe else "",
            share_text(item.share),
            ", ".join(item.systems),
        )
    out.print(listing)
    out.print(
        f"{_resting(len(found), total)} on it, through any channel. The upper end of a share takes "
        "in records of unknown origin.",
        style="dim",
    )


def _resting(found: int, total: int) -> str:
    """Say how many artifacts rest on something: the beginning of a sentence."""
    of = f"of {counted(total, 'artifact')}"
    return (
        f"None {of} rests" if not found else f"{found:,} {of} {'rests' if found == 1 else 'rest'}"
    )


def print_rebuild(made: Rebuild, where: str) -> None:
    """Print what a rebuild keeps, takes away, makes anew and cannot make."""
    listing = table("stage", "what becomes of it", title=f"Rebuild: {where}")
    for name in made.kept:
        taken = made.thinned.get(name)
        listing.add_row(
            name, "kept" if taken is None else f"kept, {counted(taken, 'row')} taken away behind"
        )
    for name in made.rebuilt:
        listing.add_row(name, "made anew from what is left")
    for name, why in made.gone.items():
        listing.add_row(name, f"gone: {why}")
    out.print(listing)


_LONG = 300  # characters of a value that a trace shows; --json has all


_INDENTED = 20  # levels of a trace; what lies deeper stands below each other


def hop_tree(hop: Hop) -> Tree:
    """Return a trace as a tree for the terminal."""
    top: Tree | None = None
    branches: list[Tree] = []
    for depth, other in hop.walk():
        label = _hop(other, f"{depth} hops behind: " if depth > _INDENTED else "")
        place = min(depth, _INDENTED)
        del branches[place:]
        branch = branches[-1].add(label) if branches else None
        branches.append(branch or Tree(label))
        top = top or branches[0]
    return top or Tree("")


def _hop(hop: Hop, level: str) -> Text:
    """Return what a hop is, and below it what is known of it."""
    known = {key: value for key, value in hop.facts.items() if value not in (None, "")}
    facts = "; ".join(f"{key}: {_fact(value)}" for key, value in known.items())
    kind = "" if hop.kind == "row" else f" {hop.kind}"
    head = one_line((level, "dim"), (hop.what, "bold"), (kind, "dim"))
    return stacked([head, facts] if facts else [head])


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    text = " ".join(str(value).split())
    return text if len(text) <= _LONG else f"{text[:_LONG]}... ({len(text):,} characters)"
