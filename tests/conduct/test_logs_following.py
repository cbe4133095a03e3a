"""A log that is written while it is read: it grows, is renamed, cut, and gone for a while."""

import gzip
import json
import os
import threading
import time

import pytest

from mashbill.conduct.events import Hashes
from mashbill.conduct.logs.following import follow
from mashbill.conduct.logs.reading import open_log
from mashbill.core.errors import InputError

HASHES = Hashes(b"k" * 32)
PATIENCE = 30.0


def line(number):
    row = {"id": f"r{number}", "time": 1_782_907_200 + number, "account": "a", "text": f"t{number}"}
    return json.dumps(row).encode() + b"\n"


def lines(*numbers):
    return b"".join(map(line, numbers))


class Follower:
    """Follows a log in a thread of its own."""

    def __init__(self, path, position=None, form=None):
        self.stop = threading.Event()
        self.ids, self.told, self.batches, self.error = [], [], [], None
        log = open_log(path, HASHES, form=form)
        self._found = follow(log, self.stop, position=position, poll=0.02)
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            for batch in self._found:
                self.batches.append(batch)
                self.told += batch.told
                self.ids += batch.events["id"].to_pylist()
        except InputError as error:
            self.error = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def wait_for(self, *numbers):
        """Wait until these were read, and nothing else was."""
        wanted = [f"r{number}" for number in numbers]
        until = time.monotonic() + PATIENCE
        while self.ids != wanted and time.monotonic() < until:
            time.sleep(0.01)
        assert self.ids == wanted

    def wait_told(self, words):
        until = time.monotonic() + PATIENCE
        while not any(words in each for each in self.told) and time.monotonic() < until:
            time.sleep(0.01)
        assert any(words in each for each in self.told), self.told


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines(1, 2))
    return path


def test_what_is_written_is_read_and_half_a_line_waits_for_its_end(path):
    with Follower(path) as follower:
        follower.wait_for(1, 2)
        append(path, line(3) + line(4)[:10])
        follower.wait_for(1, 2, 3)
        append(path, line(4)[10:-1])
        time.sleep(0.1)
        assert len(follower.ids) == 3
        append(path, b"\nbad\n")
        follower.wait_for(1, 2, 3, 4)
    assert sum(batch.refused_count for batch in follower.batches) == 1
    assert not follower.told


def test_a_log_that_is_renamed_is_read_to_its_end_and_the_new_one_then(path):
    with Follower(path) as follower:
        follower.wait_for(1, 2)
        old = path.rename(path.with_name("log.jsonl.1"))
        append(old, line(3))
        time.sleep(0.1)  # there is no file of its name for a while
        path.write_bytes(line(5))
        append(old, line(4)[:-1])  # who writes the old one may not know yet, and end within a line
        follower.wait_for(1, 2, 3, 4, 5)
        append(path, line(6))
        follower.wait_for(1, 2, 3, 4, 5, 6)
        follower.wait_told("was renamed, and read to its end")


def test_a_log_that_is_cut_is_read_from_its_beginning(path):
    with Follower(path) as follower:
        follower.wait_for(1, 2)
        os.truncate(path, 0)
        append(path, line(7))
        follower.wait_for(1, 2, 7)
        follower.wait_told("was cut")


def test_a_log_that_is_cut_and_longer_than_before_is_seen_to_be_another(path):
    with Follower(path) as follower:
        follower.wait_for(1, 2)
        path.write_bytes(lines(11, 12, 13, 14))  # the same file, cut and filled in one go
        follower.wait_for(1, 2, 11, 12, 13, 14)
        follower.wait_told("was cut")


def test_following_goes_on_from_a_position(path):
    with Follower(path) as follower:
        follower.wait_for(1, 2)
    append(path, line(3))
    position = json.loads(json.dumps(follower.batches[-1].position))
    with Follower(path, position) as again:
        again.wait_for(3)
    assert not again.told


def test_a_log_that_was_renamed_while_nobody_followed_is_found(path):
    with Follower(path) as follower:
        follower.wait_for(1, 2)
    append(path, line(3))
    path.rename(path.with_name("log.jsonl.1"))
    path.write_bytes(line(4))
    with Follower(path, follower.batches[-1].position) as again:
        again.wait_for(3, 4)


def test_a_log_that_is_another_than_the_position_says_is_told_and_read_whole(path):
    with Follower(path) as follower:
        follower.wait_for(1, 2)
    path.unlink()
    path.write_bytes(lines(21, 22, 23))
    with Follower(path, follower.batches[-1].position) as again:
        again.wait_for(21, 22, 23)
    assert "is not the file of this position" in again.told[0]


def test_an_empty_log_is_waited_for(tmp_path):
    path = tmp_path / "log.jsonl"
    path.touch()
    with Follower(path) as follower:
        time.sleep(0.1)
        append(path, line(1)[:9])
        time.sleep(0.1)
        append(path, line(1)[9:])
        follower.wait_for(1)


def test_a_log_of_which_nothing_can_be_read_ends_the_following(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"bad\n" * 2_000)
    with Follower(path, form="native") as follower:
        follower._thread.join(PATIENCE)
        assert "none of the 1,000 rows" in str(follower.error)


def test_what_does_not_grow_is_not_followed(tmp_path):
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(line(1)))
    with pytest.raises(InputError, match="does not grow"):
        next(follow(open_log(path, HASHES), threading.Event()))
