"""What runs foreign code inside of the sandbox: it takes a program, then one call after the other.

It knows no expected value: whoever sent the call compares, outside. What passes as a value is told
in :mod:`mashbill.verifiers.code.values`. As :mod:`.guest`, which is joined to it (:mod:`.inside`),
this imports the standard library alone.
"""

import _sitebuiltins
import atexit
import builtins
import contextlib
import decimal
import fractions
import json
import math
import os
import struct
import sys
import threading
import types
import typing
from typing import Any

_DEEPEST, _LONGEST_TOLD = 64, 300
_LENT = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random",
    "statistics", "itertools", "functools", "operator", "json", "typing",
)  # fmt: skip
"""modules whose names a program has without importing them, as in LiveCodeBench
(lcb_runner/evaluation/testing_util.py at 15808c7, import_string)"""
_CALLS_DEEP = 50_000  # calls in one another, as there

_MAIN = threading.main_thread()
_lent: list[str] = []


def answer(fd: int, longest: int) -> None:
    """Take a program and calls of it, one at a time, and say what each gives.

    Args:
        fd: of a stream socket.
        longest: bytes of a message.
    """
    program = types.ModuleType("program")
    sys.setrecursionlimit(_CALLS_DEEP)
    while True:
        message = _received(fd)
        if message is None:
            return
        try:
            said = {"value": _done(program, message)}
        except _AbsentError as error:
            said = {"error": error.args[0]}
        except BaseException as error:
            said = {"error": told(error), "kinds": _kinds(error)}
        try:
            text = _encoded(said)
        except BaseException as error:
            text = json.dumps({"error": told(error)}).encode()
        if len(text) > longest:
            text = json.dumps({"error": f"what it gives is longer than {longest} bytes"}).encode()
        send(fd, text)


def _received(fd: int) -> Any:
    head = _read(fd, 4)
    return json.loads(_read(fd, struct.unpack("!I", head)[0])) if head else None


def _read(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(fd, size - len(data))
        if not piece:
            return b""
        data += piece
    return data


def send(fd: int, text: bytes) -> None:
    """Send a message, behind its length."""
    data = struct.pack("!I", len(text)) + text
    while data:
        data = data[os.write(fd, data) :]


def _encoded(said: dict[str, Any]) -> bytes:
    """Return JSON: no longer than the text in it, but where that holds halves of characters."""
    try:
        return json.dumps(said, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(said).encode()


def _kinds(error: BaseException) -> list[str]:
    """Return the names of the classes that an exception is of."""
    return [str(kind.__name__)[:_LONGEST_TOLD] for kind in type(error).__mro__[:_DEEPEST]]


def told(error: BaseException) -> str:
    """Return the kind of an exception and what it says, cut."""
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = ""
    name = type(error).__name__
    return f"{name}: {text}"[:_LONGEST_TOLD] if text else name


def _done(program: types.ModuleType, message: dict[str, Any]) -> Any:
    """Do what one message asks for; return what it gives, in our notation."""
    todo = message["do"]
    if todo == "load":
        sys.modules["program"] = program
        exec(compile(message["source"], "program.py", "exec"), program.__dict__)
        return None
    if todo == "call":
        function = _named(program, message["function"])
        args = [_value(item) for item in message["args"]]
        kwargs = {name: _value(item) for name, item in message["kwargs"].items()}
        return _written(function(*args, **kwargs))
    if todo == "main":
        return _as_main(message["source"], message["stdin"])
    return _suite(program, message["source"], message["function"])


class _AbsentError(Exception):
    """The program does not define what is called: that is no exception that a test may expect."""


def _named(program: types.ModuleType, name: str) -> Any:
    """Return a function of the program, or a method of a class that takes no arguments.

    A method of ``Solution`` comes before a function that the program only imported.
    """
    first, _, method = name.partition(".")
    found = vars(program).get(first)
    is_own = getattr(found, "__module__", None) == program.__name__
    if not method and not is_own and hasattr(vars(program).get("Solution"), first):
        found, method = vars(program)["Solution"], first
    if found is None or (method and not hasattr(found, method)):
        raise _AbsentError(f"the program defines no {name}")
    return getattr(found(), method) if method else found


def _as_main(source: str, stdin: str) -> str:
    """Run a program from the beginning to its end; return what it wrote."""
    given, out = open(".in", "w+b"), open(".out", "w+b", buffering=0)
    given.write(stdin.encode())
    given.seek(0)
    os.dup2(given.fileno(), 0)
    os.dup2(out.fileno(), 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    vars(sys).update(__stdin__=sys.stdin, __stdout__=sys.stdout)
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv = ["program.py"]
    try:
        exec(compile(source, "program.py", "exec"), main.__dict__)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
    _finish()
    out.seek(0)
    return out.read().decode("utf-8", "replace")


def _finish() -> None:
    """Do what an interpreter does at its end: wait for threads, call what waits for it, write."""
    while left := [one for one in threading.enumerate() if not one.daemon and one is not _MAIN]:
        for thread in left:
            thread.join()
    atexit._run_exitfuncs()  # noqa: SLF001 - nothing public calls what waits
    for stream in (sys.stdout, sys.__stdout__):
        with contextlib.suppress(AttributeError, ValueError):  # no file, or one that is closed
            if stream:
                stream.flush()


def _suite(program: types.ModuleType, source: str, function: str) -> str:
    """Run tests that are a program themselves; what they say is what the program lets them say.

    Of what the tests define, as pytest and unittest find it: functions and methods whose names
    begin with ``test``, classes whose names begin with ``Test`` or that are a ``TestCase``.
    """
    _take_back()
    before = dict(vars(program))
    sys.modules |= {"solution": program, "__main__": program}
    sys.argv = ["tests.py"]
    try:
        exec(compile(source, "tests.py", "exec"), program.__dict__)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
    made = [
        (name, one) for name, one in vars(program).items() if before.get(name, _MAIN) is not one
    ]
    for name, one in made:
        if isinstance(one, type):
            _try_class(name, one)
        elif name.startswith("test") and callable(one):
            one()
    if callable(check := vars(program).get("check")) and function:
        check(_named(program, function))
    return "passed"


def _try_class(name: str, tests: type) -> None:
    unit: Any = sys.modules.get("unittest")
    if unit and issubclass(tests, unit.TestCase):
        result = unit.TestResult()
        unit.defaultTestLoader.loadTestsFromTestCase(tests).run(result)
        for _, told in (*result.errors, *result.failures):
            raise AssertionError(told.strip().splitlines()[-1])
    elif name.startswith("Test"):
        for method in [one for one in vars(tests) if one.startswith("test")]:
            getattr(tests(), method)()


def _value(item: Any, *, is_member: bool = False) -> Any:
    """Return the value that our notation writes; a member of a set, or a key, does not change."""
    if isinstance(item, list):
        inside = (_value(one, is_member=is_member) for one in item)
        return tuple(inside) if is_member else list(inside)
    if not isinstance(item, dict):
        return item
    if len(item) == 1 and (name := next(iter(item))).startswith("$"):
        inner = item[name]
        if name == "$tuple":
            return tuple(_value(one, is_member=is_member) for one in inner)
        if name in ("$set", "$frozenset"):
            made = frozenset if is_member or name == "$frozenset" else set
            return made(_value(one, is_member=True) for one in inner)
        if name == "$map":
            return {_value(key, is_member=True): _value(one) for key, one in inner}
        if name == "$bytes":
            return bytes.fromhex(inner)
        if name == "$int":
            return int(inner, 0)
        if name == "$float":
            return float(inner)
        if name == "$complex":
            return complex(_value(inner[0]), _value(inner[1]))
    return {key: _value(one) for key, one in item.items()}


def _written(value: Any, depth: int = 0) -> Any:
    """Return a value in our notation; what has none there is named by its type."""
    if depth > _DEEPEST:
        raise ValueError(f"what it gives is nested deeper than {_DEEPEST}")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        whole = int(value)
        return whole if abs(whole) < 1 << 63 else {"$int": hex(whole)}
    if isinstance(value, float):
        number = float(value)
        return number if number - number == 0 else {"$float": repr(number)}
    if isinstance(value, str):
        return str(value)
    return _written_whole(value, depth + 1)


def _written_whole(value: Any, depth: int) -> Any:
    if isinstance(value, list):
        return [_written(one, depth) for one in value]
    for made, name in (tuple, "$tuple"), (set, "$set"), (frozenset, "$frozenset"):
        if isinstance(value, made):
            return {name: [_written(one, depth) for one in value]}
    if isinstance(value, dict):
        pairs = [[_written(key, depth), _written(one, depth)] for key, one in value.items()]
        plain = all(type(key) is str and not key.startswith("$") for key, _ in pairs)
        return dict(pairs) if plain else {"$map": pairs}
    if isinstance(value, decimal.Decimal | fractions.Fraction) and math.isfinite(value):
        return _written(int(value) if value == int(value) else float(value))
    if isinstance(value, bytes | bytearray):
        return {"$bytes": bytes(value).hex()}
    if isinstance(value, complex):
        return {"$complex": [_written(value.real, depth), _written(value.imag, depth)]}
    return {"$other": type(value).__name__}


def lend() -> None:
    """Lend names to programs, beneath their own: those of modules, and those of ``site``."""
    found: dict[str, Any] = {}
    for name in _LENT:
        module = __import__(name)
        public = getattr(module, "__all__", [one for one in vars(module) if one[0] != "_"])
        found |= {one: getattr(module, one) for one in public}
    found |= {name: sys.modules[name] for name in (*_LENT, "sys")}
    found |= {name: _sitebuiltins.Quitter(name, "end of file") for name in ("exit", "quit")}
    for name, value in found.items():
        if not hasattr(builtins, name):
            setattr(builtins, name, value)
            if not isinstance(value, types.ModuleType) and not hasattr(typing, name):
                _lent.append(name)


def _take_back() -> None:
    """Take back what tests that call by a name could take for the program's own."""
    for name in _lent:
        if hasattr(builtins, name) and name not in ("exit", "quit"):
            delattr(builtins, name)
