"""Several processes scan parts of one log into one database of Postgres."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests_conduct_traffic import HASHES, LEVELS, Traffic
from tests_postgres import postgres

from mashbill.conduct.scan import known
from mashbill.conduct.scan.scanning import Scan
from mashbill.conduct.scan.state import State
from mashbill.core.errors import InputError

pytestmark = pytest.mark.slow

ONE_OF_TWO = """
import sys
from tests_conduct_traffic import HASHES, LEVELS, Batch, Traffic
from mashbill.conduct.events import batch_of
from mashbill.conduct.scan.scanning import Scan
from mashbill.conduct.scan.state import State
traffic = Traffic(3)
traffic.people(40, 3)
traffic.queue(20, 3)
traffic.batches()
part = int(sys.argv[2])
rows = traffic.rows[part::2]
state = State(sys.argv[1], {"key": HASHES.keyid})
scan = Scan(state, HASHES, LEVELS, f"log-{part}", "native", lambda held: None)
scan.take(Batch(batch_of(rows[at : at + 500]), {"at": at + 500}) for at in range(0, len(rows), 500))
scan.end()
"""


def made():
    traffic = Traffic(3)
    traffic.people(40, 3)
    traffic.queue(20, 3)
    return traffic


def kept(database, names):
    return (
        known.accounts(database, names),
        known.items(database, names),
        known.traits(database, names, "payment"),
        known.spans(database, names, 0, 1 << 40),
        {
            name: [(row.row, row.time, row.skeleton.tolist()) for row in rows]
            for name, rows in known.samples(database, names, "all").items()
        },
    )


def test_two_processes_that_share_a_state_keep_and_find_what_one_does(tmp_path):
    traffic = made()
    alone = State(tmp_path / "alone", {"key": HASHES.keyid})
    scan = Scan(alone, HASHES, LEVELS, "log", "native", lambda _: None)
    scan.take(traffic.batches())
    scan.end()
    names = {row["account"] for row in traffic.rows}
    with postgres() as url:
        tests = str(Path(__file__).resolve().parents[1])
        running = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    f"import sys; sys.path.insert(0, {tests!r})\n{ONE_OF_TWO}",
                    url,
                    part,
                ]
            )
            for part in "01"
        ]
        assert [one.wait(300) for one in running] == [0, 0]
        together = State(url, {"key": HASHES.keyid})
        assert kept(together.database, names) == kept(alone.database, names)
        found = together.database.run(
            "SELECT kind, tier, accounts FROM cases ORDER BY version DESC"
        )
        queue = sorted(name.hex() for name, who in traffic.names.items() if who.startswith("queue"))
        assert ("I", "act", " ".join(queue)) in found
        with pytest.raises(InputError, match="give it another --state"):
            State(url, {"key": "another"})
        together.database.close()


def test_an_address_of_nothing_is_told_without_its_password():
    with pytest.raises(InputError, match="cannot be opened") as told:
        State("postgresql://me:secret@127.0.0.1:1/nothing", {})
    assert "secret" not in str(told.value)
