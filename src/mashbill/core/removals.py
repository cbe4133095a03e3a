"""What was removed from a store on purpose: rows and weights went, manifest and nodes stayed.

A removal is an entry of the event ``remove``, in the same chain and under the same keys as all
others, with a predicate type of its own: a release that does not know it takes nothing behind it
for read, rather than rows that are gone for a fault. It names the artifact, the digest of the line
that commits it, each file that goes with SHA-256 and size, and the reason. It is on disk before the
first file goes, so a removal that was cut off is finished by who finds it.

What was removed may be made again under its name, and has to come out as it was, to the byte: an
address stands for one content. The entry that commits it again ends the removal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from mashbill.core.shown import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mashbill.core.job import Job
    from mashbill.core.ledger import Entry

REMOVE = "remove"
"""the event that removes an artifact's rows or weights"""
CLEAR = "gc"
"""the event that says how many temporary files were cleared away, of which no entry speaks"""
STAY = frozenset({"manifest.json", "nodes.parquet", "learned.parquet"})
"""files that a removal leaves: what an artifact was made of, and how often each row was learned
from; none of them holds a row"""
LONGEST_REASON = 1000
_SHOWN = 200  # letters of a reason that a line tells


@dataclass(frozen=True)
class Removal:
    """A removal that is in force."""

    artifact: str
    entry: int
    """its place in the ledger"""
    at: str
    """when it was entered: ISO 8601, UTC, as its signer's clock had it"""
    keyid: str
    name: str
    """whose key it is, in the words of who declared it; empty if nobody said"""
    reason: str
    """in the words of who removed it; may be empty"""
    files: Mapping[str, str] = field(repr=False)
    """file of the store -> SHA-256, of those that went"""

    @property
    def day(self) -> str:
        """The day, YYYY-MM-DD."""
        return self.at[:10]

    @property
    def by(self) -> str:
        """Who removed it: a name that the ledger declares, and the key's id."""
        return f"{shown(self.name)[:60]}, {self.keyid[:16]}" if self.name else self.keyid[:16]

    def __str__(self) -> str:
        """Say it in words that go on from the artifact's name."""
        reason = shown(self.reason).strip()
        cut = reason if len(reason) <= _SHOWN else f"{reason[: _SHOWN - 1]}…"
        return f"removed on {self.day} by {self.by}{f' ({cut})' if cut else ''}"

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "at": self.at, "day": self.day, "key": self.keyid, "name": self.name,
            "reason": self.reason, "entry": self.entry,
        }  # fmt: skip


@dataclass
class Removals:
    """The removals that entries say, in their order."""

    in_force: dict[str, Removal] = field(default_factory=dict)
    """artifact -> its removal, of those that were not made again since"""
    strange: list[tuple[int, str]] = field(default_factory=list)
    """(entry, why it removes nothing)"""
    _commits: dict[str, Entry] = field(default_factory=dict)
    _files: dict[str, dict[str, str]] = field(default_factory=dict)

    def take(self, entry: Entry, names: Mapping[str, str]) -> None:
        """Read the next entry.

        Args:
            entry: one that counts.
            names: keyid -> whose it is.
        """
        artifact = str(entry.predicate.get("artifact"))
        if entry.event in {"shard", "commit"}:
            self._files.setdefault(artifact, {}).update(entry.subjects)
        if entry.event == "commit":
            self._commits[artifact] = entry
        if entry.event in {"commit", "abandon"}:
            self.in_force.pop(artifact, None)
        if entry.event == "abandon":
            self._files.pop(artifact, None)
            self._commits.pop(artifact, None)
        if entry.event == REMOVE:
            wrong = self._wrong(entry, artifact)
            if wrong:
                self.strange.append((entry.index, wrong))
                return
            reason = entry.predicate.get("reason")
            self.in_force[artifact] = Removal(
                artifact, entry.index, str(entry.predicate.get("at")), entry.keyid,
                names.get(entry.keyid, ""), reason if isinstance(reason, str) else "",
                dict(entry.subjects),
            )  # fmt: skip

    def going(self, artifact: str) -> dict[str, str]:
        """Return the files that go if an artifact is removed: file of the store -> SHA-256."""
        files = self._files.get(artifact, {})
        return {name: own for name, own in files.items() if PurePosixPath(name).name not in STAY}

    def _wrong(self, entry: Entry, artifact: str) -> str:
        """Say why an entry removes nothing; empty if it does."""
        commit, told = self._commits.get(artifact), entry.predicate
        where = f"removes {artifact:.80}"
        if commit is None:
            return f"{where}, which no entry before it commits"
        if artifact in self.in_force:
            before = self.in_force[artifact].entry
            return f"{where}, which entry {before} removed already"
        if told.get("entry") != commit.digest or told.get("digest") != commit.told("digest"):
            return f"{where}, and names another content than entry {commit.index} commits"
        if entry.subjects != self.going(artifact):
            odd = sorted(set(entry.subjects.items()) ^ set(self.going(artifact).items()))
            return f"{where}, and names other files than its rows or weights ({odd[0][0]:.120})"
        if not isinstance(told.get("reason", ""), str):
            return f"{where}, and gives a reason that is no text"
        return ""


def removals_in(entries: Iterable[Entry], names: Mapping[str, str]) -> Removals:
    """Return what entries say of removals.

    Args:
        entries: those that count.
        names: keyid -> whose it is.
    """
    found = Removals()
    for entry in entries:
        found.take(entry, names)
    return found


def needed_again(
    jobs: Sequence[Job], to_do: Collection[str], removed: Collection[str]
) -> dict[str, str]:
    """Return what was removed and has to be made again: name -> the stage that needs it.

    Args:
        jobs: of a recipe's stages, in order.
        to_do: stages that are not done.
        removed: stages, and artifacts that stages take by their address, that were removed.
    """
    by_name = {job.name: job for job in jobs}
    needed: dict[str, str] = {}
    for job in reversed(jobs) if removed else ():
        if job.name not in to_do and job.name not in needed:
            continue
        wanted = list(job.inputs)
        if job.spec.looks_behind:
            wanted += [name for name in _behind(job, by_name) if _is_dataset(name, by_name)]
        for name in wanted:
            if name in removed:
                needed.setdefault(name, job.name)
    return needed


def _behind(job: Job, by_name: Mapping[str, Job]) -> list[str]:
    """Return all that a stage rests on, each once."""
    found = list(job.inputs)
    for name in found:  # which grows
        own = by_name[name].inputs if name in by_name else ()
        found += [one for one in own if one not in found]
    return found


def _is_dataset(name: str, by_name: Mapping[str, Job]) -> bool:
    return name in by_name and by_name[name].spec.output == "dataset"
