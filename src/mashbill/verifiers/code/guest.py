"""What runs inside of the sandbox: a process that starts others, and what answers the tests.

This file is handed to a bare interpreter as text (``python -S -s``), so it imports the standard
library alone and nothing of this package. It has two parts:

* :func:`keep_warm` never runs foreign code. It waits for orders on a socket; each order is one new
  process with namespaces of its own, forked from this one, whose interpreter is warm.
* :func:`answer` runs foreign code. It takes one program, then one call after the other, and gives
  back what came out. It knows no expected value: whoever sent the call compares, outside.

Messages are JSON behind their length (four bytes, network order); what passes as a value is told
in :mod:`mashbill.verifiers.code.values`.

Sources: namespaces(7), user_namespaces(7), clone(2), seccomp(2), capabilities(7) of the Linux
man-pages project.
"""

import ctypes
import gc
import io
import json
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import types
from typing import Any, NoReturn

_NEW_SPACES = {
    "mount": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000,
    "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000,
}  # fmt: skip
_CLONE, _CAPSET, _SECCOMP, _CLOSE_RANGE = 56, 126, 317, 436  # x86-64; others are refused outside
_REC, _PRIVATE, _READ_ONLY, _NOSUID, _NODEV, _NOEXEC = 0x4000, 0x40000, 1, 2, 4, 8
_NO_NEW_PRIVS = 38
_DEEPEST, _LONGEST_TOLD, _ORDER = 64, 300, 1 << 18
_NOBODY = 65534
_WARM = (
    "abc", "array", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "math", "numbers",
    "operator", "queue", "random", "re", "statistics", "string", "textwrap", "threading", "time",
    "traceback", "typing", "unicodedata", "uuid",
)  # fmt: skip

_libc = ctypes.PyDLL(None, use_errno=True)  # keeps the lock of the interpreter over a clone


def keep_warm(control: socket.socket) -> None:
    """Start a process for each order that comes, and tell what became of it.

    Args:
        control: socket (seqpacket) on which orders come and on which ends are told.
    """
    for name in _WARM:
        __import__(name)
    random.seed(0)
    _become_nobody()
    gc.collect()
    gc.freeze()
    control.send(json.dumps({"ready": os.getuid()}).encode())
    while True:
        order, fds, _, _ = socket.recv_fds(control, _ORDER, 1)
        if not order:
            return
        order = json.loads(order)
        if order["do"] != "start":
            continue  # the end of a process that has ended already
        pid = _clone(order["spaces"])
        if pid == 0:
            _as_guest(fds[0], order)
        for fd in fds:
            os.close(fd)
        _watch(control, pid)


def _become_nobody() -> None:
    """Give up root, where this runs as root: a limit on processes does not bind root."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        _libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, so that /proc/self is this user's


def _watch(control: socket.socket, pid: int) -> None:
    """Wait for the end of a process, and end it where that is asked for."""
    ended = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(control, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if ended in ready:
            break
        order = control.recv(_ORDER)
        if not order or json.loads(order)["do"] == "end":
            os.kill(pid, signal.SIGKILL)  # the first of its pid space: all of that space end
            if not order:
                os._exit(0)
            poll.unregister(control)
        else:
            control.send(json.dumps(_clock(pid)).encode())
    _, status, used = os.wait4(pid, 0)
    os.close(ended)
    told = {"status": status, "seconds": used.ru_utime + used.ru_stime, "kib": used.ru_maxrss}
    control.send(json.dumps(told).encode())


def _clock(pid: int) -> dict[str, float | None]:
    """Return for how many seconds all threads of a process ran, and its first waited for a core."""
    ran = waited = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                one, two, _ = file.read().split()
            ran += int(one)
            waited = int(two) if int(thread) == pid else waited
    except (OSError, ValueError):
        return {"ran": None, "waited": None}
    return {"ran": ran / 1e9, "waited": waited / 1e9}


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _clone(spaces: list[str]) -> int:
    """Fork into new namespaces; return 0 in the new process, its number in this one."""
    flags = sum(_NEW_SPACES[name] for name in spaces) | signal.SIGCHLD
    return _check(_libc.syscall(_CLONE, ctypes.c_ulong(flags), 0, 0, 0, 0), "clone")


def _as_guest(fd: int, order: dict[str, Any]) -> NoReturn:
    """Close this process in, and answer; it does not return."""
    try:
        _own_ids()
        _own_files(order)
        _own_limits(order)
        os.dup2(fd, 3)
        _check(_libc.syscall(_CLOSE_RANGE, 4, ctypes.c_uint(-1), 0), "close_range")
        _no_rights()
        _filtered(bytes.fromhex(order["filter"]))
        _send(3, b"closed in")  # said before foreign code runs, which could say it falsely
    except BaseException as error:
        _send(fd, _told(error).encode())
        os._exit(70)
    answer(3, order["longest"])
    os._exit(0)


def _own_ids() -> None:
    uid, gid = os.getuid(), os.getgid()
    for name, text in ("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), (
        "gid_map", f"{gid} {gid} 1",
    ):  # fmt: skip
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _mount(kind: bytes | None, where: bytes, flags: int, options: bytes = b"") -> None:
    _check(
        _libc.mount(kind, where, kind, ctypes.c_ulong(flags), options),
        f"mount {os.fsdecode(where)}",
    )


def _own_files(order: dict[str, Any]) -> None:
    _mount(None, b"/", _REC | _PRIVATE)
    size = f"size={order['disk']},nr_inodes={order['files']},mode=1777".encode()
    _mount(b"tmpfs", b"/tmp", _NOSUID | _NODEV | _NOEXEC, size)
    _mount(b"tmpfs", b"/proc", _READ_ONLY | _NOSUID | _NODEV | _NOEXEC, b"size=4k")
    os.chdir("/tmp")
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def _own_limits(order: dict[str, Any]) -> None:
    limits = {
        "AS": order["memory"], "DATA": order["memory"], "CPU": order["seconds"],
        "FSIZE": order["disk"], "NOFILE": 64, "NPROC": order.get("threads"), "CORE": 0,
        "MEMLOCK": 0, "MSGQUEUE": 0, "SIGPENDING": 64, "STACK": 8 << 20,
    }  # fmt: skip
    numbers = {"SIGPENDING": 11, "MSGQUEUE": 12}
    for name, most in limits.items():
        if most is not None:
            number: int = numbers[name] if name in numbers else getattr(resource, f"RLIMIT_{name}")
            resource.setrlimit(number, (most, most))


def _no_rights() -> None:
    # none can be had back: no new privileges are taken, and no other program is executed
    header, none = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    _check(_libc.syscall(_CAPSET, header, none), "capset")


def _filtered(program: bytes) -> None:
    """Take a seccomp filter: from here on, only calls that stand in it are made."""
    _check(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _check(_libc.syscall(_SECCOMP, 1, 0, head), "seccomp")


# ---- from here on foreign code runs


def answer(fd: int, longest: int) -> None:
    """Take a program and calls of it, one at a time, and say what each gives.

    Args:
        fd: of a stream socket.
        longest: bytes of a message.
    """
    program = types.ModuleType("program")
    while True:
        message = _received(fd)
        if message is None:
            return
        try:
            said = {"value": _done(program, message)}
        except BaseException as error:
            said = {"error": _told(error)}
        try:
            text = json.dumps(said).encode()
        except BaseException as error:
            text = json.dumps({"error": _told(error)}).encode()
        if len(text) > longest:
            text = json.dumps({"error": f"what it gives is longer than {longest} bytes"}).encode()
        _send(fd, text)


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


def _send(fd: int, text: bytes) -> None:
    data = struct.pack("!I", len(text)) + text
    while data:
        data = data[os.write(fd, data) :]


def _told(error: BaseException) -> str:
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


def _named(program: types.ModuleType, name: str) -> Any:
    """Return a function of the program, or a method of a class that takes no arguments."""
    first, _, method = name.partition(".")
    found = getattr(program, first, None)
    if found is None and hasattr(program, "Solution"):
        found, method = program.Solution, first
    if found is None:
        raise NameError(f"the program defines no {first}")
    return getattr(found(), method) if method else found


def _as_main(source: str, stdin: str) -> str:
    """Run a program from the beginning to its end; return what it wrote."""
    given, out = open(".in", "w+b"), open(".out", "w+b", buffering=0)
    given.write(stdin.encode())
    given.seek(0)
    os.dup2(given.fileno(), 0)
    os.dup2(out.fileno(), 1)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8")
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv = ["program.py"]
    try:
        exec(compile(source, "program.py", "exec"), main.__dict__)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
    sys.stdout.flush()
    out.seek(0)
    return out.read().decode("utf-8", "replace")


def _suite(program: types.ModuleType, source: str, function: str) -> str:
    """Run tests that are a program themselves; what they say is what the program lets them say."""
    exec(compile(source, "tests.py", "exec"), program.__dict__)
    tests = [test for name, test in list(vars(program).items()) if name.startswith("test_")]
    for test in tests:
        if callable(test):
            test()
    if callable(check := vars(program).get("check")) and function:
        check(_named(program, function))
    return "passed"


def _value(item: Any) -> Any:
    """Return the value that our notation writes."""
    if isinstance(item, list):
        return [_value(one) for one in item]
    if not isinstance(item, dict):
        return item
    if len(item) == 1 and (name := next(iter(item))).startswith("$"):
        inner = item[name]
        if name in ("$tuple", "$set", "$frozenset"):
            made = {"$tuple": tuple, "$set": set, "$frozenset": frozenset}[name]
            return made(_value(one) for one in inner)
        if name == "$map":
            return {_value(key): _value(one) for key, one in inner}
        if name == "$bytes":
            return bytes.fromhex(inner)
        if name == "$int":
            return int(inner, 16)
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
    if isinstance(value, bytes | bytearray):
        return {"$bytes": bytes(value).hex()}
    if isinstance(value, complex):
        return {"$complex": [_written(value.real, depth), _written(value.imag, depth)]}
    return {"$other": type(value).__name__}


def _bare() -> None:
    """Serve one program without namespaces: the recipe says in words that it is trusted."""
    order = json.loads(os.environ["GUEST"])
    _own_limits(order)
    os.chdir(order["folder"])
    os.dup2(order["channel"], 3)
    answer(3, order["longest"])


if __name__ == "__main__":
    if "GUEST" in os.environ:
        _bare()
    else:
        keep_warm(socket.socket(fileno=int(sys.argv[1])))
