"""The ledger: an append-only file of signed entries, each carrying the digest of the one before.

A line is a DSSE envelope (:mod:`mashbill.core.envelope`) around an in-toto Statement v1. Its
subjects are files of the store by SHA-256; its predicate says what happened. A signer's first entry
introduces its public key.
"""

from __future__ import annotations

import base64
import datetime as dt
import fcntl
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.envelope import PAYLOAD_TYPE, STATEMENT_TYPE, envelope_of, pre_authentication
from mashbill.core.errors import AuditError
from mashbill.core.parsing import check_regular, foreign, json_value
from mashbill.core.removals import CLEAR, REMOVE
from mashbill.core.secret_file import make_once
from mashbill.core.signers import Signers, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

PREDICATE_TYPE = "urn:mashbill:entry:v1"
REMOVAL_TYPE = "urn:mashbill:removal:v1"
"""of entries by which something goes: see :mod:`mashbill.core.removals`"""
GENESIS = "0" * 64
"""What the first entry carries in place of a predecessor's digest."""


class Signer:
    """An Ed25519 key that signs entries; ``keyid`` is the SHA-256 of the raw public key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()
        self.keyid = hashlib.sha256(self.public).hexdigest()

    @classmethod
    def default(cls) -> Signer:
        """Return the user's key, made on first use.

        It lies in ``$MASHBILL_KEY_FILE``, else under ``$XDG_CONFIG_HOME`` or ``~/.config``; never
        in a store, which is there to be copied.
        """
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        path = Path(os.environ.get("MASHBILL_KEY_FILE") or config / "mashbill" / "key.pem")
        if path.exists():
            return cls._read(path)
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        if not make_once(path, pem):  # another run has won; its key is as good
            if not path.exists():
                msg = f"{path} is a link to nothing; remove it, or put the key where it leads"
                raise AuditError(msg)
            return cls._read(path)
        return cls(key)

    @classmethod
    def _read(cls, path: Path) -> Signer:
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except Exception as error:
            msg = f"{path} is not an unencrypted private key in PEM: {error}"
            raise AuditError(msg) from error
        if not isinstance(key, Ed25519PrivateKey):
            msg = f"{path} holds a {type(key).__name__}; an Ed25519 private key is needed"
            raise AuditError(msg)
        return cls(key)

    def sign(self, data: bytes) -> bytes:
        """Return the Ed25519 signature of bytes (64 bytes)."""
        return self._key.sign(data)

    def seal(self, statement: Mapping[str, Any]) -> bytes:
        """Return one ledger line (no newline) around a statement."""
        payload = canonical(dict(statement))
        signature = self._key.sign(pre_authentication(payload))
        return envelope_of(payload, PAYLOAD_TYPE, self.keyid, signature)


@dataclass(frozen=True)
class Entry:
    """One entry as read: its place, its predicate, its subjects and the digest of its line."""

    index: int
    predicate: dict[str, Any]
    subjects: dict[str, str]
    digest: str
    keyid: str

    @property
    def event(self) -> str:
        """What happened: open, signers, decide, start, shard, commit, abandon, conduct, remove."""
        return str(self.predicate["event"])

    def told(self, name: str) -> str:
        """Return a text that an entry of this event has.

        Raises:
            AuditError: if it has none: whoever signed it need not have been us.
        """
        value = self.predicate.get(name)
        if not isinstance(value, str):
            msg = (
                f"entry {self.index} of the ledger ({self.event}) has {value!r:.60} as its {name}; "
                "run `mashbill audit`"
            )
            raise AuditError(msg)
        return value


class Ledger:
    """The entries of one store, read on opening and appended to under a file lock."""

    def __init__(self, path: Path, signer: Signer | None = None) -> None:
        """Open the ledger at ``path``; without a signer it can only be read."""
        self.path = path
        self._signer = signer
        self._read_up_to = 0
        self._keys: dict[str, bytes] = {}
        self.entries: list[Entry] = []
        """all, by place"""
        self.broken: tuple[int, str] | None = None
        """the first entry that does not hold, and why: from there on none counts"""
        self.signers = Signers()
        """whose entries count"""
        self._counted: tuple[int, list[Entry], dict[str, list[Entry]]] | None = None
        check_regular(path)
        if path.exists():
            self._take(path.read_bytes())

    def _take(self, data: bytes) -> None:
        """Add the entries of what stands behind those that were read; a torn last line is not."""
        *lines, torn = data.split(b"\n")
        for line in lines:
            index = len(self.entries)
            previous = self.entries[-1].digest if self.entries else GENESIS
            self._add(open_line(line, index, self.path))
            wrong = check_line(line, index, previous, self._keys)
            if wrong is not None and self.broken is None:
                self.broken = index, wrong
        self._read_up_to += len(data) - len(torn)

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.signers.take(entry)

    def _count(self) -> tuple[list[Entry], dict[str, list[Entry]]]:
        if self._counted is None or self._counted[0] != len(self.entries):
            whole = self.entries[: self.broken[0]] if self.broken else self.entries
            self._counted = (len(self.entries), *counted(whole)[:2])
        return self._counted[1:]

    @property
    def accepted(self) -> list[Entry]:
        """The entries that count: whole, and by a signer of this ledger."""
        return self._count()[0]

    @property
    def strangers(self) -> dict[str, list[Entry]]:
        """The entries that do not count since their key is no signer's, by keyid."""
        return self._count()[1]

    def check_may_append(self) -> None:
        """Refuse to go on from a ledger that does not hold, or under a key that does not count.

        Raises:
            AuditError: saying what to do.
        """
        if self.broken is not None:
            index, wrong = self.broken
            msg = (
                f"{self.path}: entry {index} {wrong}; nothing is appended behind it: run "
                "`mashbill audit`, and go on from a copy that holds"
            )
            raise AuditError(msg)
        if self._signer is None or not self.entries:
            return
        if self._signer.keyid not in self.signers.active:
            msg = (
                f"{self.path}: your key {self._signer.keyid} is none of its signers "
                f"({', '.join(sorted(self.signers.active))}), so what it signed would count for "
                "nobody; let one of them run `mashbill signers add` with your key id, or use a "
                "store of your own"
            )
            raise AuditError(msg)

    def append(self, event: str, subjects: Mapping[str, str] | None = None, **facts: Any) -> Entry:
        """Sign and append one entry, and return it once it is on disk.

        A line torn by a crash is cut off first: it was never acknowledged, so nothing rests on it.

        Args:
            event: what happened.
            subjects: file path relative to the store -> SHA-256.
            facts: JSON values for the predicate.
        """
        if self._signer is None:
            msg = f"{self.path} was opened to be read; nothing may be appended"
            raise AuditError(msg)
        with self.path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            size = stream.seek(0, os.SEEK_END)
            if size < self._read_up_to:
                msg = (
                    f"{self.path} has {size} bytes and had {self._read_up_to}: entries were "
                    "removed while this run held them; nothing was appended, run `mashbill audit`"
                )
                raise AuditError(msg)
            # Only what other processes appended meanwhile is read, so that a run of thousands
            # of shards does not read the whole ledger for each.
            stream.seek(self._read_up_to)
            self._take(stream.read())
            self.check_may_append()
            if self._read_up_to < size:
                stream.truncate(self._read_up_to)
            index = len(self.entries)
            predicate: dict[str, Any] = {
                "event": event,
                "index": index,
                "previous": self.entries[-1].digest if self.entries else GENESIS,
                "at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
                **facts,
            }
            if self._signer.keyid not in self._keys:
                predicate["public_key"] = self._signer.public.hex()
            line = self._signer.seal(
                {
                    "_type": STATEMENT_TYPE,
                    "subject": [
                        {"name": name, "digest": {"sha256": sha256}}
                        for name, sha256 in sorted((subjects or {}).items())
                    ],
                    "predicateType": type_of(event),
                    "predicate": predicate,
                }
            )
            stream.write(line + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        entry = open_line(line, index, self.path)
        self._add(entry)
        self._keys[entry.keyid] = self._signer.public
        self._read_up_to += len(line) + 1
        return entry


def type_of(event: str) -> str:
    """Return the predicate type of an entry of an event."""
    return REMOVAL_TYPE if event in (REMOVE, CLEAR) else PREDICATE_TYPE


def open_line(line: bytes, index: int, path: Path) -> Entry:
    """Read one line without checking its signature.

    Raises:
        AuditError: naming the file and entry, if the line is not an entry.
    """
    where = f"{path}: entry {index}"
    with foreign(where, "an entry", error=AuditError, remedy="run `mashbill audit`"):
        envelope = json_value(line, where, error=AuditError)
        payload = base64.b64decode(envelope["payload"], validate=True)
        statement = json_value(payload, where, error=AuditError)
        predicate = dict(statement["predicate"])
        subjects = {item["name"]: item["digest"]["sha256"] for item in statement["subject"]}
        if len(subjects) < len(statement["subject"]):
            msg = "it names a file twice"
            raise ValueError(msg)
        keyid = envelope["signatures"][0]["keyid"]
        wanted = {"event": predicate.get("event"), "keyid": keyid, "at": predicate.get("at")}
        wanted |= {f"subject {name}": sha256 for name, sha256 in subjects.items()}
        for name, value in wanted.items():
            if not isinstance(value, str):
                msg = f"{name} is {value!r:.60}, not a text"
                raise TypeError(msg)
        return Entry(index, predicate, subjects, digest_bytes(line), keyid)


def _plain(statement: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement with the fields that an entry's has, and no other."""
    return {
        "_type": statement["_type"],
        "subject": [
            {"name": item["name"], "digest": {"sha256": item["digest"]["sha256"]}}
            for item in statement["subject"]
        ],
        "predicateType": statement["predicateType"],
        "predicate": statement["predicate"],
    }


def check_line(line: bytes, index: int, previous: str, keys: dict[str, bytes]) -> str | None:
    """Check one line against its place, its predecessor, its signature and its own encoding.

    Args:
        line: bytes without the newline.
        index: the place it stands in.
        previous: digest of the line before, or :data:`GENESIS`.
        keys: keyid -> raw public key of the signers introduced so far; a new one is added.

    Returns:
        What is wrong, or None.
    """
    try:
        envelope = json_value(line, index)
        payload = base64.b64decode(envelope["payload"], validate=True)
        statement = json_value(payload, index)
        predicate = statement["predicate"]
        (signature,) = envelope["signatures"]
        keyid, raw = signature["keyid"], base64.b64decode(signature["sig"], validate=True)
        # Re-encoding catches every spelling that decodes alike: spaces, base64 padding bits. What
        # is encoded again has the fields of an entry alone, so that nothing unsigned stands beside.
        if envelope_of(payload, envelope["payloadType"], keyid, raw) != line:
            return "is not in canonical form, or has fields beside those that are signed"
        if canonical(_plain(statement)) != payload:
            return "is not in canonical form, or says more than an entry does"
        if "public_key" in predicate and keyid not in keys:
            public = bytes.fromhex(predicate["public_key"])
            if hashlib.sha256(public).hexdigest() != keyid:
                return "introduces a key that is not its signer's"
            keys[keyid] = public
        if keyid not in keys:
            return f"is signed by {keyid[:12]}, which no entry introduced"
        Ed25519PublicKey.from_public_bytes(keys[keyid]).verify(raw, pre_authentication(payload))
        kinds = envelope["payloadType"], statement["_type"], statement["predicateType"]
        if kinds != (PAYLOAD_TYPE, STATEMENT_TYPE, type_of(predicate["event"])):
            return "is not an in-toto statement about a ledger"
        if predicate["index"] != index:
            return f"says that it is entry {predicate['index']}: entries were moved or removed"
        if predicate["previous"] != previous:
            return "does not carry the digest of the entry before it"
    except InvalidSignature:
        return "has a signature that does not match"
    except Exception as error:  # noqa: BLE001 - whatever tampering makes it raise is the finding
        return f"is not an entry: it was altered ({type(error).__name__})"
    return None
