import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill import AuditError, Signer
from mashbill.core import checkpoint
from mashbill.core.ledger import Ledger
from mashbill.core.merkle import leaf, root


def new_signer():
    return Signer(Ed25519PrivateKey.generate())


def write(folder, signer, entries=6):
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(folder / "ledger.jsonl", signer)
    for number in range(entries):
        ledger.append("shard", number=number)
    return ledger


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MASHBILL_CHECKPOINTS", str(tmp_path / "kept"))
    return tmp_path / "store"


def lines_and_keys(folder):
    lines = checkpoint.lines_of(folder / "ledger.jsonl")
    return lines, checkpoint.keys_in(lines, folder / "ledger.jsonl")


def test_a_checkpoint_is_a_signed_note_as_c2sp_writes_it(folder):
    signer = new_signer()
    write(folder, signer)
    lines, _ = lines_and_keys(folder)
    made = checkpoint.make(folder / "ledger.jsonl", signer)
    origin, size, encoded, blank, signature, end = str(made).split("\n")
    assert (size, blank, end) == ("6", "", "")
    assert origin.startswith("mashbill/")
    assert len(origin) == len("mashbill/") + 16
    assert base64.b64decode(encoded).hex() == root([leaf(line) for line in lines])
    dash, name, raw = signature.split(" ")
    assert (dash, name) == ("—", origin)
    assert len(base64.b64decode(raw)) == 4 + 64
    assert checkpoint.parse(str(made)) == made


def test_a_note_signed_by_go_s_own_package_is_read_alike():
    # The example of golang.org/x/mod/sumdb/note, of which the specification grew.
    _, key_id, encoded = [
        "PeterNeumann",
        "c74f20a3",
        "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ]
    public = base64.b64decode(encoded)[1:]
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    signature = base64.b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert checkpoint._key_id("PeterNeumann", public).hex() == key_id
    note = checkpoint.Checkpoint("", 0, "", text, (("PeterNeumann", signature),))
    assert note.signer({"other": bytes(32), "his": public}) == "his"


def test_a_ledger_that_has_grown_holds(folder):
    signer = new_signer()
    ledger = write(folder, signer)
    made = checkpoint.make(folder / "ledger.jsonl", signer)
    ledger.append("shard", number=99)
    assert checkpoint.check(made, *lines_and_keys(folder)) is None


@pytest.mark.parametrize("left", range(6))
def test_a_removed_tail_is_told_from_its_first_entry_on(folder, left):
    signer = new_signer()
    write(folder, signer)
    made = checkpoint.make(folder / "ledger.jsonl", signer)
    lines, keys = lines_and_keys(folder)
    broken = checkpoint.check(made, lines[:left], keys)
    assert broken.entry == left
    assert str(6 - left) in broken.what


def test_lines_altered_and_signed_again_are_found(folder):
    signer = new_signer()
    write(folder, signer)
    made = checkpoint.make(folder / "ledger.jsonl", signer)
    lines, _ = lines_and_keys(folder)
    (folder / "ledger.jsonl").write_bytes(lines[0] + b"\n")
    again = Ledger(folder / "ledger.jsonl", signer)
    for number in range(8):
        again.append("shard", number=number + 100)
    broken = checkpoint.check(made, *lines_and_keys(folder))
    assert "before entry 6 was altered" in broken.what


def test_a_checkpoint_by_a_key_that_the_ledger_does_not_introduce_is_refused(folder):
    signer, stranger = new_signer(), new_signer()
    write(folder, signer)
    lines, keys = lines_and_keys(folder)
    forged = checkpoint.make(folder / "ledger.jsonl", stranger)
    assert "not signed" in checkpoint.check(forged, lines, keys).what
    own = checkpoint.make(folder / "ledger.jsonl", signer)
    assert checkpoint.check(own, lines, keys, signer.keyid) is None
    assert "not signed" in checkpoint.check(own, lines, keys, stranger.keyid).what


def test_a_witness_s_line_beside_the_ledger_s_is_passed_over(folder):
    signer = new_signer()
    write(folder, signer)
    made = checkpoint.make(folder / "ledger.jsonl", signer)
    note = checkpoint.parse(f"{made}— witness.example/w1 {base64.b64encode(bytes(76)).decode()}\n")
    assert checkpoint.check(note, *lines_and_keys(folder)) is None


@law(300)
@given(data=st.data())
def test_a_note_with_one_character_changed_does_not_hold(tmp_path_factory, data):
    folder, signer = tmp_path_factory.mktemp("note"), Signer.default()
    write(folder, signer, entries=2)
    note = str(checkpoint.make(folder / "ledger.jsonl", signer))
    place = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != note[place]))
    try:
        read = checkpoint.parse(note[:place] + other + note[place + 1 :])
    except AuditError:
        return
    assert checkpoint.check(read, *lines_and_keys(folder)) is not None


def test_the_newest_checkpoint_is_kept_outside_of_the_store(folder, tmp_path):
    signer = new_signer()
    ledger = write(folder, signer)
    assert checkpoint.kept(folder) is None
    assert checkpoint.keep(folder, signer).size == 6
    ledger.append("shard", number=99)
    assert checkpoint.keep(folder, signer).size == 7
    assert checkpoint.kept(folder).size == 7
    notes = list((tmp_path / "kept").iterdir())
    assert {checkpoint.parse(note.read_text()).size for note in notes} == {7}
    assert not any(path.suffix == ".note" for path in folder.rglob("*"))


def test_a_checkpoint_that_shows_a_removal_is_not_replaced(folder):
    signer = new_signer()
    write(folder, signer)
    checkpoint.keep(folder, signer)
    lines, _ = lines_and_keys(folder)
    (folder / "ledger.jsonl").write_bytes(b"\n".join(lines[:4]) + b"\n")
    Ledger(folder / "ledger.jsonl", signer).append("shard", number=7)
    with pytest.raises(AuditError, match="gone from entry 5 on"):
        checkpoint.keep(folder, signer)
    assert checkpoint.kept(folder).size == 6


def test_a_ledger_replaced_whole_is_found_by_its_place(folder):
    signer, stranger = new_signer(), new_signer()
    write(folder, signer)
    checkpoint.keep(folder, signer)
    (folder / "ledger.jsonl").unlink()
    assert checkpoint.kept(folder).size == 6
    write(folder, stranger)
    broken = checkpoint.check(checkpoint.kept(folder), *lines_and_keys(folder))
    assert "replaced by another ledger" in broken.what


def test_a_signer_without_an_entry_keeps_nothing(folder):
    write(folder, new_signer())
    assert checkpoint.keep(folder, new_signer()) is None
    assert checkpoint.kept(folder) is None


def test_a_damaged_kept_note_is_named(folder, tmp_path):
    signer = new_signer()
    write(folder, signer)
    checkpoint.keep(folder, signer)
    for note in (tmp_path / "kept").iterdir():
        note.write_text("nothing\n")
    with pytest.raises(AuditError, match=r"\.note"):
        checkpoint.kept(folder)
    with pytest.raises(AuditError, match=r"\.note"):
        checkpoint.keep(folder, signer)
