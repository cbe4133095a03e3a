"""Following a log that somebody writes: it grows, is renamed and begun anew, or cut.

Programs that turn logs over do it in one of two ways (logrotate: ``create`` and ``copytruncate``).
Either the file is renamed and another of its name begun; then the old one, which is still open
here, is read to its end first. Or it is copied and cut; then reading begins anew, and what was
written between the last look and the cut is in the copy alone, which is told. That a file was cut
and has grown beyond the place of reading again is seen by the line before that place.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from mashbill.conduct.logs.forms import Form
from mashbill.conduct.logs.lines import Lines
from mashbill.conduct.logs.positions import checked_position, skip_to
from mashbill.conduct.logs.reading import ALL_REFUSED, Log, Place, watched
from mashbill.core.errors import InputError
from mashbill.files.opening import PACKED, open_file

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from mashbill.conduct.logs.gathering import Batch, Gathering

SHORTEST, LONGEST = 0.02, 60.0
"""seconds between two looks at a file"""
_SIBLINGS = 1_000  # files of a folder among which a renamed one is looked for


def follow(
    log: Log,
    stop: threading.Event,
    *,
    position: Mapping[str, Any] | None = None,
    rows: int = 20_000,
    poll: float = 1.0,
) -> Iterator[Batch]:
    """Yield what a log holds and what is written to it, until an event is set.

    Args:
        log: of lines, not packed.
        stop: ends it, within a look or a batch.
        position: of a batch that was read before; from the beginning if None.
        rows: lines or spans of a batch, at most or little more; less where no more is there.
        poll: seconds between two looks, from :data:`SHORTEST` to :data:`LONGEST`.

    Raises:
        InputError: if it is a file that does not grow, is of no form that is known, cannot be read
            any more, or nothing of it can be read.
    """
    form = log.look()
    if form == "parquet" or str(log.path).rsplit(".", 1)[-1].lower() in PACKED:
        msg = f"{log.path} is packed, and does not grow; read it once, without following it"
        raise InputError(msg)
    poll = min(max(poll, SHORTEST), LONGEST)
    while form is None:
        if stop.wait(poll):
            return
        with suppress(InputError):  # it is gone, or half a line is there
            form = log.look()
    found = _Following(log, form, stop, rows, poll).batches(position)
    yield from watched(found, log.path, form) if position is None else found


class _Following:
    def __init__(self, log: Log, form: Form, stop: threading.Event, rows: int, poll: float) -> None:
        self._log, self._form, self._stop, self._rows, self._poll = log, form, stop, rows, poll
        self._told: list[str] = []
        self._gathering: Gathering = log.gathering(form)

    def batches(self, position: Mapping[str, Any] | None) -> Iterator[Batch]:
        begun = checked_position(position, self._form, self._log.path)
        while not self._stop.is_set():
            stream = self._open(begun)
            if stream is None:
                self._stop.wait(self._poll)
                continue
            with stream:
                yield from self._of_file(stream, begun)
            begun = checked_position(None, self._form, self._log.path)

    def _open(self, begun: dict[str, Any]) -> BinaryIO | None:
        """Return the file, or the one of the position under the name that it has now."""
        path, wanted = self._log.path, begun.get("inode")
        try:
            if begun["offset"] and wanted is not None and path.stat().st_ino != wanted:
                with os.scandir(path.parent) as folder:
                    for each, _ in zip(folder, range(_SIBLINGS), strict=False):
                        if each.name.startswith(path.name) and each.inode() == wanted:
                            return open_file(path.parent / each.name, each.path)
            return open_file(path, str(path))
        except (OSError, InputError):
            if path.exists():
                raise
            return None

    def _of_file(self, stream: BinaryIO, begun: dict[str, Any]) -> Iterator[Batch]:
        """Yield batches of one file until another stands in its place."""
        log = self._log
        try:
            near = skip_to(stream, begun, log.path, log.hashes)
        except InputError as problem:
            self._told.append(f"{problem}; it is read from its beginning")
            stream.seek(0)
            begun, near = checked_position(None, self._form, log.path), b""
        lines = Lines(stream, begun["offset"], log.options.longest_line)
        place = Place(begun, lines, near)
        inode = os.fstat(stream.fileno()).st_ino
        is_gone = False
        while not self._stop.is_set():
            if self._is_cut(stream, lines):
                self._told.append(
                    f"{log.path} was cut at byte {lines.offset:,} or before; it is read from its "
                    "beginning, and what was written since the last look is in a copy of it alone"
                )
                return
            for line in lines:
                place.advance(line, self._gathering)
                if self._is_full():
                    yield self._batch(place, inode)
                    if self._stop.is_set():
                        return
            if is_gone:
                place.take_rest(self._gathering, is_last=True)
            if len(self._gathering) or self._told:
                yield self._batch(place, inode)
            if is_gone:
                self._told.append(f"{log.path} was renamed, and read to its end; another is read")
                return
            # It is read once more after a wait, since who writes it may not know yet.
            is_gone = self._is_another(stream)
            self._stop.wait(self._poll)

    def _is_full(self) -> bool:
        size = len(self._gathering)
        return size >= self._rows or (size >= ALL_REFUSED and not self._gathering.taken)

    def _batch(self, place: Place, inode: int) -> Batch:
        told, self._told = tuple(self._told), []
        position = {**place.position(self._form, self._log.hashes), "inode": inode}
        return self._gathering.batch(position, told=told)

    def _is_another(self, stream: BinaryIO) -> bool:
        try:
            now = self._log.path.stat()
        except OSError:
            return False  # it is gone, and another may come
        mine = os.fstat(stream.fileno())
        return (now.st_ino, now.st_dev) != (mine.st_ino, mine.st_dev)

    @staticmethod
    def _is_cut(stream: BinaryIO, lines: Lines) -> bool:
        """Return whether less is in a file than was read of it, or something else."""
        size = os.fstat(stream.fileno()).st_size
        at = lines.offset + lines.within
        if size < at:
            return True
        end = lines.end
        if not end or size == at:
            return False
        stream.seek(at - len(end))
        return stream.read(len(end)) != end  # and it stands where it stood
