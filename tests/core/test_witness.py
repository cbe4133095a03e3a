"""Witnesses: proofs that a ledger goes on, a toy witness on loopback, and its signatures."""

import base64
import hashlib
import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_service import Service
from typer.testing import CliRunner

from mashbill import AuditError, InputError, Signer, Store
from mashbill.cli import app
from mashbill.client.witnessing import cosign
from mashbill.core import checkpoint
from mashbill.core.merkle import consistency, leaf, root
from mashbill.core.witness import WitnessKey, message, seen_at


def joined(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def goes_on(first, second, first_root, second_root, proof):
    """Verify a consistency proof as RFC 9162 section 2.1.4.2 does."""
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof
    path = list(proof)
    if not path:
        return False
    if first & (first - 1) == 0:
        path = [first_root, *path]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for part in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = joined(part, fr), joined(part, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = joined(sr, part)
        fn, sn = fn >> 1, sn >> 1
    return (fr, sr, sn) == (first_root, second_root, 0)


@law(200)
@given(st.integers(1, 70), st.data())
def test_a_tree_is_shown_to_go_on_from_each_that_it_was_and_from_no_other(size, data):
    leaves = [leaf(str(n).encode()) for n in range(size)]
    old = data.draw(st.integers(0, size))
    proof = consistency(leaves, old)
    assert len(proof) <= 63
    was, now = (bytes.fromhex(root(part)) for part in (leaves[:old], leaves))
    assert goes_on(old, size, was, now, proof)
    if 0 < old < size:
        other = bytes.fromhex(root([*leaves[: old - 1], leaf(b"another")]))
        assert not goes_on(old, size, other, now, proof)
    with pytest.raises(IndexError):
        consistency(leaves, size + 1)


pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


class Witness:
    """A witness of one ledger, as c2sp.org/tlog-witness has it."""

    def __init__(self, origin, log):
        self.key = Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes_raw()
        self.verifier = WitnessKey("witness.example/w1", public)
        self.origin, self.log = origin, log
        self.size, self.root, self.says = 0, b"", None

    def answer(self, request, path, data):
        assert path == "/add-checkpoint"
        if self.says is not None:
            request.reply(*self.says)
            return
        head, _, text = data.decode().partition("\n\n")
        old, *proof = head.split("\n")
        proof = [base64.b64decode(line) for line in proof]
        old = int(re.fullmatch("old (0|[1-9][0-9]*)", old)[1])
        note = checkpoint.parse(text)
        if note.origin != self.origin:
            request.reply(404, b"")
        elif note.signer({self.log.keyid: self.log.public}) is None:
            request.reply(403, b"")
        elif old != self.size:
            request.reply(409, f"{self.size}\n".encode(), "text/x.tlog.size")
        elif not goes_on(old, note.size, self.root, bytes.fromhex(note.root), proof):
            request.reply(422, b"")
        else:
            self.size, self.root = note.size, bytes.fromhex(note.root)
            request.reply(200, self.line(note).encode(), "text/plain")

    def line(self, note, at=1_700_000_000):
        raw = self.verifier.key_id + at.to_bytes(8, "big") + self.key.sign(message(note.text, at))
        other = base64.b64encode(b"\0" * 76).decode()
        return (
            f"— another.example {other}\n— {self.verifier.name} {base64.b64encode(raw).decode()}\n"
        )


@pytest.fixture
def watched(tmp_path):
    store = Store(tmp_path / "store", Signer.default())
    store.ledger.append("accept")
    first = (store.root / "ledger.jsonl").read_bytes().split(b"\n")[0]
    return store, Witness(checkpoint.origin_of(first), Signer.default())


def signed(store):
    return checkpoint.lines_of(store.root / "ledger.jsonl"), checkpoint.make(
        store.root / "ledger.jsonl", Signer.default()
    )


def test_a_witness_signs_what_goes_on_and_an_audit_demands_its_signature(watched, tmp_path):
    store, witness = watched
    key = str(witness.verifier)
    assert WitnessKey.parse(key) == witness.verifier
    call = CliRunner().invoke
    with Service(witness.answer) as service:
        for number in range(3):
            told = ["checkpoint", "--store", str(store.root), "--to", str(tmp_path / "note"),
                    "--witness", service.url, "--witness-key", key]  # fmt: skip
            done = call(app, told)
            assert done.exit_code == 0, done.output
            for _ in range(number + 1):
                store.ledger.append("accept")
        assert witness.size == 2 + 1 + 2
    note = checkpoint.parse((tmp_path / "note").read_text())
    assert seen_at(note, witness.verifier) == 1_700_000_000
    audit = ["audit", "--store", str(store.root), "--checkpoint", str(tmp_path / "note")]
    done = call(app, [*audit, "--witness-key", key])
    assert done.exit_code == 0, done.output
    assert "was seen by witness.example/w1: 2023-11-14" in done.output
    other = WitnessKey(witness.verifier.name, Signer(Ed25519PrivateKey.generate()).public)
    done = call(app, [*audit, "--witness-key", str(other)])
    assert isinstance(done.exception, AuditError)
    assert "bears no signature by witness.example/w1" in str(done.exception)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ("origin", InputError, "does not know this ledger"),
        ("log", InputError, "does not know the key"),
        ("root", AuditError, "does not go on from"),
        ("ahead", AuditError, "entries are gone"),
        ((200, b"nonsense"), AuditError, "no signature by"),
        ((200, "— witness.example/w1 AAAA\n".encode()), AuditError, "no signature by"),
        ((500, b""), InputError, "status 500"),
        ((409, b"x" * 100_000), InputError, "status 409"),
    ],
)
def test_what_a_witness_turns_down_is_told(watched, change, error, told):
    store, witness = watched
    lines, note = signed(store)
    if change == "origin":
        witness.origin = "another"
    elif change == "log":
        witness.log = Signer(Ed25519PrivateKey.generate())
    elif change == "root":
        witness.size, witness.root = 1, b"\0" * 32
    elif change == "ahead":
        witness.size = 99
    else:
        witness.says = change
    with Service(witness.answer) as service, pytest.raises(error, match=told):
        cosign(lines, note, service.url, witness.verifier)


@pytest.mark.parametrize("address", ["http://witness.example", "file:///etc/passwd", "", "ftp://x"])
def test_a_witness_is_asked_over_https_or_here(watched, address):
    with pytest.raises(InputError, match="over https"):
        cosign(*signed(watched[0]), address, watched[1].verifier)


@pytest.mark.parametrize("text", ["", "name", "n+00000000+AAAA", "n+zz+!!", json.dumps({}), "+"])
def test_what_is_no_key_of_a_witness_is_refused(text):
    with pytest.raises(InputError, match="is no key of a witness"):
        WitnessKey.parse(text)


def test_no_altered_signature_of_a_witness_is_taken(watched):
    _, note = signed(watched[0])
    read = checkpoint.parse(f"{note.text}\n{watched[1].line(note)}")
    name, raw = read.signatures[1]
    from dataclasses import replace

    for at in range(len(raw)):
        broken = bytes([*raw[:at], raw[at] ^ 1, *raw[at + 1 :]])
        altered = replace(read, signatures=((name, broken),))
        assert seen_at(altered, watched[1].verifier) is None
