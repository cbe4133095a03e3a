"""A server of Postgres of a test's own, on a socket of its own; ended by its process id."""

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def _found(program: str) -> str | None:
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(places[-1]) if places else shutil.which(program)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of a new, empty database."""
    initdb, server = _found("initdb"), _found("postgres")
    if initdb is None or server is None:
        pytest.skip("no postgres here: apt-get install postgresql")
    user = "postgres" if os.getuid() == 0 else getpass.getuser()  # it does not run as root
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if os.getuid() == 0:
        shutil.chown(folder, user)
    as_user = {"user": user} if os.getuid() == 0 else {}
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run(
        [initdb, "-D", str(data), "-U", user, "--auth=trust", "--no-sync"],
        check=True,
        **quiet,
        **as_user,
    )
    running = subprocess.Popen(
        [server, "-D", str(data), "-k", str(folder), "-c", "listen_addresses=", "-F"],
        **quiet,
        **as_user,
    )
    try:
        ready = _found("pg_isready") or "pg_isready"
        for _ in range(150):
            if subprocess.run([ready, "-h", str(folder), "-q", "-t", "1"], cwd="/").returncode == 0:
                break
            if running.poll() is not None:
                pytest.fail("postgres ended at once")
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.2)
        yield f"postgresql:///postgres?host={folder}&user={user}"
    finally:
        running.send_signal(signal.SIGINT)  # fast: it does not wait for clients
        running.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
