"""One opening of a journal is shared by the threads of a run."""

import threading

import pytest

from mashbill.calls.database import Database
from mashbill.core.errors import StoreError


def test_closing_waits_for_a_thread_that_is_at_it(tmp_path):
    journal = Database(tmp_path / "calls.sqlite", writable=True)
    is_in, may_go = threading.Event(), threading.Event()
    found = []

    def look(connection):
        is_in.set()
        may_go.wait(30)
        found.extend(connection.execute("SELECT 1").fetchall())

    threads = [
        threading.Thread(target=journal.write, args=[look]),
        threading.Thread(target=journal.close),
    ]
    threads[0].start()
    assert is_in.wait(30)
    threads[1].start()
    threads[1].join(0.05)
    assert threads[1].is_alive()
    may_go.set()
    for thread in threads:
        thread.join(30)
    assert found == [(1,)]
    with pytest.raises(StoreError, match="closed"):
        journal.read("SELECT 1")
