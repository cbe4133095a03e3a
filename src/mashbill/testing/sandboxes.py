"""``check_sandbox``: a place where foreign programs run, with all laws of sandboxes checked."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import MashbillError
from mashbill.core.parsing import json_value
from mashbill.core.sandbox import EndedError, Limits
from mashbill.testing.laws import Laws, demand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.sandbox import Guest, Sandbox, SandboxKind

_LIMITS = Limits(memory=512 << 20, disk=4 << 20, files=256, seconds=20)
_SECONDS = 10.0
_LONGEST_LINE = 200
_PROBE = """
import builtins, ctypes, os, socket, sys, tempfile, time
def probe(what):
    try:
        return bool(eval(what))
    except BaseException as error:
        return type(error).__name__
"""
_LEAVE = "[setattr(builtins, 'left', 1), open('left', 'w').write('x'), True][-1]"
_FIND = "hasattr(builtins, 'left') or os.path.exists('left')"
_REACHES = {
    "opens a connection": "socket.create_connection(('127.0.0.1', {port}), 1)",
    "reads a file of the host": "open({file!r}).read()",
    "ends a process of the host": "os.kill({pid}, 0) is None",
    "takes four GiB of memory": "bytearray(4 << 30).find(b'x') < 0",
    "fills a GiB of disk": "[open('/tmp/f', 'ab').write(bytes(1 << 20)) for _ in range(1024)]",
}
"""what must not be so -> an expression that is true if it is"""


def check_sandbox(kind: SandboxKind, *, isolates: bool = True, **facts: Any) -> tuple[str, ...]:
    """Open a sandbox and hold it to all laws of sandboxes; return those that held.

    Args:
        kind: what is registered.
        isolates: whether it says that it isolates; if not, what reaches outside is not tried.
        facts: of the host, that a program tries to reach: ``port`` on which a server listens on
            loopback, ``file`` that may be read, ``pid`` of a process.

    Raises:
        LawError: naming each law that it breaks, and what to mend.
    """
    laws = Laws(f"sandbox {getattr(kind, '__name__', kind)!r}")
    opened: list[Sandbox] = []
    with laws.law("it opens", "Let open() return a sandbox, or raise InputError with what lacks."):
        opened.append(kind.open())
    for sandbox in opened:
        with laws.law("it says what isolates", "Set isolation, a line of 200 characters at most."):
            line = sandbox.isolation
            is_line = 0 < len(line) <= _LONGEST_LINE and "\n" not in line
            demand(is_line, f"isolation is {line!r:.80}")
            demand(isolates != line.startswith("none"), f"isolates={isolates}, and {line!r:.80}")
        _check_answers(laws, sandbox)
        _check_ends(laws, sandbox)
        _check_apart(laws, sandbox)
        if isolates:
            _check_reaches(laws, sandbox, facts)
        with laws.law("it closes", "Let close() end all that is left, and let it be called twice."):
            sandbox.close()
            sandbox.close()
    return laws.settle()


def _asked(guest: Guest, **message: Any) -> Any:
    return json_value(guest.ask(json.dumps(message).encode(), _SECONDS), "the sandbox")


def _probing(sandbox: Sandbox) -> Guest:
    guest = sandbox.start(_LIMITS)
    _asked(guest, do="load", source=_PROBE)
    return guest


def _probed(guest: Guest, what: str) -> Any:
    return _asked(guest, do="call", function="probe", args=[what], kwargs={})


def _check_answers(laws: Laws, sandbox: Sandbox) -> None:
    with laws.law("a guest answers", "Run verifiers/code/answering.py's answer() for each guest."):
        guest = _probing(sandbox)
        for what, said in (
            ("1 + 1 == 2", True),
            ("1 + 1 == 3", False),
            ("1 / 0", "ZeroDivisionError"),
        ):
            found = _probed(guest, what)
            demand(found == {"value": said}, f"{what} gives {found!r:.80}")
        guest.end()
    with laws.law("a guest ends once", "Let end() be called twice, and after a guest has ended."):
        guest.end()


def _check_ends(laws: Laws, sandbox: Sandbox) -> None:
    def failing(message: Mapping[str, Any], seconds: float) -> EndedError | None:
        guest = sandbox.start(_LIMITS)
        try:
            guest.ask(json.dumps(message).encode(), seconds)
        except EndedError as error:
            return error
        finally:
            guest.end()
        return None

    with laws.law("an end is told", "Raise EndedError with fault 'program' where a guest ends."):
        error = failing({"do": "load", "source": "import os\nos._exit(0)"}, _SECONDS)
        demand(error is not None and error.fault == "program", f"an end gives {error!r:.80}")
    with laws.law("time is up", "Raise EndedError where no answer comes in so many seconds."):
        begun = time.monotonic()
        error = failing({"do": "load", "source": "while True: pass"}, 0.5)
        demand(error is not None and error.fault == "program", f"a loop gives {error!r:.80}")
        demand(time.monotonic() - begun < _SECONDS, "it took far longer than it was given")
    with laws.law("a flood is no answer", "Bound what a guest writes by Limits.message."):
        flood = "import os\nwhile True: os.write(3, b'\\xff' * 65536)"
        error = failing({"do": "load", "source": flood}, _SECONDS)
        demand(error is not None and error.fault == "program", f"a flood gives {error!r:.80}")


def _check_apart(laws: Laws, sandbox: Sandbox) -> None:
    with laws.law("guests are apart", "Give each guest a process and files that no other had."):
        first = _probing(sandbox)
        with suppress(MashbillError, EndedError):
            _probed(first, _LEAVE)
        first.end()
        second = _probing(sandbox)
        found = _probed(second, _FIND)
        second.end()
        demand(found == {"value": False}, "a guest finds what another one left")


def _check_reaches(laws: Laws, sandbox: Sandbox, facts: Mapping[str, Any]) -> None:
    with laws.law("nothing is reached", "Isolate: no network, no files and processes of the host."):
        for what, expression in _REACHES.items():
            try:
                program = expression.format(**facts)
            except KeyError:
                continue  # a fact that was not given
            guest = _probing(sandbox)
            try:
                found = _probed(guest, program)
            except EndedError:
                found = None
            finally:
                guest.end()
            demand(found != {"value": True}, f"a program {what}")
