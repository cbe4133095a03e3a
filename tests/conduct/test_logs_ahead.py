"""Logs read ahead by another process: the same batches and errors, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys

import pyarrow as pa
import pytest

from mashbill.conduct.events import Hashes
from mashbill.conduct.logs import ahead as reading_ahead
from mashbill.conduct.logs.ahead import ahead, batches, is_worth_it
from mashbill.conduct.logs.gathering import Options
from mashbill.conduct.logs.reading import open_log
from mashbill.conduct.text.scoring import Scorer
from mashbill.core.errors import InputError

HASHES = Hashes(b"k" * 32)


def row(number, **said):
    return {"id": f"r{number}", "time": 1_782_907_200 + number, "account": f"a{number % 7}",
            "text": f"What is {number} and {number}, in the words of a child?", **said}  # fmt: skip


def written(path, *lines):
    data = b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines)
    path.write_bytes(data + b"\n")
    return path


@pytest.fixture(name="log")
def _log(tmp_path):
    odd = [b"no json", b'{"id": "x", "time": "\xff", "account": "a"}', b"", b'{"a": "\\udc80"}']
    strange = row(900, colour="red", tokens_in="many")
    return written(tmp_path / os.fsdecode(b"log-\xe9.jsonl"), *map(row, range(100)), *odd, strange,
                   *map(row, range(100, 250)))  # fmt: skip


@pytest.mark.parametrize("scorer", [None, Scorer.shipped()], ids=["bare", "scored"])
@pytest.mark.parametrize("begun", [0, 1])
def test_batches_are_the_same_as_read_here(log, scorer, begun):
    opened = open_log(log, HASHES, scorer=scorer)
    here = list(opened.batches(None, 60))
    assert len(here) > 3
    position = here[begun - 1].position if begun else None
    there = list(ahead(opened, position, 60))
    assert [one.events for one in there] == [one.events for one in here[begun:]]
    for one, other in zip(there, here[begun:], strict=True):
        for name in ("position", "refused", "refused_count", "passed", "half", "told"):
            assert getattr(one, name) == getattr(other, name), name
        assert dict(one.unknown) == dict(other.unknown)
        assert dict(one.left_out) == dict(other.left_out)
    assert sum(one.refused_count for one in there) == 3
    if scorer is not None:
        assert all(one.events.column("jailbreak").null_count == 0 for one in there)


def test_options_and_form_go_with_it(tmp_path):
    log = written(tmp_path / "log", row(1), row(2, text="x" * 500))
    opened = open_log(log, HASHES, form="native", options=Options(longest_line=300))
    (batch,) = ahead(opened)
    assert (batch.rows, batch.refused_count) == (1, 1)


@pytest.mark.parametrize("said", [b"no json", b'{"no": "row"}'])
def test_what_is_wrong_is_told_as_it_is_here(tmp_path, said):
    log = open_log(written(tmp_path / "log", *[said] * 5), HASHES, form="native")
    with pytest.raises(InputError) as here:
        list(log.batches())
    with pytest.raises(InputError) as there:
        list(ahead(log))
    assert str(here.value) == str(there.value)


def children():
    told = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    return [int(line.split()[0]) for line in told.splitlines() if "conduct.logs.ahead" in line]


def test_a_reader_that_is_killed_is_told(tmp_path):
    log = open_log(written(tmp_path / "log", *map(row, range(20_000))), HASHES)
    read = ahead(log, None, 100)
    next(read)
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(InputError, match="ended before it was done"):
        list(read)
    assert children() == []


def test_a_reader_that_is_not_wanted_any_more_ends(tmp_path):
    log = open_log(written(tmp_path / "log", *map(row, range(20_000))), HASHES)
    read = ahead(log, None, 100)
    next(read)
    assert len(children()) == 1
    read.close()
    assert children() == []


ASKING = """
import pathlib, subprocess, sys, time
from mashbill.conduct.events import Hashes
from mashbill.conduct.logs.ahead import ahead
from mashbill.conduct.logs.reading import open_log

begun = subprocess.Popen


def told(*given, **more):
    made = begun(*given, **more)
    print(made.pid, flush=True)
    return made


subprocess.Popen = told
read = ahead(open_log(pathlib.Path(sys.argv[1]), Hashes(b"k" * 32)), None, 100)
next(read)
print("read", flush=True)
time.sleep(60)
"""


def test_a_reader_ends_where_who_asked_was_killed(tmp_path):
    log = written(tmp_path / "log", *map(row, range(20_000)))
    program = subprocess.Popen(
        [sys.executable, "-c", ASKING, str(log)], stdout=subprocess.PIPE, text=True
    )
    child = int(program.stdout.readline())
    assert program.stdout.readline() == "read\n"
    program.kill()
    program.wait()
    for _ in range(100):
        if subprocess.run(["ps", "-p", str(child)], capture_output=True, check=False).returncode:
            break
        signal.sigtimedwait([], 0.1)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("the reader went on though nobody read")


def test_small_logs_and_other_models_are_read_here(tmp_path, monkeypatch):
    log = written(tmp_path / "log", *map(row, range(50)))
    monkeypatch.setattr(reading_ahead, "usable_cores", lambda: 2)
    assert not is_worth_it(open_log(log, HASHES))
    monkeypatch.setattr(reading_ahead, "LARGE", 100)
    assert is_worth_it(open_log(log, HASHES, scorer=Scorer.shipped()))

    class Other:
        def score(self, texts):
            return [[0.0] * len(texts)] * 2

    assert not is_worth_it(open_log(log, HASHES, scorer=Other()))
    monkeypatch.setattr(reading_ahead, "usable_cores", lambda: 1)
    opened = open_log(log, HASHES)
    assert not is_worth_it(opened)
    whole = pa.Table.from_batches([one.events for one in batches(opened)])
    assert whole.num_rows == 50
