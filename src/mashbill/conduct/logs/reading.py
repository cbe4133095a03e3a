"""Logs of model calls, read into events, from a place on.

A file larger than the memory is read in pieces. What is no row is refused with its line and the
reason, counted, and reading goes on; a file of which nothing can be read is an error. Every batch
says from where to go on, so that a reader that was killed loses nothing and reads nothing twice.

    log = open_log(path, hashes)
    for batch in log.batches(position):
        engine.observe(batch.events)
        keep(batch.position)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from mashbill.conduct.logs import columns
from mashbill.conduct.logs.forms import MARK, Form, opened, told_form
from mashbill.conduct.logs.gathering import Batch, Gathering, Options, Refused
from mashbill.conduct.logs.lines import NEAR, Lines, NoRowError, object_of
from mashbill.conduct.logs.positions import checked_position, position_of, skip_to
from mashbill.core.errors import InputError
from mashbill.core.parsing import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.scored import Scorer

ALL_REFUSED = 1_000
"""rows at a log's beginning that may all be refused before reading stops"""


class Log:
    """A log of model calls that was opened; nothing of it is held."""

    def __init__(
        self, path: Path, hashes: Hashes, form: Form | None, options: Options, scorer: Scorer | None
    ) -> None:
        """Open a log; see :func:`open_log`."""
        self.path = path
        self.hashes, self.options, self.scorer = hashes, options, scorer
        self.form: Form | None = form or told_form(path, options.longest_line)
        """None as long as nothing is in the file"""

    def look(self) -> Form | None:
        """Return the form, looked for again where nothing was in the file before.

        Raises:
            InputError: if what is there now is of none that is known.
        """
        if self.form is None:
            self.form = told_form(self.path, self.options.longest_line)
        return self.form

    def gathering(self, form: Form) -> Gathering:
        """Return what gathers lines of a form.

        Raises:
            InputError: if an option does not fit it.
        """
        return Gathering(form, self.hashes, self.options, self.scorer)

    def batches(
        self, position: Mapping[str, Any] | None = None, rows: int = 20_000
    ) -> Iterator[Batch]:
        """Yield what the file holds now, from a position on.

        A last line without an end is taken if it is a whole object, and left for later if not.

        Args:
            position: of a batch that was read before; from the beginning if None.
            rows: lines or spans of a batch, at most or little more.

        Raises:
            InputError: if the file cannot be read or unpacked, is not the one of the position, or
                nothing of it can be read.
        """
        form = self.look()
        if form is None:
            return
        begun = checked_position(position, form, self.path)
        read = self._tables if form == "parquet" else self._lines
        found = read(form, begun, rows)
        yield from watched(found, self.path, form) if position is None else found

    def _lines(self, form: Form, begun: dict[str, Any], rows: int) -> Iterator[Batch]:
        gathering = self.gathering(form)
        is_first = not begun["offset"]
        with opened(self.path) as stream:
            near = skip_to(stream, begun, self.path, self.hashes)
            lines = Lines(stream, begun["offset"], self.options.longest_line)
            place = Place(begun, lines, near)
            try:
                for line in lines:
                    place.advance(line, gathering)
                    is_bad = is_first and not gathering.taken and len(gathering) >= ALL_REFUSED
                    if len(gathering) >= rows or is_bad:
                        is_first = False
                        yield gathering.batch(place.position(form, self.hashes))
            except InputError:  # a packed file that ends too early: what came before it is good
                if len(gathering):
                    yield gathering.batch(place.position(form, self.hashes))
                raise
            half = place.take_rest(gathering)
            if len(gathering) or half:
                yield gathering.batch(place.position(form, self.hashes), half=half)

    def _tables(self, form: Form, begun: dict[str, Any], rows: int) -> Iterator[Batch]:
        gathering = self.gathering(form)
        schema = columns.schema_of(self.path)
        of_events = columns.is_of_events(schema, self.path, self.hashes.keyid)
        names, others = columns.known_columns(schema, of_events=of_events)
        if not {"time", "account"} <= set(names):
            msg = (
                f"{self.path} has no columns time and account, as a log of ours has; it has "
                f"{', '.join(schema.names[:10])}"
            )
            raise InputError(msg)
        gathering.strange(others)
        row = begun["row"]
        for part in columns.tables(self.path, names, row, rows):
            begin, row = row, row + part.num_rows
            position = {"form": form, "row": row}
            if of_events:
                events, reasons = columns.events_of(part, self.path)
                for number, reason in enumerate(reasons, begin + 1):
                    if reason is not None:
                        gathering.refuse(number, reason)
                yield gathering.of_events(events, position)
                continue
            with foreign(f"{self.path}: rows from {begin + 1} on", "rows of a log"):
                given = part.to_pylist()
            for number, each in enumerate(given, begin + 1):
                there = {key: value for key, value in each.items() if value is not None}
                gathering.try_object(there, number, f"row-{number}")
            yield gathering.batch(position)


class Place:
    """Where reading stands in a file of lines."""

    def __init__(self, begun: Mapping[str, Any], lines: Lines, near: bytes) -> None:
        """Begin at a position.

        Args:
            begun: the position.
            lines: read from there.
            near: the end of the line before it.
        """
        self._lines = lines
        self._number, self._offset, self.near = begun["line"], begun["offset"], near
        self._is_ended = begun.get("ended", True) is not False

    def advance(self, line: bytes | None, gathering: Gathering) -> None:
        """Take a line that the lines have given out."""
        begin, self._offset = self._offset, self._lines.offset
        before, self.near = self.near, self._lines.near
        if not self._is_ended:
            self._is_ended = True
            self.near = (before + self.near)[-NEAR:]
            if line is not None and not line.strip():  # the end of the line that was taken before
                return
        self._number += 1
        given = line.removeprefix(MARK) if line and not begin else line
        gathering.take(given, self._number, begin)

    def take_rest(self, gathering: Gathering, *, is_last: bool = False) -> int:
        """Take a last line that does not end, if it is a whole object.

        Args:
            gathering: takes it.
            is_last: take it, whatever it is: nothing will be written behind it any more.

        Returns:
            its bytes if it was left for later.
        """
        rest, size = self._lines.rest, self._lines.within
        bare = rest if self._offset else rest.removeprefix(MARK)
        if not size or not (is_last or _is_whole(bare)):
            return size
        self._number += 1
        gathering.take(bare if size == len(rest) else None, self._number, self._offset)
        self._offset += size
        self.near, self._is_ended = self._lines.end, False
        return 0

    def position(self, form: Form, hashes: Hashes) -> dict[str, Any]:
        """Return the position behind the line that was taken last."""
        return position_of(
            form, self._offset, self._number, self.near, hashes, is_ended=self._is_ended
        )


def _is_whole(line: bytes) -> bool:
    try:
        object_of(line)
    except NoRowError:
        return False
    return True


def watched(batches: Iterator[Batch], path: Path, form: Form) -> Iterator[Batch]:
    """Yield the batches of a log from its beginning, and stop where nothing of it can be read.

    Raises:
        InputError: if its first :data:`ALL_REFUSED` rows are refused, or all that it has.
    """
    refused = 0
    first: tuple[Refused, ...] = ()
    is_read = False
    for batch in batches:
        refused += batch.refused_count
        first = first or batch.refused
        is_read = is_read or bool(batch.rows)
        if not is_read and refused >= ALL_REFUSED:
            raise _nothing_read(path, form, refused, first)
        yield batch
    if not is_read and refused:
        raise _nothing_read(path, form, refused, first)


def _nothing_read(path: Path, form: Form, refused: int, first: tuple[Refused, ...]) -> InputError:
    said = "; ".join(f"line {each.line} {each.reason}" for each in first[:3])
    return InputError(
        f"{path}: none of the {refused:,} rows that were looked at can be read as {form}: {said}. "
        "Name the form that it has, or correct the log"
    )


def open_log(
    path: Path,
    hashes: Hashes,
    *,
    form: Form | None = None,
    options: Options | None = None,
    scorer: Scorer | None = None,
) -> Log:
    """Open a log of model calls.

    Args:
        path: JSON lines, plain or packed (``.gz``, ``.zst``), or Parquet.
        hashes: by whose key accounts and prompts are hashed.
        form: told by what is in the file if None.
        options: how it is to be read.
        scorer: scores texts, once a batch, each distinct one once; without one the columns
            ``jailbreak`` and ``extraction`` of rows in plain words are null.

    Raises:
        InputError: if it cannot be read, is of no form that is known, or of no form of this name.
    """
    if form is not None and form not in get_args(Form):
        msg = f"the form {form!r} of a log is none of {', '.join(get_args(Form))}"
        raise InputError(msg)
    with opened(path):  # that it is a file, and may be read
        pass
    return Log(path, hashes, form, options or Options(), scorer)
