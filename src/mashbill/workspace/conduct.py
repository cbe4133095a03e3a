"""What may be asked of a log of model calls: scan it, follow it, derive a case, show one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.building import facts
from mashbill.conduct.evidence.case import Case, read
from mashbill.conduct.logs.ahead import batches
from mashbill.conduct.logs.following import follow as followed
from mashbill.conduct.logs.reading import open_log
from mashbill.conduct.scan.deriving import Derived, derive
from mashbill.conduct.scan.office import CASES, Office
from mashbill.conduct.scan.scanning import Scan
from mashbill.conduct.scan.state import State
from mashbill.conduct.scan.tally import Levels
from mashbill.conduct.signals import wording
from mashbill.conduct.text.scoring import Scorer, shipped_digest
from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.core.ledger import Signer
from mashbill.core.plain import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mashbill.conduct.logs.forms import Form
    from mashbill.conduct.logs.gathering import Batch, Options
    from mashbill.conduct.scan.ticking import Held

ROWS = 20_000
"""of a batch"""


@dataclass
class Scanned:
    """What a scan came to, so far."""

    rows: int = 0
    """taken by this scan"""
    refused: int = 0
    first_refused: list[tuple[int, str]] = field(default_factory=list)
    """(line, why) of the first ones"""
    last: int = 0
    """moment of the log, microseconds"""
    seconds: float = 0.0
    held: list[Held] = field(default_factory=list)
    published: int = 0
    """of those, whose cases are written"""
    files: list[Path] = field(default_factory=list)
    """cases that were written"""

    @property
    def tiers(self) -> Counter[str]:
        """Return how many findings reached which tier, each counted once, at its highest."""
        return Counter({one.weighed.name: one.tier for one in self.held}.values())


def levels() -> Levels:
    """Return from which scores of the shipped model of texts a prompt trips, and does plainly."""
    return Levels(wording.LEVELS["J"], wording.LEVELS["X"], shipped_digest())


def scan(
    log: Path,
    folder: Path,
    *,
    state: str = "",
    key: Path | None = None,
    form: Form | None = None,
    options: Options | None = None,
    follow: threading.Event | None = None,
    tell: Callable[[Scanned], None] = lambda _: None,
) -> Scanned:
    """Scan a log, from where a scan into the same state left off.

    Args:
        log: file of a form that :mod:`mashbill.conduct.logs` knows.
        folder: where key, state, cases and ledger lie (:mod:`mashbill.conduct.scan.office`).
        state: URL of a database of Postgres, or another file; the folder's own if empty.
        key: file with the key of hashes; the folder's own if None.
        form: of the log, if it is not told by what is in it.
        options: how it is read.
        follow: if given, go on with what is written to the log, until it is set.
        tell: is told after each batch.

    Raises:
        InputError: if the log cannot be read, or the state is another scan's.
    """
    office = Office.at(folder)
    hashes = office.hashes(key)
    opened = open_log(log, hashes, form=form, options=options, scorer=Scorer.shipped())
    chosen = levels()
    known = State(state or office.state, facts(hashes, chosen))
    found = Scanned()
    signer = Signer.default()
    began = time.monotonic()
    scanner = Scan(known, hashes, chosen, log.name, opened.form or "native", found.held.append)

    def told() -> None:
        found.rows, found.last = scanner.rows, scanner.last
        found.seconds = time.monotonic() - began
        if len(found.held) > found.published:
            found.published = len(found.held)
            found.files += office.publish(known.database, signer)
        tell(found)

    def watched(read: Iterator[Batch]) -> Iterator[Batch]:
        for batch in read:
            yield batch
            found.refused += batch.refused_count
            found.first_refused += [(one.line, one.reason) for one in batch.refused]
            del found.first_refused[20:]
            told()

    try:
        found.files += office.publish(known.database, signer)  # what a scan that was killed left
        place, _ = scanner.begin()
        if follow is None:
            scanner.take(watched(batches(opened, place, ROWS)))
            scanner.end()
        else:
            scanner.take(watched(followed(opened, follow, position=place, rows=ROWS)))
        told()
    finally:
        known.database.close()
    return found


def derived(
    case: Path, log: Path, folder: Path, *, key: Path | None = None, options: Options | None = None
) -> Derived:
    """Derive a case again from its log.

    Raises:
        InputError: if the file is no case, the log cannot be read, or the key is not there.
    """
    hashes = Office(folder).hashes(key, make=False)
    return derive(
        case, log, hashes=hashes, levels=levels(), scorer=Scorer.shipped(), options=options
    )


def cases(folder: Path) -> list[tuple[Path, Case]]:
    """Return the cases of a folder, the last version of each, the strongest first.

    Raises:
        InputError: if one cannot be read.
    """
    latest: dict[str, Path] = {}
    for path in sorted(
        (folder / CASES).glob("*.json"), key=lambda one: (one.name[:16], _version(one))
    ):
        latest[path.name[:16]] = path
    found = [(path, read(path)) for path in latest.values()]
    return sorted(found, key=lambda one: (-one[1].log10_e, one[1].id))


def case_named(folder: Path, name: str) -> tuple[Path, Case]:
    """Return a case by its id, or the beginning of it, or its file.

    Raises:
        InputError: if there is none, or more than one.
    """
    if Path(name).is_file():
        return Path(name), read(Path(name))
    met = [one for one in cases(folder) if one[1].id.startswith(name)]
    if len(met) != 1:
        there = ", ".join(one.id for _, one in cases(folder)[:8]) or "none"
        msg = (
            f"{folder}: {len(met) or 'no'} cases begin with {name!r}; there are: {there}. "
            "Run `mashbill conduct cases`"
        )
        raise InputError(msg)
    return met[0]


def _version(path: Path) -> int:
    part = path.name.split(".")[1]
    return int(part) if part.isdigit() else 0


def with_texts(
    case: Case, log: Path, folder: Path, *, key: Path | None = None, options: Options | None = None
) -> Case:
    """Return a case whose sample rows have their texts, read from the log.

    Raises:
        InputError: if the log cannot be read, or has the text of none of them.
    """
    from mashbill.conduct.logs.texts import texts_of

    hashes = Office(folder).hashes(key, make=False)
    texts = texts_of(log, hashes, {one.row for one in case.samples}, options)
    if case.samples and not texts:
        msg = (
            f"{log}: none of the case's {counted(len(case.samples), 'sample row')} has a text "
            f"there; the case is about a log named {case.log.name}, read with the key that the "
            "scan had: name both, or leave --log out for a page without texts"
        )
        raise InputError(msg)
    samples = [one.model_copy(update={"text": texts.get(one.row)}) for one in case.samples]
    return case.model_copy(update={"samples": tuple(samples)})


def serve(
    *,
    upstream: str,
    settings: Path | None,
    host: str | None,
    port: int | None,
    folder: Path,
    state: str,
    key: Path | None,
    signer: Signer,
    told: Callable[[str], None],
) -> bool:
    """Serve a gateway until it is ended; return whether every request was answered.

    Raises:
        InputError: if settings are wrong, or nothing says which service is passed on to.
    """
    with needs("a gateway", "api"):
        import aiohttp  # noqa: F401 - only asked whether it is there

    from mashbill.conduct.gateway.serving import serve as serve_gateway
    from mashbill.conduct.gateway.settings import told_settings
    from mashbill.conduct.scan.live import Live

    chosen = told_settings(upstream, host, port, settings)
    office = Office.at(folder)
    hashes = office.hashes(key)
    engine = Live(
        state or office.state,
        hashes,
        levels(),
        publish=lambda database: office.publish(database, signer),
    )
    try:
        return serve_gateway(
            chosen,
            engine,
            Scorer.shipped(),
            hashes,
            told=lambda bound: told(
                f"listening at {chosen.listen.host}:{bound.port}, passing on to {chosen.upstream}"
            ),
        )
    finally:
        engine.close()
