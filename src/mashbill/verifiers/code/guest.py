"""What runs inside of the sandbox: a process that starts others, each of which answers tests.

This file is handed to a bare interpreter as text (``python -S -s``), joined to
:mod:`.answering`, so it imports the standard library alone and of this package no more than that.
:func:`keep_warm` never runs foreign code. It waits for orders on a socket; each order is one new
process with namespaces of its own, forked from this one, whose interpreter is warm.

Messages are JSON behind their length (four bytes, network order).

Sources: namespaces(7), user_namespaces(7), clone(2), seccomp(2), capabilities(7) of the Linux
man-pages project.
"""

import ctypes
import gc
import json
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, NoReturn

from mashbill.verifiers.code.answering import answer, lend, send, told

_NEW_SPACES = {
    "mount": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000,
    "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000,
}  # fmt: skip
_CLONE, _CAPSET, _SECCOMP, _CLOSE_RANGE = 56, 126, 317, 436  # x86-64; others are refused outside
_REC, _PRIVATE, _READ_ONLY, _NOSUID, _NODEV, _NOEXEC = 0x4000, 0x40000, 1, 2, 4, 8
_NO_NEW_PRIVS = 38
_ORDER = 1 << 18
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
    lend()
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
    """Return for how many seconds a process ran, and its first thread waited for a core.

    Threads that have ended count, too: else one after the other runs for nothing. The clock of a
    process of another number is in clock_getcpuclockid(3), as Linux makes its number.
    """
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            waited = int(file.read().split()[1]) / 1e9
        return {"ran": time.clock_gettime(~pid << 3 | 2), "waited": waited}
    except (OSError, ValueError):
        return {"ran": None, "waited": None}


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
        send(3, b"closed in")  # said before foreign code runs, which could say it falsely
    except BaseException as error:
        send(fd, told(error).encode())
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
        "MEMLOCK": 0, "MSGQUEUE": 0, "SIGPENDING": 64,
    }  # fmt: skip
    numbers = {"SIGPENDING": 11, "MSGQUEUE": 12}
    for name, most in limits.items():
        if most is not None:
            number: int = numbers[name] if name in numbers else getattr(resource, f"RLIMIT_{name}")
            resource.setrlimit(number, (most, most))
    # the stack is memory like any other, and programs that recurse deeply raise this limit
    most = resource.getrlimit(resource.RLIMIT_STACK)[1]
    stack = order["memory"] if most < 0 else min(order["memory"], most)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, most))


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


def _bare() -> None:
    """Serve one program without namespaces: the recipe says in words that it is trusted."""
    order = json.loads(os.environ["GUEST"])
    lend()
    _own_limits(order)
    os.chdir(order["folder"])
    os.dup2(order["channel"], 3)
    _check(_libc.syscall(_CLOSE_RANGE, 4, ctypes.c_uint(-1), 0), "close_range")
    answer(3, order["longest"])


if __name__ == "__main__":
    if "GUEST" in os.environ:
        _bare()
    else:
        keep_warm(socket.socket(fileno=int(sys.argv[1])))
