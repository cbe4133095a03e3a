"""Signed checkpoints: how long a ledger was once, and what stood in it.

A chain of digests shows what was altered in the middle, and cannot show that its end is gone. A
checkpoint kept elsewhere can. It is a signed note (c2sp.org/signed-note) whose text is that of a
transparency log's checkpoint (c2sp.org/tlog-checkpoint), with the ledger's lines, without their
newlines, as the leaves of an RFC 6962 tree::

    mashbill/<first 16 hexadecimal digits of the SHA-256 of the first line>
    <entries>
    <base64 of the root>

    — mashbill/<the same> <base64 of 4 bytes of key ID and 64 of Ed25519 signature>

So any checker of such notes reads it, and witnesses may add lines of their own, which are passed
over here. Who signs with an identity rather than a key signs the note's file as a blob by
sigstore's own tool (``cosign sign-blob``) and keeps both.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import AuditError
from mashbill.core.ledger import open_line
from mashbill.core.merkle import leaf, root
from mashbill.core.parsing import check_regular, read_text
from mashbill.core.store import LEDGER, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.ledger import Signer

_ED25519 = b"\x01"
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+=*)\n")
_NOTE = re.compile(
    r"([^\s+]+)\n([1-9][0-9]{0,17})\n([A-Za-z0-9+/]{43}=)\n"
    r"\n((?:— [^\s+]+ [A-Za-z0-9+/]+=*\n)+)"
)


@dataclass(frozen=True)
class Checkpoint:
    """One note as it was read. Nothing in it is to be believed before :func:`check`."""

    origin: str
    """which ledger it speaks of"""
    size: int
    """entries"""
    root: str
    """root over the lines of those entries, in hexadecimal"""
    text: str
    """what is signed"""
    signatures: tuple[tuple[str, bytes], ...]
    """(key name, key ID and signature) of each signature line"""

    def __str__(self) -> str:
        """Write the note."""
        lines = "".join(
            f"— {name} {base64.b64encode(raw).decode()}\n" for name, raw in self.signatures
        )
        return f"{self.text}\n{lines}"

    def signer(self, keys: Mapping[str, bytes]) -> str | None:
        """Return the keyid of the first of these keys that signed the note, None if none did.

        Args:
            keys: keyid -> raw public key.
        """
        for name, raw in self.signatures:
            for keyid, public in keys.items():
                if raw[:4] != _key_id(name, public):
                    continue
                try:
                    Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], self.text.encode())
                except (InvalidSignature, ValueError):
                    continue
                return keyid
        return None


@dataclass(frozen=True)
class Broken:
    """What does not hold of a ledger, going by a checkpoint."""

    entry: int | None
    """from which entry on; None if the checkpoint itself is what does not hold"""
    what: str


def _key_id(name: str, public: bytes) -> bytes:
    """Return a key's ID in a signed note (4 bytes)."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _text(origin: str, size: int, found: str) -> str:
    return f"{origin}\n{size}\n{base64.b64encode(bytes.fromhex(found)).decode()}\n"


def origin_of(first: bytes) -> str:
    """Return the origin of the ledger whose first line this is (no newline)."""
    return f"mashbill/{digest_bytes(first)[:16]}"


def lines_of(ledger_path: Path) -> list[bytes]:
    """Return the whole lines of a ledger, without newlines; a torn last one is left out.

    Raises:
        AuditError: if there is none.
    """
    check_regular(ledger_path)
    lines = ledger_path.read_bytes().split(b"\n")[:-1] if ledger_path.exists() else []
    if not lines:
        msg = f"{ledger_path} has no entries, so there is nothing to make a checkpoint of"
        raise AuditError(msg)
    return lines


def keys_in(lines: Sequence[bytes], path: Path) -> dict[str, bytes]:
    """Return keyid -> raw public key of the signers that these lines introduce.

    Whether an entry holds is not checked, only that the keyid is the key's.

    Raises:
        AuditError: if a line is no entry.
    """
    keys = {}
    for index, line in enumerate(lines):
        entry = open_line(line, index, path)
        public = entry.predicate.get("public_key")
        if isinstance(public, str) and entry.keyid not in keys:
            try:
                raw = bytes.fromhex(public)
            except ValueError:
                continue
            if hashlib.sha256(raw).hexdigest() == entry.keyid:
                keys[entry.keyid] = raw
    return keys


def make(ledger_path: Path, signer: Signer) -> Checkpoint:
    """Return a checkpoint of a ledger as it is now.

    Raises:
        AuditError: if the ledger has no entries.
    """
    return sign(lines_of(ledger_path), signer)


def sign(lines: Sequence[bytes], signer: Signer) -> Checkpoint:
    """Return a checkpoint of these lines (at least one, without newlines)."""
    origin = origin_of(lines[0])
    found = root([leaf(line) for line in lines])
    text = _text(origin, len(lines), found)
    raw = _key_id(origin, signer.public) + signer.sign(text.encode())
    return Checkpoint(origin, len(lines), found, text, ((origin, raw),))


def parse(text: str) -> Checkpoint:
    """Read a note.

    Raises:
        AuditError: if it is not a checkpoint, or not written as one is.
    """
    match = _NOTE.fullmatch(text)
    read = None
    if match is not None:
        with contextlib.suppress(binascii.Error):
            signatures = tuple(
                (name, base64.b64decode(raw, validate=True))
                for name, raw in _SIGNATURE.findall(match[4])
            )
            found = base64.b64decode(match[3], validate=True).hex()
            signed = text[: match.end(3) + 1]
            read = Checkpoint(match[1], int(match[2]), found, signed, signatures)
    # Base64 has spellings that decode alike; a note has one.
    if read is None or str(read) != text or _text(read.origin, read.size, read.root) != read.text:
        msg = (
            f"not a checkpoint of a ledger: {text[:60]!r}; it is three lines, an empty one and "
            "the signatures (c2sp.org/tlog-checkpoint)"
        )
        raise AuditError(msg)
    return read


def check(
    checkpoint: Checkpoint,
    lines: Sequence[bytes],
    keys: Mapping[str, bytes],
    signer: str | None = None,
) -> Broken | None:
    """Say what does not hold of a ledger, going by a checkpoint of it; None if all does.

    A ledger that has grown since holds.

    Args:
        checkpoint: the note.
        lines: of the ledger, without newlines.
        keys: keyid -> raw public key of the signers that the ledger introduces.
        signer: keyid that must have signed it; any of ``keys`` if None.
    """
    gone = checkpoint.size - len(lines)
    if not lines:
        return Broken(0, f"all {gone} entries that a checkpoint counted are gone")
    if checkpoint.origin != origin_of(lines[0]):
        return Broken(
            0,
            f"begins with another entry than the ledger of {checkpoint.size} entries whose "
            f"checkpoint ({checkpoint.origin}) was kept: it was replaced by another ledger",
        )
    known = {keyid: key for keyid, key in keys.items() if signer in {None, keyid}}
    if checkpoint.signer(known) is None:
        whom = f"by {signer}" if signer else "by a key that this ledger introduces"
        return Broken(None, f"a checkpoint of {checkpoint.size} entries is not signed {whom}")
    if gone > 0:
        ends = f"{gone} entry is" if gone == 1 else f"{gone} entries are"
        return Broken(
            len(lines),
            f"{ends} gone from entry {len(lines)} on: a checkpoint counted {checkpoint.size}",
        )
    if root([leaf(line) for line in lines[: checkpoint.size]]) != checkpoint.root:
        return Broken(
            0,
            f"what stood before entry {checkpoint.size} was altered: it is not what a checkpoint "
            f"of {checkpoint.size} entries was made of",
        )
    return None


def _folder() -> Path:
    """Return where checkpoints are kept: outside of every store, which may be copied or lost."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return Path(os.environ.get("MASHBILL_CHECKPOINTS") or state / "mashbill" / "checkpoints")


def _by_origin(origin: str) -> Path:
    return _folder() / f"{origin.removeprefix('mashbill/')}.note"


def _by_place(store_root: Path) -> Path:
    """Return the note of the ledger that stood here last.

    A ledger written anew from its first line on has another origin; only the place still says
    that there was one.
    """
    return _folder() / f"at-{digest_bytes(str(store_root.resolve()).encode())[:16]}.note"


def _read(note: Path) -> Checkpoint:
    try:
        return parse(read_text(note, error=AuditError))
    except AuditError as error:
        msg = f"{note}: {error}; delete the file if it was damaged by accident"
        raise AuditError(msg) from error


def keep(store_root: Path, signer: Signer) -> Checkpoint | None:
    """Make a checkpoint of a store's ledger and keep it, in place of the one kept before.

    Kept are two copies in ``$MASHBILL_CHECKPOINTS``, else ``$XDG_STATE_HOME/mashbill/checkpoints``
    or ``~/.local/state/mashbill/checkpoints``: by the ledger's origin, and by where it stands.

    Returns:
        The checkpoint; None if this signer has no entry in the ledger, so that nobody could check
        what it signs.

    Raises:
        AuditError: if the ledger has no entries, or no longer holds what the checkpoint kept
            before says of it: that one is evidence, and is not replaced.
    """
    path = store_root / LEDGER
    note = _by_origin(origin_of(lines_of(path)[0]))
    # The note before the ledger: a run beside this one may add to both.
    before = _read(note) if note.exists() else None
    lines = lines_of(path)
    keys = keys_in(lines, path)
    if signer.keyid not in keys:
        return None
    if before is not None:
        broken = check(before, lines, keys)
        if broken is not None:
            msg = f"{path}: {broken.what}; the checkpoint that shows it was left in {note}"
            raise AuditError(msg)
    made = sign(lines, signer)
    note.parent.mkdir(parents=True, exist_ok=True)
    for target in (note, _by_place(store_root)):
        write_atomically(target, str(made).encode())
    return made


def kept(store_root: Path) -> Checkpoint | None:
    """Return the newest checkpoint kept of a store's ledger, or None.

    If none is kept of the ledger that stands there, but one of another that stood in its place,
    it is that one: :func:`check` then says that the ledger was replaced.

    Raises:
        AuditError: if the kept file is not a checkpoint.
    """
    path = store_root / LEDGER
    lines = path.read_bytes().split(b"\n", 1) if path.exists() else []
    notes = [_by_place(store_root)]
    if len(lines) > 1:
        notes.insert(0, _by_origin(origin_of(lines[0])))
    for note in notes:
        if note.exists():
            return _read(note)
    return None
