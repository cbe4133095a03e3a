"""Which entries of a ledger an audit goes by, and what is wrong with the others."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from mashbill.core.artifact import NAME_PATTERN
from mashbill.core.checkpoint import check
from mashbill.core.plain import counted as number_of
from mashbill.core.removals import CLEAR, REMOVE
from mashbill.core.shown import shown
from mashbill.core.signers import SIGNERS, counted
from mashbill.core.store import LEDGER
from mashbill.lineage.evidence.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.checkpoint import Checkpoint
    from mashbill.core.ledger import Entry
    from mashbill.lineage.evidence.moment import Moment


_ABOUT = frozenset({"start", "shard", "commit", "abandon", REMOVE})
"""the events whose entries are about one artifact"""
_ADDRESS = re.compile(rf"{NAME_PATTERN}@{NAME_PATTERN}")
_CLOCKS = dt.timedelta(days=1)
"""by which clocks of machines may differ, and no more"""
COMMITTING = frozenset({"shard", "commit"})
"""the events whose entries speak of files"""


@dataclass
class Counted:
    """The entries that an audit goes by."""

    entries: list[Entry]
    """whole, and by signers of the ledger"""
    signers: tuple[str, ...]
    """keyids of those signers that have entries"""
    names: Mapping[str, str] = field(default_factory=dict)
    """keyid -> whose it is, in the words of who declared it"""
    findings: list[Finding] = field(default_factory=list)
    is_whole: bool = True
    """whether nothing of the ledger is altered or gone, as far as is known: entries that do not
    count may stand in it"""

    def find(self, entry: int | None, what: str) -> None:
        """Add what is wrong."""
        self.findings.append(Finding(LEDGER, entry, what))


def count(moment: Moment, signer: str | None, checkpoints: Sequence[Checkpoint]) -> Counted:
    """Say which entries count.

    Args:
        moment: the ledger.
        signer: keyid that it must begin with; None takes it as it is.
        checkpoints: of it, kept elsewhere.
    """
    entries = moment.entries
    if moment.broken:  # nothing that an altered entry says is followed up
        entries = [entry for entry in entries if entry.index < moment.broken[0][0]]
    counting, strangers, signers = counted(entries)
    known = {keyid: raw for keyid, raw in moment.keys.items() if signers.knows(keyid)}
    result = Counted(counting, tuple(known), signers.names)
    if not moment.path.is_file():
        result.find(None, "is not there, so nothing in this folder is evidence")
    if moment.torn:
        result.find(len(moment.lines), "the last line does not end: it was torn or altered")
    if signer is not None and entries and signers.root != signer:
        result.find(0, f"begins with an entry signed by {signers.root}, not by {signer}")
    for keyid, others in strangers.items():
        result.find(others[0].index, _not_counted(keyid, others))
    for entry in counting:
        if entry.subjects and entry.event not in {*COMMITTING, REMOVE}:
            names = shown(", ".join(entry.subjects))[:200]
            event = shown(entry.event)[:40]
            result.find(entry.index, f"speaks of files ({names}), as no entry {event!r} does")
    _tell_odd(counting, result)
    if moment.broken:
        index, wrong = moment.broken[0]
        after = len(moment.broken) - 1
        does = "does" if after == 1 else "do"
        rest = number_of(after, "further entry", "further entries")
        more = f"; {rest} behind it {does} not hold either" if after else ""
        result.find(index, wrong + more)
    result.is_whole = moment.path.is_file() and not (moment.torn or moment.broken)
    for checkpoint in checkpoints:
        missing = check(checkpoint, moment.lines, known if entries else moment.keys)
        if missing is not None:
            result.is_whole = False
            result.find(missing.entry, missing.what)
    return result


def _tell_odd(entries: Sequence[Entry], result: Counted) -> None:
    """Find entries that count and say what no run says."""
    committed: dict[str, str] = {}
    spoken_of: set[str] = set()
    undated = [entry for entry in entries if _day(entry) is None]
    if undated:
        what = f"is dated {shown(str(undated[0].predicate.get('at')))[:60]!r}, which is no time"
        more = f", as {number_of(len(undated) - 1, 'other entry', 'others')}" if undated[1:] else ""
        result.find(undated[0].index, what + more)
    for entry in entries:
        told = entry.predicate
        if entry.event not in _ABOUT:
            continue
        artifact = told.get("artifact")
        if not isinstance(artifact, str) or _ADDRESS.fullmatch(artifact) is None:
            what = shown(str(artifact))[:60]
            result.find(entry.index, f"is about {what!r}, which is no artifact's address")
            continue
        if entry.event == "abandon":
            known, stated = committed.get(artifact), told.get("digest")
            if artifact not in spoken_of:
                result.find(entry.index, f"gives up {artifact}, of which no entry before it speaks")
            elif stated not in {None, known}:
                what = (
                    f"gives up {artifact} with digest {str(stated)[:16]}..., and what was "
                    f"committed has {str(known)[:16]}...: readers would take another one for it"
                )
                result.find(entry.index, what)
        elif entry.event == "commit":
            committed[artifact] = str(told.get("digest"))
        spoken_of.add(artifact)


def _day(entry: Entry) -> dt.datetime | None:
    """Return when an entry says that it was written; None if that is no time with its zone."""
    try:
        at = dt.datetime.fromisoformat(str(entry.predicate.get("at")))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def set_back(entries: Sequence[Entry]) -> list[Finding]:
    """Return the entries that are dated long before the one before them: clocks differ, or days do.

    Nothing says which: a day in an entry is its signer's word.
    """
    found = []
    for before, entry in pairwise(entries):
        one, two = _day(before), _day(entry)
        if one is not None and two is not None and one - two > _CLOCKS:
            what = (
                f"is dated {two:%Y-%m-%d}, and entry {before.index} before it {one:%Y-%m-%d}: "
                "a clock was wrong, or a day is"
            )
            found.append(Finding(LEDGER, entry.index, what))
    return found


def _not_counted(keyid: str, entries: Sequence[Entry]) -> str:
    places = [entry.index for entry in entries]
    many = f"entries {places[0]} to {places[-1]} ({len(places)})" if places[1:] else "this entry"
    events = ", ".join(sorted({shown(entry.event)[:40] for entry in entries}))
    return (
        f"{many} ({events}) {'are' if places[1:] else 'is'} signed by {keyid}, which no signer of "
        "this ledger declared: nothing reads them. If it is a colleague's key, a signer runs "
        f"`mashbill signers add {keyid} --since {places[0]}`; else go on from a copy without them"
    )


EVENTS = frozenset(
    {"open", SIGNERS, "decide", "start", "shard", "commit", "abandon", "conduct", "accept", REMOVE,
     CLEAR}
)  # fmt: skip
"""what entries of this release and those before it say"""


def told_apart(entries: Sequence[Entry]) -> tuple[list[Finding], list[Finding]]:
    """Return what was given up on record, and the entries that nothing reads.

    Args:
        entries: those that count.

    Returns:
        Artifacts that were committed and given up later; entries of events that this release does
        not know.
    """
    committed: dict[str, int] = {}
    given_up, unread = [], []
    for entry in entries:
        artifact = str(entry.predicate.get("artifact"))
        if entry.event == "commit":
            committed[artifact] = entry.index
        elif entry.event == "abandon" and artifact in committed:
            reason = shown(str(entry.predicate.get("reason", "no reason is told")))
            place = committed.pop(artifact)
            what = f"was given up by this entry, as entry {place} had committed it: {reason:.300}"
            given_up.append(Finding(artifact, entry.index, what))
        elif entry.event not in EVENTS:
            what = f"says {shown(entry.event)[:60]!r}, which this release does not know or read"
            unread.append(Finding(LEDGER, entry.index, what))
    return given_up, unread
