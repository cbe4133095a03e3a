"""The one place in which what strangers wrote is read: text, JSON, YAML, what libraries take.

Everything that comes in a file, whoever wrote it, goes through here, and TOML through
:mod:`mashbill.core.plain_toml`. Each reader has bounds (bytes, nesting, digits), so that no file
hangs or fills the memory, and each has one outcome beside a value: an error of ours that names the
file and, where it can be told, the line or the key. What a library raises on bytes that are not
what they claim to be is not foreseen in a list: whatever it is, it says "this is no such file"
(:func:`foreign`).
"""

from __future__ import annotations

import json
import math
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mashbill.core.errors import CanonicalError, InputError, MashbillError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

JSON_BYTES = 256 << 20
"""largest JSON file that is read as one value"""
PROOF_BYTES = 16 << 20
"""largest proof: of one record, and what it rests on"""
JSON_MARKS = 5_000_000
"""brackets and commas of a JSON text: each may be 28 times its bytes in memory"""
YAML_BYTES = 2 << 20
"""largest text of YAML: front matter of the largest cards has a fifth of it"""
DEEPEST = 128
"""lists and tables in one another"""
DIGITS = 308
"""digits of a whole number in JSON: a longer one is no number that a float can be near"""
MARK = "\ufeff"
"""byte order mark: in front of a text it is none of it, however often it stands there"""
_WIDE = {
    "UTF-32": re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff|[^\0]\0\0\0|\0\0\0[^\0]"),
    "UTF-16": re.compile(rb"\xff\xfe|\xfe\xff|[^\0]\0[^\0]\0|\0[^\0]\0[^\0]"),
}
_HALF = re.compile(r"\\u[dD][89a-fA-F]")

Error = type[MashbillError]


@contextmanager
def foreign(
    shown: object, what: str, *, error: Error = InputError, remedy: str = "fetch it again"
) -> Iterator[None]:
    """Hold everything that a library raises on foreign bytes to be one thing: they are not that.

    Args:
        shown: the file, for the message.
        what: what it should be, with its article: "a Parquet file".
        error: which of our errors it becomes.
        remedy: what to do.

    Raises:
        MashbillError: as ``error``; one of ours that is raised within goes through as it is, but
            for one about a value that has no canonical form, which names no file.
    """
    try:
        yield
    except CanonicalError as problem:
        _refuse(shown, what, problem, error, remedy)
    except (MashbillError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except OSError as problem:
        if problem.errno is None:  # a library's own, such as pyarrow's
            _refuse(shown, what, problem, error, remedy)
        msg = f"{shown} cannot be read: {problem.strerror or problem}"
        raise error(msg) from problem
    except BaseException as problem:  # noqa: BLE001 - a panic of a library in Rust is no Exception
        _refuse(shown, what, problem, error, remedy)


def _refuse(
    shown: object, what: str, problem: BaseException, error: Error, remedy: str
) -> NoReturn:
    said = " ".join(f"{problem}".split())[:300] or type(problem).__name__
    if isinstance(problem, RecursionError):
        said = "it is nested too deeply"
    elif isinstance(problem, MemoryError):
        said = "it wants more memory than there is"
    elif isinstance(problem, KeyError | IndexError | AttributeError):
        said = f"{type(problem).__name__}: {said}"
    msg = f"{shown}: not {what}, or not a whole one: {said}; {remedy}"
    raise error(msg) from problem


def read_bytes(
    file: Path | Traversable,
    *,
    most: int = JSON_BYTES,
    shown: object = "",
    error: Error = InputError,
) -> bytes:
    """Return the bytes of a file that is no larger than it may be.

    Raises:
        MashbillError: as ``error``, if it cannot be read or is larger.
    """
    shown = shown or file
    try:
        with file.open("rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as problem:  # ValueError: a NUL in its name
        why = getattr(problem, "strerror", None) or problem
        msg = f"{shown}: cannot be read: {why}; correct the path, or what may be read"
        raise error(msg) from problem
    if len(data) > most:
        msg = (
            f"{shown} has more than {most:,} bytes, which is more than any file of its kind needs; "
            "name the right file, or divide it"
        )
        raise error(msg)
    return data


def check_regular(*paths: Path, error: Error = StoreError) -> None:
    """Raise if one is there and no file: a pipe would be waited for, and a device has no end.

    Links are followed.

    Raises:
        MashbillError: as ``error``, naming it.
    """
    for path in paths:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "a pipe, a device or a socket"
            to = f" (a link to {path.resolve()})" if path.is_symlink() else ""
            msg = f"{path}{to} is {what}, where a store has a file; it is not read: remove it"
            raise error(msg)


def read_text(
    file: Path | Traversable,
    *,
    most: int = JSON_BYTES,
    shown: object = "",
    error: Error = InputError,
) -> str:
    """Return the text of a file in UTF-8, without a mark at its beginning; bounds as above.

    Lines end as Python's own reading of text has it, whichever system wrote the file.
    """
    shown = shown or file
    text = as_text(read_bytes(file, most=most, shown=shown, error=error), shown, error=error)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def as_text(data: bytes, shown: object, *, error: Error = InputError) -> str:
    """Return bytes as the UTF-8 text that they should be, without a mark at its beginning.

    Raises:
        MashbillError: as ``error``, naming the line, or the other encoding that it is in.
    """
    check_utf8(data, shown, error=error)
    try:
        return data.decode("utf-8").lstrip(MARK)
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        msg = (
            f"{shown}: cannot be read as UTF-8 text: line {line}, byte {problem.start}: "
            f"{problem.reason}; save it as UTF-8"
        )
        raise error(msg) from problem


def check_utf8(data: bytes, shown: object, *, error: Error = InputError) -> None:
    """Raise if bytes are a text in UTF-16 or UTF-32: Windows calls the first "Unicode".

    It is told by its mark, or by zeros among the first letters, which are no text of UTF-8.
    """
    for name, begins in _WIDE.items():
        if begins.match(data):
            msg = (
                f"{shown}: cannot be read as UTF-8 text: line 1: it is {name} (which Windows may "
                'call "Unicode"); save it as UTF-8'
            )
            raise error(msg)


class _BadJsonError(ValueError):
    pass


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        msg = f"a whole number of {len(text.removeprefix('-')):,} digits; {DIGITS} at most"
        raise _BadJsonError(msg)
    return int(text)


def _real(text: str) -> float:
    value = float(text)
    if value in {math.inf, -math.inf}:
        msg = f"{text[:40]} is beyond what a float can be"
        raise _BadJsonError(msg)
    return value


def _constant(text: str) -> float:
    msg = f"{text} is no number of JSON"
    raise _BadJsonError(msg)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        msg = f"the key {twice[:80]!r} is there twice"
        raise _BadJsonError(msg)
    return table


_DECODE = json.JSONDecoder(
    object_pairs_hook=_table, parse_int=_whole, parse_float=_real, parse_constant=_constant
)
_DECODE_CONSTANTS = json.JSONDecoder(object_pairs_hook=_table, parse_int=_whole)


def json_value(
    data: bytes | str,
    shown: object,
    *,
    error: Error = InputError,
    what: str = "valid JSON",
    constants: bool = False,
) -> Any:
    """Return the value of a JSON text.

    Refused are, beside what is no JSON: NaN, numbers beyond a float's, keys that are there twice,
    halves of surrogate pairs, and more than :data:`DEEPEST` lists and objects in one another.

    Args:
        data: the text, or its UTF-8 bytes.
        shown: file, and line if it is one of many, for the message.
        error: which of our errors it becomes.
        what: what it should be.
        constants: whether NaN and Infinity may be, as Python writes them.

    Raises:
        MashbillError: as ``error``, naming the line.
    """
    text = as_text(data, shown, error=error) if isinstance(data, bytes) else data
    if len(text) > JSON_MARKS:
        marks = sum(map(text.count, "[{,"))
        if marks > JSON_MARKS:
            msg = (
                f"{shown}: not {what}, or too much of it: it has {marks:,} brackets and commas, "
                f"and {JSON_MARKS:,} are read at most; divide it"
            )
            raise error(msg)
    decoder = _DECODE_CONSTANTS if constants else _DECODE
    try:
        value = decoder.decode(text.lstrip(MARK))
    except json.JSONDecodeError as problem:
        msg = f"{shown}: line {problem.lineno}: not {what}: {problem.msg} (column {problem.colno})"
        raise error(msg) from problem
    except RecursionError as problem:
        msg = f"{shown}: not {what}: lists and objects are nested too deeply"
        raise error(msg) from problem
    except ValueError as problem:
        msg = f"{shown}: not {what}: {problem}"
        raise error(msg) from problem
    if flaw := _json_flaw(text, value):
        msg = f"{shown}: not {what}: {flaw}"
        raise error(msg)
    return value


def _json_flaw(text: str, value: Any) -> str:
    """Return what is wrong with a value that was decoded, looking only where it could be."""
    if text.count("[") + text.count("{") > DEEPEST:
        left = [(value, 1)]
        while left:
            part, depth = left.pop()
            if depth > DEEPEST:
                return f"more than {DEEPEST} lists and objects in one another"
            inner = part.values() if isinstance(part, dict) else part
            left += (
                [(each, depth + 1) for each in inner if isinstance(each, dict | list)]
                if (isinstance(part, dict | list))
                else []
            )
    if "\\u" in text and _HALF.search(text) and half_a_character(value):
        return "not valid Unicode: a text holds half of a surrogate pair, such as \\ud83d alone"
    return ""


def half_a_character(value: Any) -> bool:
    """Return whether a text, or any in a JSON value, holds half of a surrogate pair."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str):
            if not part.isascii() and any("\ud800" <= each <= "\udfff" for each in part):
                return True
        elif isinstance(part, dict):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            left += part
    return False


def read_json(
    file: Path | Traversable,
    *,
    shown: object = "",
    error: Error = InputError,
    what: str = "valid JSON",
    most: int = JSON_BYTES,
) -> Any:
    """Return the value of a JSON file; see :func:`json_value`."""
    shown = shown or file
    data = read_bytes(file, most=most, shown=shown, error=error)
    return json_value(data, shown, error=error, what=what)


def json_object(
    file: Path | Traversable,
    *,
    shown: object = "",
    error: Error = InputError,
    what: str = "valid JSON",
    most: int = JSON_BYTES,
) -> dict[str, Any]:
    """Return the object of a JSON file; what holds another value is refused, too."""
    value = read_json(file, shown=shown, error=error, what=what, most=most)
    if not isinstance(value, dict):
        msg = f"{shown or file}: line 1: found {type(value).__name__}, expected an object {{...}}"
        raise error(msg)
    return value


def yaml_value(
    text: str, shown: object, *, error: Error = InputError, what: str = "it", line: int = 0
) -> Any:
    """Return the value of a YAML text of plain values: no aliases, no tags of programs.

    An alias can make a text of some bytes into more than a memory holds; cards need none.

    Args:
        text: the text.
        shown: the file, for the message.
        error: which of our errors it becomes.
        what: what the text is.
        line: lines of the file that stand before the text.

    Raises:
        MashbillError: as ``error``, naming the line.
    """
    import yaml

    from mashbill.core.plain_yaml import PlainLoader

    if len(text) > YAML_BYTES:
        msg = f"{shown}: {len(text):,} characters of YAML; {YAML_BYTES:,} at most"
        raise error(msg)
    try:
        return yaml.load(text, PlainLoader)  # noqa: S506 - a safe loader that takes less
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        at = None if mark is None else mark.line
        said = getattr(problem, "problem", None) or problem
        if isinstance(problem, yaml.reader.ReaderError):  # it tells a place, and no line
            at = text.count("\n", 0, problem.position)
            said = f"the character {problem.character!r} is not allowed"
            if isinstance(problem.character, int):
                said = f"the character U+{problem.character:04X} is not allowed"
        where = "" if at is None else f" line {at + line + 1}:"
        msg = f"{shown}:{where} {what} is not valid YAML: {said}; correct it, or leave it out"
        raise error(msg) from problem
    except RecursionError as problem:
        msg = f"{shown}: {what} is not valid YAML: nested too deeply; correct it, or leave it out"
        raise error(msg) from problem
    except Exception as problem:  # a date such as 2025-13-45, a time zone out of the world
        said = " ".join(str(problem).split())[:200]
        msg = f"{shown}: {what} cannot be read as YAML: {said}; correct it, or leave it out"
        raise error(msg) from problem
