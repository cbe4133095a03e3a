"""How good an artifact was found to be: evaluations of a store whose systems rest on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef
from mashbill.core.errors import RecipeError
from mashbill.core.evaluation import (
    WORDS,
    against_majority,
    evaluation_of,
    is_number,
    systems_in,
)
from mashbill.core.plain import counted
from mashbill.lineage.circuit.nodes import NodeTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mashbill.core.artifact import Manifest
    from mashbill.core.evaluation import Evaluation, Result
    from mashbill.core.store import Store


@dataclass(frozen=True)
class Evaluated:
    """One evaluation, as it bears on one artifact."""

    name: str
    """of the evaluation, NAME@VERSION"""
    held_out: str
    """dataset whose rows were held out for it; empty if there is none, as of a suite's tasks"""
    own: tuple[str, ...]
    """systems that are this artifact itself, or its answers; empty where it is only behind some"""
    found: Evaluation

    @property
    def metric(self) -> str:
        """What its systems are measured by, in words."""
        return WORDS[self.found.metric]

    @property
    def beside(self) -> str:
        """What a value is to be seen beside, in words: the majority label, or chance."""
        measures, majority = self.found.measures, self.found.majority
        if majority is not None and "majority_label" in measures:
            between = self.found.majority_interval
            ends = "" if between is None else f" ({between[0]:.3f} to {between[1]:.3f})"
            return f"always saying {measures['majority_label']}: {majority:.3f}{ends}"
        chance = measures.get("chance")
        if self.found.metric == "score" and is_number(chance) and chance > 0:
            return f"knowing nothing: {chance:.3f}"
        return ""

    def results(self) -> Iterator[tuple[str, Result]]:
        """Yield (system, result) of the systems that are this artifact."""
        for name, result in self.found.systems.items():
            if name in self.own:
                yield name, result

    def differences(self) -> Iterator[Mapping[str, Any]]:
        """Yield the paired differences in which it takes part; all if none of them is its own."""
        for pair in self.found.compare:
            if not self.own or pair.get("first") in self.own or pair.get("second") in self.own:
                yield pair

    def rows_of(self, result: Result) -> int | None:
        """Return the rows that a system's value is over; None if that is not recorded."""
        own = result.facts.get("rows")
        return own if isinstance(own, int) and not isinstance(own, bool) else self.found.rows

    def sentence(self, result: Result) -> str:
        """Return a result in a sentence: value, interval, rows, what it is to be seen beside."""
        metric = self.metric.capitalize()
        if not result.is_known:
            return f"{metric} is not known: no row was scored."
        told = f"{metric} {result.value:.3f}"
        if result.low is not None:
            told += f" (95% interval {result.low:.3f} to {result.high:.3f})"
        rows = self.rows_of(result)
        told += "" if rows is None else f" over {counted(rows, 'row')}"
        return f"{told}; {self.beside}." if self.beside else f"{told}."

    def remarks(self, result: Result) -> Iterator[str]:
        """Yield what is to be said of a value beside it: how it stands to the majority label.

        And of labels: which it never gave, and which it finds less often than a guess would.
        """
        if not result.is_known or self.found.metric != "accuracy":
            return
        if self.found.majority is not None:
            standing = against_majority(result, self.found.majority)
            if standing != "better":
                yield f"{standing} than always saying the commonest label".replace(
                    "below than", "below"
                )
        yield from _of_labels(result)


def _of_labels(result: Result) -> Iterator[str]:
    told = result.facts.get("labels")
    labels = {name: one for name, one in told.items() if isinstance(one, dict)} if isinstance(
        told, dict) else {}  # fmt: skip
    for label, one in labels.items():
        gold, said, recall = (one.get(key) for key in ("gold", "said", "recall"))
        if not (is_number(gold) and gold > 0):
            continue
        if said == 0:
            yield f"never says {label}, which {counted(int(gold), 'held-out row')} should have"
        elif is_number(recall) and recall < 1 / len(labels):
            yield (
                f"finds {recall:.0%} of the {counted(int(gold), 'row')} that are {label}, fewer "
                f"than a guess among {len(labels)} labels would"
            )


def evaluated(store: Store, manifest: Manifest) -> Iterator[Evaluated]:
    """Yield the evaluations of systems that rest on an artifact, in the store's order."""
    for other in store.manifests():
        found = evaluation_of(other.measures)
        if found is None:
            continue
        own = own_systems(store, other, str(manifest.ref))
        if own or manifest.bill in NodeTable.of(store, other).bodies:
            rows = next((item.name for item in other.inputs if item.role == "rows"), "")
            yield Evaluated(str(other.ref), rows, own, found)


def own_systems(store: Store, evaluation: Manifest, name: str) -> tuple[str, ...]:
    """Return the systems of an evaluation that are an artifact: itself, or what it answered.

    Args:
        store: where both lie.
        evaluation: what a stage ``evaluate`` made.
        name: NAME@VERSION of the artifact.
    """
    found = evaluation_of(evaluation.measures)
    taken = {item.name.partition("@")[0]: item.name for item in evaluation.inputs}
    asked = systems_in(evaluation.stage)
    return tuple(
        system
        for system in (found.systems if found is not None else ())
        if any(
            _answers(store, taken[stage], name)
            for stage in asked.get(system, (system,))
            if stage in taken
        )
    )


def _answers(store: Store, made: str, name: str) -> bool:
    """Return whether an artifact is another, or holds answers of that model.

    Answers that were verified or filtered since are its own still; those of a model that was made
    of it are not, nor those that another gave to rows which it wrote.

    Args:
        store: where both lie.
        made: NAME@VERSION of what is looked at.
        name: NAME@VERSION of the model, or of the artifact itself.
    """
    waiting, seen = [made], set[str]()
    while waiting:
        one = waiting.pop()
        if one == name:
            return True
        if one in seen:
            continue
        seen.add(one)
        try:
            manifest = store.get(ArtifactRef.parse(one))
        except RecipeError:  # whoever wrote the manifest need not have been us
            continue
        if manifest is None or manifest.kind != "dataset":
            continue
        roles = {"rows"} if manifest.stage.get("kind") in _PASSING else set()
        waiting += [
            item.name
            for item in manifest.inputs
            if item.is_artifact and (item.role not in _OF_ROWS or item.role in roles)
        ]
    return False


_OF_ROWS = frozenset({"rows", "beside", "trained-on"})
_PASSING = frozenset({"verify", "filter", "split", "dedup", "pii", "without", "decontaminate"})
"""kinds of stages whose rows are what their input said"""
