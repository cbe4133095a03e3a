"""The tests of a row: calls with what they give, runs with what they print, or a suite.

Calls and runs hold what is expected outside of the sandbox, so that a program cannot write its own
verdict. A suite is a program (asserts, functions ``test_...``, ``check(candidate)``) that runs in
the same interpreter as what it tests, which can make it say anything.

Read are, from a text of JSON or from a column of lists and structs:

    {"function": "add", "calls": [{"args": [1, 2], "expected": 3}]}
    {"function": "add", "calls": [{"args": [1], "kwargs": {}, "raises": "TypeError"}]}
    {"runs": [{"stdin": "1 2", "stdout": "3"}]}
    {"suite": "assert add(1, 2) == 3"}

a text that is no JSON object, or a list of texts, as a suite, and what published sets write
(:mod:`.published`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mashbill.core.errors import InputError
from mashbill.core.parsing import MARK, half_a_character, json_value
from mashbill.verifiers.code.asserting import called_in, check_suite
from mashbill.verifiers.code.published import in_our_keys
from mashbill.verifiers.code.values import flaw

MOST = 1000
"""tests of a row that are read"""
LONGEST = 1 << 19
"""characters of a row's tests"""
_CALL_KEYS = frozenset({"args", "kwargs", "expected", "or_expected", "raises", "function"})
_SPACE = " \t\r\n"
_RUN_KEYS = frozenset({"stdin", "stdout"})


@dataclass(frozen=True)
class Call:
    """A call of a function, and what it should give."""

    function: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    expected: Any = None
    raises: str = ""
    """name of the exception that it should raise; empty if it should give ``expected``"""
    known: tuple[Any, ...] = ()
    """values of which it should give one: ``expected``, and what a set may mean as well"""


@dataclass(frozen=True)
class Run:
    """A run of the whole program, and what it should print."""

    stdin: str
    stdout: str


@dataclass(frozen=True)
class Suite:
    """What a program is tried with."""

    kind: Literal["calls", "runs", "program"]
    tests: tuple[Call | Run, ...] = ()
    source: str = ""
    """of tests that are a program"""
    function: str = ""
    """that the program should define; empty if the tests do not say"""
    about: str = ""
    """name that a program that is meant defines, so far as can be told"""


def read(written: Any) -> Suite | None:
    """Return the tests of a row; None if it has none.

    Raises:
        InputError: naming the test and the key that is wrong.
    """
    if written is None or (isinstance(written, str | list) and not written):
        return None
    if isinstance(written, str):
        if not written.strip():
            return None
        if len(written) > LONGEST:
            msg = f"they have {len(written):,} characters, and {LONGEST:,} are read at most"
            raise InputError(msg)
        if written.lstrip(MARK + _SPACE)[:1] not in ("{", "["):
            return _program(written.lstrip(MARK), "")
        written = json_value(written, "the tests")
        if written in ([], {}):
            return None
    if not isinstance(written, dict | list):
        msg = f"they are {type(written).__name__}, and an object, a list or a text is needed"
        raise InputError(msg)
    if isinstance(written, dict):
        written = {str(key): value for key, value in written.items() if value is not None}
    written = in_our_keys(written)
    return _of_list(written) if isinstance(written, list) else _of_object(written)


def _program(source: str, function: str) -> Suite:
    if half_a_character(source):
        msg = "the suite holds half of a character"
        raise InputError(msg)
    check_suite(source, function)
    return Suite("program", source=source, function=function, about=function or called_in(source))


def _of_list(written: list[Any]) -> Suite:
    if all(isinstance(one, str) for one in written):
        return _program("\n".join(written), "")
    keys = set().union(*(one for one in written if isinstance(one, dict)))
    return _of_object({"runs" if keys & _RUN_KEYS else "calls": written})


def _of_object(written: dict[str, Any]) -> Suite:
    function = written.get("function") or ""
    if not isinstance(function, str) or len(function) > 200:
        msg = f"function is {function!r:.40}, and a name is needed"
        raise InputError(msg)
    if "suite" in written:
        if not isinstance(written["suite"], str):
            msg = "suite is no text"
            raise InputError(msg)
        return _program(written["suite"], function)
    for key, one_of in (("calls", _call), ("runs", _run)):
        if key in written:
            tests = _list_of(written[key], key)
            made = tuple(one_of(test, f"{key}[{at}]", function) for at, test in enumerate(tests))
            return Suite("calls" if key == "calls" else "runs", made, "", function, function)
    msg = (
        f"they have the keys {', '.join(map(repr, sorted(written)))[:120] or 'none'}; give calls, "
        "runs, suite, or inputs and outputs"
    )
    raise InputError(msg)


def _list_of(tests: Any, key: str) -> list[Any]:
    if not isinstance(tests, list) or not tests:
        msg = f"{key} is {tests!r:.40}, and a list of tests is needed"
        raise InputError(msg)
    if len(tests) > MOST:
        msg = (
            f"{key} has {len(tests):,} tests, and {MOST:,} are read at most; keep those that count"
        )
        raise InputError(msg)
    return tests


def _call(test: Any, where: str, function: str) -> Call:
    table = _table(test, where, _CALL_KEYS)
    name = table.get("function") or function
    if not isinstance(name, str) or not name:
        msg = f"{where} names no function, and the tests do not either; set function"
        raise InputError(msg)
    args, kwargs = table.get("args") or [], table.get("kwargs") or {}
    if (
        not isinstance(args, list)
        or not isinstance(kwargs, dict)
        or not all(isinstance(key, str) for key in kwargs)
    ):
        msg = f"{where} has args that are no list, or kwargs that are no object with names"
        raise InputError(msg)
    raises = table.get("raises") or ""
    if not isinstance(raises, str) or ("expected" not in table and not raises):
        msg = f"{where} says neither what is expected nor, by a name, what it raises"
        raise InputError(msg)
    known = [table[key] for key in ("expected", "or_expected") if key in table]
    for value in (*args, *kwargs.values(), *known):
        if wrong := flaw(value):
            msg = f"{where}: {wrong}"
            raise InputError(msg)
    return Call(name, tuple(args), dict(kwargs), table.get("expected"), raises, tuple(known))


def _run(test: Any, where: str, function: str = "") -> Run:
    del function
    table = _table(test, where, _RUN_KEYS)
    given, out = table.get("stdin", ""), table.get("stdout")
    texts = [_lines(text) for text in (given, out)]
    if None in texts or half_a_character(texts):
        msg = f"{where} needs stdin and stdout, both texts of whole characters"
        raise InputError(msg)
    return Run(str(texts[0]), str(texts[1]))


def _lines(text: Any) -> str | None:
    """Return a text, of which some sets write each line apart; None if it is none."""
    if isinstance(text, list):
        return "\n".join(map(str, text))
    return text if isinstance(text, str) else None


def _table(test: Any, where: str, keys: frozenset[str]) -> dict[str, Any]:
    if not isinstance(test, dict):
        msg = f"{where} is {type(test).__name__}, and an object is needed"
        raise InputError(msg)
    table = {key: value for key, value in test.items() if value is not None or key == "expected"}
    if strange := sorted(set(table) - keys, key=str):
        msg = f"{where} has the key {strange[0]!r:.40}, which is none of {', '.join(sorted(keys))}"
        raise InputError(msg)
    return table
