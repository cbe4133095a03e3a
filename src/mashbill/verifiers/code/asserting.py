"""Whether a suite, which is a program, can be run here and tries anything: told from its lines.

It is not run for this, nor read as Python: what a text of strangers costs here is its length.
"""

from __future__ import annotations

import builtins
import re
import sys

from mashbill.core.errors import InputError

_IMPORT = re.compile(r"[ \t]*+(?:from[ \t]++(\w++)[\w.]*+[ \t]++import\b|import[ \t]++(\w++))")
_BLOCK = re.compile(r"(?:async[ \t]++)?(def|class)[ \t]++(\w++)[ \t]*+(\([^)]*+\))?")
_TRIES = re.compile(r"\b(?:assert|raise)\b|\bassert\w++\(|^\w[\w.]*+\(")
_CALLED = re.compile(r"(?<![\w.])([A-Za-z_]\w*+)(?:\.(\w++))?\(")
_TAKEN = re.compile(r"[ \t]*+from[ \t]++solution[ \t]++import[ \t]++(\w++)")
_TEXTS = (")", "]", "}", "#", "@", "'", '"')  # a line that begins so begins no statement
_OF_THE_PROGRAM = frozenset({"solution", "program", "__main__", "__future__"})


def check_suite(source: str, function: str) -> None:
    """Raise if a suite would pass whatever is tried with it, or needs what is not here.

    Raises:
        InputError: telling what is missing.
    """
    tries, is_run = False, True
    for line in source.splitlines():
        found = _IMPORT.match(line)
        name = (found[1] or found[2]) if found else ""
        if name and name not in sys.stdlib_module_names | _OF_THE_PROGRAM:
            msg = f"they import {name!r:.40}, and the sandbox has the standard library alone"
            raise InputError(msg)
        is_text = line.lstrip().startswith(_TEXTS)
        if line[:1].strip() and not is_text:
            is_run = _is_run(line, function)
        tries = tries or bool(is_run and not is_text and not name and _tries(line))
    if not tries:
        msg = (
            "they try nothing: there is no assert, no function test..., no TestCase, and no "
            "check(...) that is called or for which the key function says with what"
        )
        raise InputError(msg)


def called_in(source: str) -> str:
    """Return the name that a suite seems to be about: the first it takes or asserts something of.

    Empty if none can be told. It helps to find the program in an output, and no more.
    """
    for line in source.splitlines():
        if taken := _TAKEN.match(line):
            return taken[1]
        if re.match(r"[ \t]*+assert\b", line):
            names = (found[1] for found in _CALLED.finditer(line) if not found[2])
            return next((name for name in names if not hasattr(builtins, name)), "")
    return ""


def _tries(line: str) -> bool:
    return bool(_TRIES.search(line.partition(":")[2] if _BLOCK.match(line.lstrip()) else line))


def _is_run(line: str, function: str) -> bool:
    """Return whether what a line at the margin begins is run: see ``_suite`` in the guest."""
    block = _BLOCK.match(line)
    if not block:
        return True
    if block[1] == "class":
        return block[2].startswith("Test") or "TestCase" in (block[3] or "")
    return block[2].startswith("test") or bool(block[2] == "check" and function)
