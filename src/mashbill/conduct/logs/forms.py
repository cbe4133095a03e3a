"""Which form a log has: told by what is in it, since endings do not say."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Literal

from mashbill.conduct.logs import columns
from mashbill.conduct.logs.lines import LONGEST, Lines, NoRowError, object_of
from mashbill.core.errors import InputError
from mashbill.core.parsing import check_utf8
from mashbill.files.opening import open_file, open_text_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Form = Literal["native", "litellm", "otel", "parquet"]
MARK = b"\xef\xbb\xbf"
"""byte order mark, which is none of the first line"""
_LOOKED_AT = 20  # lines by which the form is told


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file of lines, unpacked as its ending says.

    Raises:
        InputError: if it cannot be read or unpacked; while it is read, too.
    """
    with open_text_stream(path, str(path)) as stream:
        yield stream


def told_form(path: Path, longest: int = LONGEST) -> Form | None:
    """Return which form a log has, by what is in it; None if nothing is.

    Raises:
        InputError: if it is of none that is known.
    """
    with open_file(path, str(path)) as plain:
        if plain.read(len(columns.MAGIC)) == columns.MAGIC:
            return "parquet"
    met: list[str] = []
    with opened(path) as stream:
        lines = Lines(stream, 0, longest)
        first = True
        for line in islice(lines, _LOOKED_AT):
            if line is None:
                continue
            if first:
                check_utf8(line[:64], path)
            bare = line.removeprefix(MARK) if first else line
            first = False
            if (found := _form_of(bare, met)) is not None:
                return found
        if lines.rest and len(met) < _LOOKED_AT:
            check_utf8(lines.rest[:64], path)
            if (found := _form_of(lines.rest.removeprefix(MARK), met)) is not None:
                return found
            if not met:
                return None  # half a line: more may come
    if not met:
        return None
    shown = f"its first line {met[0]}"
    msg = (
        f"{path} is no log that is known: {shown}. Known are lines of JSON of LiteLLM "
        "(StandardLoggingPayload), of OpenTelemetry (OTLP), of our own (time, account), and "
        "Parquet; name its form if it is one of them"
    )
    raise InputError(msg)


def _form_of(line: bytes, met: list[str]) -> Form | None:
    """Return a line's form, or None; what it is instead is added to what was met."""
    if not line or line.isspace():
        return None
    try:
        row = object_of(line)
    except NoRowError as problem:
        met.append(str(problem))
        return None
    if row.keys() & {"resourceSpans", "resourceLogs", "resourceMetrics"}:
        return "otel"
    if "startTime" in row and row.keys() & {"call_type", "metadata"}:
        return "litellm"
    if "time" in row and row.keys() & {"account", "sketch"}:
        return "native"
    keys = ", ".join(repr(key[:40]) for key in list(row)[:8])
    met.append(f"has the keys {keys}" if keys else "is an empty object")
    return None
