import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests_laws import law

from mashbill import AuditError, Signer
from mashbill.core import ledger as ledger_module
from mashbill.core.canonical import digest_bytes
from mashbill.core.ledger import GENESIS, Ledger, check_line


def problems(data):
    keys, previous, found = {}, GENESIS, []
    lines = data.split(b"\n")
    if lines[-1]:
        found.append((len(lines) - 1, "torn"))
    for index, line in enumerate(lines[:-1]):
        wrong = check_line(line, index, previous, keys)
        if wrong:
            found.append((index, wrong))
        previous = digest_bytes(line)
    return found


@pytest.fixture(scope="module")
def ledger_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    ledger = Ledger(path, Signer.default())
    for i in range(5):
        ledger.append("shard", {f"f{i}": "0" * 64}, number=i, text="ä")
    return path.read_bytes()


def test_an_untouched_ledger_holds(ledger_bytes):
    assert problems(ledger_bytes) == []


@law(400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_byte_changed_anywhere_is_found_at_its_entry(ledger_bytes, data):
    place = data.draw(st.integers(0, len(ledger_bytes) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != ledger_bytes[place]))
    altered = ledger_bytes[:place] + bytes([byte]) + ledger_bytes[place + 1 :]
    entry = ledger_bytes[:place].count(b"\n")
    found = problems(altered)
    assert found
    assert found[0][0] in {entry, entry - 1}


@pytest.mark.parametrize("order", [[0, 2, 1, 3, 4], [0, 1, 3, 4], [1, 2, 3, 4]])
def test_entries_moved_or_removed_are_found(ledger_bytes, order):
    lines = ledger_bytes.splitlines(keepends=True)
    assert problems(b"".join(lines[i] for i in order))


def test_a_line_torn_by_a_crash_is_cut_off_by_the_next_append(tmp_path, ledger_bytes):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(ledger_bytes[:-40])
    ledger = Ledger(path, Signer.default())
    assert len(ledger.entries) == 4
    ledger.append("shard", number=9)
    assert problems(path.read_bytes()) == []


def test_two_writers_chain_onto_each_other(tmp_path):
    path = tmp_path / "ledger.jsonl"
    one, two = Ledger(path, Signer.default()), Ledger(path, Signer.default())
    one.append("a")
    two.append("b")
    one.append("c")
    assert problems(path.read_bytes()) == []
    assert [entry.event for entry in Ledger(path).entries] == ["a", "b", "c"]


def test_a_ledger_opened_to_be_read_is_not_appended_to(tmp_path):
    with pytest.raises(AuditError, match="opened to be read"):
        Ledger(tmp_path / "ledger.jsonl").append("a")


def test_a_ledger_that_was_cut_while_it_was_held_is_not_appended_to(tmp_path, ledger_bytes):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(ledger_bytes)
    ledger = Ledger(path, Signer.default())
    cut = b"".join(ledger_bytes.splitlines(keepends=True)[:3])
    path.write_bytes(cut)
    with pytest.raises(AuditError, match="entries were removed"):
        ledger.append("shard", number=9)
    assert path.read_bytes() == cut


def test_an_append_reads_only_what_others_appended(tmp_path, ledger_bytes, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(ledger_bytes)
    ledger, other = Ledger(path, Signer.default()), Ledger(path, Signer.default())
    other.append("other")
    opened = []
    real = ledger_module.open_line
    monkeypatch.setattr(
        ledger_module, "open_line", lambda *line: opened.append(line[1]) or real(*line)
    )
    ledger.append("own")
    ledger.append("own")
    assert opened == [5, 6, 7]
    assert problems(path.read_bytes()) == []


def test_a_line_torn_by_another_process_is_cut_off_too(tmp_path, ledger_bytes):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(ledger_bytes)
    ledger = Ledger(path, Signer.default())
    with path.open("ab") as stream:
        stream.write(b'{"payload":"torn')
    ledger.append("shard", number=9)
    assert problems(path.read_bytes()) == []
    assert [entry.index for entry in Ledger(path).entries] == [0, 1, 2, 3, 4, 5]
