"""What a verifier's scores look like, over all rows that a stage gave them to.

The stage is ``verify``, or a trainer whose student samples and is paid.

A reward that is hacked is first seen here: it goes with length, its parts say the same, it is paid
to everybody. Figures are of the rows themselves, kept and rejected; of more than two million a part
is looked at, and that is told.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.artifact import ArtifactRef
from mashbill.core.attempts import Attempts, PassAt, pass_ats
from mashbill.core.correlating import Correlation, pearson, spearman, within
from mashbill.report.reward_rows import MOST_PARTS, PART, RewardRows, is_sampled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

BINS = 20
"""of a histogram of scores"""
UNSCORED = ("truncated", "undecided", "failed", "missing")
"""what came of rows without a score"""
_SHARES = 10  # of rows by length, whose mean scores are told
_HALF = 0.5


@dataclass(frozen=True)
class ByLength:
    """The outputs of some lengths."""

    shortest: int
    """characters"""
    longest: int
    rows: int
    mean: float
    """of their scores"""
    error: float
    """standard error of the mean"""


@dataclass(frozen=True)
class Part:
    """One part of a rubric."""

    rows: int
    """that it scored"""
    mean: float
    spread: float
    """standard deviation; 0 if it says the same of all"""
    length: Correlation | None
    """with the length of the output, by ranks"""


@dataclass(frozen=True)
class Rewards:
    """What came of a verifier's scores of a dataset."""

    name: str
    """of the stage"""
    verifier: str
    """who scored, with kind and release"""
    passes: float
    """score from which an output passes"""
    counts: Mapping[str, int]
    """scored, passed, undecided, failed, truncated and missing, as the stage measured them"""
    rows: int
    """all of them"""
    every: int
    """about one row in so many was looked at"""
    scored: int
    """rows with a score among those that were looked at"""
    mean: float | None
    spread: float | None
    """standard deviation of the scores"""
    histogram: tuple[int, ...]
    """rows by score: BINS of one width, the last with 1"""
    lengths: tuple[ByLength, ...]
    """by tenths of the rows, the shortest first"""
    by_rank: Correlation | None
    """of score and length in characters"""
    by_line: Correlation | None
    in_groups: Correlation | None
    """of attempts at one prompt: what differs between prompts is taken away"""
    parts: Mapping[str, Part]
    pairs: Mapping[tuple[str, str], Correlation | None]
    """of any two parts"""
    others: Mapping[str, Correlation | None] = field(default_factory=dict)
    """of the score with those that earlier stages gave the same rows, by stage; not with one that
    the verifier reads, as it is the same score"""
    repeated: tuple[int, int] = (0, 0)
    """how often the commonest long text is among outputs that pass, and how many were compared"""
    pass_at: tuple[PassAt, ...] = ()
    levels: Mapping[str, tuple[PassAt, ...]] = field(default_factory=dict)
    """by the values of a column"""
    level: str = ""
    groups: int = 0
    """prompts; 0 where no column tells them, and each row is one"""
    best: Mapping[str, int] = field(default_factory=dict)
    """what came of choosing the best of each group"""
    isolation: Mapping[str, int] = field(default_factory=dict)
    """outputs that were run, by what they were run under"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        found = asdict(self)
        found["pairs"] = [
            {"one": one, "other": other, "correlation": value and asdict(value)}
            for (one, other), value in self.pairs.items()
        ]
        found["pass_at"] = {str(one.k): one.as_json() for one in self.pass_at}
        found["levels"] = {
            name: {str(one.k): one.as_json() for one in told} for name, told in self.levels.items()
        }
        return found


def rewards_behind(store: Store, result: Manifest, most: int = 8) -> list[Rewards]:
    """Return the rewards of all stages that a result rests on, the first of them first.

    Args:
        store: where it lies.
        result: an artifact.
        most: how many; those nearest to the result.
    """
    seen: dict[str, Manifest] = {}
    waiting = [result]
    while waiting:
        manifest = waiting.pop(0)
        if str(manifest.ref) in seen:
            continue
        seen[str(manifest.ref)] = manifest
        names = (item.name for item in manifest.inputs if item.is_artifact)
        found_inputs = (store.get(ArtifactRef.parse(name)) for name in names)
        waiting += [item for item in found_inputs if item is not None]
    found: list[Rewards] = []
    for manifest in seen.values():
        if store.removal(manifest.ref) is not None:
            continue  # its rows hold the scores
        if len(found) < most and (one := rewards_of(store, manifest)) is not None:
            found.append(one)
    return found[::-1]


def rewards_of(store: Store, manifest: Manifest) -> Rewards | None:
    """Return the rewards of ``verify`` by a verifier, or of rollouts; None of any other stage."""
    stage = manifest.stage
    by = stage.get("by")
    sampled = is_sampled(manifest)
    if not (sampled or stage.get("kind") == "verify") or not isinstance(by, str) or not by:
        return None
    measures = manifest.measures
    attempts = _mapping(measures.get("attempts"))
    told = (attempts.get("passed_from"), stage.get("passes"), stage.get("threshold"))
    passes = next((share for share in map(_share, told) if share), _HALF)
    earlier = _earlier(store, manifest)
    taken_over = _taken_over(stage, by, earlier)
    looked = RewardRows(manifest, passes, tuple(earlier))
    table = looked.read(store.folder(manifest.kind, manifest.ref))
    score = _numbers(table, "score")
    scored = np.isfinite(score)
    length = _numbers(table, "length")
    parts = {
        name.removeprefix(PART): _numbers(table, name)
        for name in table.column_names
        if name.startswith(PART) and name not in earlier
    }
    levels = _mapping(measures.get("levels"))
    known = score[scored]
    counts = _counts(measures.get("outcomes" if sampled else "scores"), score)
    if sampled and looked.every == 1:
        counts["passed"] = int((known >= passes).sum())
    return Rewards(
        name=manifest.name,
        verifier=_who(stage, by),
        passes=passes,
        counts=counts,
        rows=looked.rows,
        every=looked.every,
        scored=len(known),
        mean=float(known.mean()) if len(known) else None,
        spread=float(known.std()) if len(known) else None,
        histogram=tuple(np.histogram(known, BINS, (0.0, 1.0))[0].tolist()),
        lengths=tuple(_by_length(score, length)),
        by_rank=spearman(score, length),
        by_line=pearson(score, length),
        in_groups=_in_groups(table, score, length),
        parts={name: _part(values, length) for name, values in parts.items()},
        pairs={
            (one, other): pearson(parts[one], parts[other]) for one, other in combinations(parts, 2)
        },
        others={
            name: pearson(score, _numbers(table, column))
            for column, name in earlier.items()
            if column in table.column_names and name not in taken_over
        },
        repeated=looked.repeated,
        pass_at=tuple(pass_ats(attempts)) if attempts else _by_row(counts),
        levels={
            str(name): tuple(pass_ats(told))
            for name, told in _mapping(levels.get("attempts")).items()
        },
        level=str(levels.get("column", "")),
        groups=_whole(attempts.get("groups")),
        best=_ints(measures.get("best")),
        isolation=_ints(measures.get("isolation")),
    )


def _earlier(store: Store, manifest: Manifest) -> dict[str, str]:
    """Return the columns with scores that earlier stages gave the same rows, with their stages.

    A score that rows bring along is kept as ``original_score``, the next ``original_2_score``.
    """
    stages: list[str] = []
    at: Manifest | None = manifest
    while at is not None and len(stages) < MOST_PARTS:
        rows = [item for item in at.inputs if item.role == "rows" and item.is_artifact]
        at = store.get(ArtifactRef.parse(rows[0].name)) if len(rows) == 1 else None
        if at is not None and at.stage.get("kind") == "verify" and at.stage.get("by"):
            stages.append(at.name)
    oldest = stages[::-1]
    names = ["original_score", *(f"original_{number}_score" for number in range(2, MOST_PARTS + 2))]
    return dict(zip(names, oldest, strict=False))


def _taken_over(stage: Mapping[str, Any], by: str, earlier: Mapping[str, str]) -> set[str]:
    """Return the stages whose scores a verifier, or a part of it, reads and gives again.

    Args:
        stage: the literals of the stage that asks it.
        by: its name.
        earlier: stages that scored the rows before, by what the columns of theirs are called now.
    """
    own = _mapping(_mapping(stage.get("verifiers")).get(by))
    parts = [_mapping(part) for part in _mapping(own.get("parts")).values()]
    every = [own, *parts, *(_mapping(part.get("by")) for part in parts)]
    read = {str(one.get("score")) for one in every if one.get("kind") == "given"}
    found = {name for column, name in earlier.items() if column in read}
    return found | ({list(earlier.values())[-1]} if "score" in read and earlier else set())


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    """Return a column as numbers, NaN where there is none, shape (rows,)."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table.column(name).to_numpy(), np.float64)


def _in_groups(table: pa.Table, score: np.ndarray, length: np.ndarray) -> Correlation | None:
    if "group" not in table.column_names:
        return None
    codes = table.column("group").combine_chunks().dictionary_encode().indices
    there = np.asarray(codes.is_valid())
    numbers = np.asarray(pc.fill_null(codes, 0), np.int64)
    return within(np.where(there, score, np.nan), length, numbers)


def _by_length(score: np.ndarray, length: np.ndarray) -> Iterator[ByLength]:
    """Yield tenths of the rows by length; outputs of one length are never divided."""
    there = np.isfinite(score) & np.isfinite(length)
    score, length = score[there], length[there]
    if len(score) < _SHARES:
        return
    order = np.argsort(length, kind="stable")
    score, length = score[order], length[order]
    cuts = [0]
    for share in range(1, _SHARES + 1):
        at = share * len(score) // _SHARES
        at = len(score) if share == _SHARES else int(np.searchsorted(length, length[at], "left"))
        if at > cuts[-1]:
            cuts.append(at)
    for begin, end in pairwise(cuts):
        own = score[begin:end]
        error = float(own.std(ddof=1) / np.sqrt(len(own))) if len(own) > 1 else 0.0
        yield ByLength(int(length[begin]), int(length[end - 1]), len(own), float(own.mean()), error)


def _part(values: np.ndarray, length: np.ndarray) -> Part:
    known = values[np.isfinite(values)]
    if not len(known):
        return Part(0, 0.0, 0.0, None)
    return Part(len(known), float(known.mean()), float(known.std()), spearman(values, length))


def _counts(told: Any, score: np.ndarray) -> dict[str, int]:
    found = _ints(told)
    return found or {"scored": int(np.isfinite(score).sum())}


def _who(stage: Mapping[str, Any], by: str) -> str:
    named = _mapping(_mapping(stage.get("verifiers")).get(by))
    return f"{by} ({named.get('kind', 'unknown')} {named.get('release', '')}".strip() + ")"


def _share(value: Any) -> float:
    """Return a share above 0; 0 if it is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value <= 1 else 0.0


def _by_row(counts: Mapping[str, int]) -> tuple[PassAt, ...]:
    """Return pass@1 where no column tells prompts: each row is one of its own."""
    if "passed" not in counts or not 0 <= counts["passed"] <= counts.get("scored", 0):
        return ()
    rows = Attempts()
    rows.add(1, 1, 0, counts["passed"])
    rows.add(1, 0, 0, counts["scored"] - counts["passed"])
    rows.add(0, 0, 1, sum(max(counts.get(name, 0), 0) for name in UNSCORED))
    return (rows.pass_at(1),)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _ints(value: Any) -> dict[str, int]:
    return {str(name): _whole(number) for name, number in _mapping(value).items()}
