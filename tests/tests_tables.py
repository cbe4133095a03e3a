"""A table of cases as one test: every case is tried, and each that fails is named.

``@table("name, wanted", CASES)`` stands where ``@pytest.mark.parametrize`` would, over cases that
take microseconds, since pytest's own keeping takes a few milliseconds each. A case that fails ends
no other one; the test then fails with all their names, and says of each where and why::

    3 of 788 cases fail
    [17] openai-terms 2024-01-31 api
        test_terms_cases.py:95: AssertionError: assert ('', '') == ('2023-11-14', 'no-rivals')

Cases share the fixtures of the one test, so none may be one that a case would alter.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

OF_ONE_TEST = frozenset({"caplog", "capfd", "capsys", "monkeypatch", "recipe_file", "tmp_path"})
"""fixtures that hold what a test did; the next case would find it"""
FAILS = (Exception, pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception)
"""a case that is skipped fails too: it would be left out and nobody told"""
WHOLE = 2
"""how many failures are told with their whole traceback"""


def table(
    names: str | Sequence[str],
    cases: Iterable[Any],
    ids: Sequence[str] | Callable[[Any], str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return what makes one test of a function and all its cases.

    Args:
        names: the arguments that a case gives, as parametrize takes them.
        cases: a tuple of values each, or a value where there is one name.
        ids: what each case is called, or how its values are.

    Raises:
        ValueError: if there is no case, or one of another length, or not an id for each.
        TypeError: if a case has marks, or the function asks for a fixture that a case would alter.
    """
    keys = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    alone = len(keys) == 1 and isinstance(names, str)
    params = [_param(case, alone=alone) for case in cases]
    rows = [tuple(param.values) for param in params]
    called = list(ids) if ids is not None and not callable(ids) else [_called(r, ids) for r in rows]
    called = [param.id or name for param, name in zip(params, called, strict=True)]
    given = [dict(zip(keys, row, strict=True)) for row in rows]
    if not given:
        msg = f"a table of {', '.join(keys)} has no case"
        raise ValueError(msg)
    places = [f"[{n}] {name}" for n, (name, _) in enumerate(zip(called, given, strict=True))]

    def over(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function)
        left = [item for name, item in signature.parameters.items() if name not in keys]
        shared = OF_ONE_TEST & {item.name for item in left}
        if shared or len(left) != len(signature.parameters) - len(keys):
            msg = f"{function.__name__}: it takes {', '.join(sorted(shared)) or 'other arguments'}"
            raise TypeError(msg)

        @functools.wraps(function)
        def test(**fixtures: Any) -> None:
            failed: dict[str, BaseException] = {}
            for place, values in zip(places, given, strict=True):
                try:
                    function(**fixtures, **values)
                except FAILS as error:
                    failed[place] = error
            if failed:
                pytest.fail(_told(function, failed, len(given)), pytrace=False)

        test.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return test

    return over


def _param(case: Any, *, alone: bool) -> Any:
    """Return a case as `pytest.param` has it: values, a name or None, and no marks."""
    if not isinstance(case, type(pytest.param())):
        return pytest.param(case) if alone else pytest.param(*case)
    if case.marks:
        msg = f"a case has marks of its own, which one test for all cannot keep: {case}"
        raise TypeError(msg)
    return case


def _called(row: tuple[Any, ...], called_by: Callable[[Any], str] | None) -> str:
    if called_by is not None:
        return "-".join(called_by(value) for value in row)
    said = (value if isinstance(value, str) else repr(value) for value in row)
    return " | ".join(textwrap.shorten(text, 100) for text in said)


def _told(function: Callable[..., None], failed: dict[str, BaseException], tried: int) -> str:
    """Return all that failed: its name, its place in the test, and what was wrong."""
    file = inspect.getsourcefile(function) or ""
    told = [f"{len(failed)} of {tried} cases fail"]
    for number, (place, error) in enumerate(failed.items()):
        if number < WHOLE:
            said = "".join(traceback.format_exception(error))
        else:
            frames = traceback.extract_tb(error.__traceback__)
            line = next((each.lineno for each in reversed(frames) if each.filename == file), "?")
            said = f"{Path(file).name}:{line}: {type(error).__name__}: {error}"
        told.append(f"{place}\n{textwrap.indent(said.rstrip(), '    ')}")
    return "\n".join(told)
