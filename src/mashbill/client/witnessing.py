"""Asking a witness to sign a checkpoint (c2sp.org/tlog-witness).

One request says what the witness saw last, or is answered with it; a second proves that the ledger
goes on from there. What comes back is bounded, and counts only if it verifies under the witness's
key, which the user has from elsewhere.
"""

from __future__ import annotations

import base64
import contextlib
import re
import urllib.error
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mashbill.core import checkpoint as checkpoints
from mashbill.core.errors import AuditError, InputError
from mashbill.core.merkle import consistency, leaf
from mashbill.core.shown import shown
from mashbill.core.witness import seen_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.checkpoint import Checkpoint
    from mashbill.core.witness import WitnessKey

_SECONDS = 20
_MOST = 1 << 16  # bytes of an answer: a few signature lines
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,17})\n")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def cosign(
    lines: Sequence[bytes], note: Checkpoint, address: str, key: WitnessKey, since: int = 0
) -> Checkpoint:
    """Return a checkpoint with a witness's signature beside its own.

    Args:
        lines: of the ledger, without newlines; at least as many as the checkpoint counts.
        note: the checkpoint.
        address: the witness's submission prefix; https, or http on this machine.
        key: the witness's.
        since: entries that the witness is thought to have seen.

    Raises:
        InputError: if the address cannot be asked, or the witness does not know this ledger.
        AuditError: if the witness saw what this ledger does not go on from, or what it signed does
            not verify.
    """
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        msg = f"{shown(address)}: a witness is asked over https, or on this machine over http"
        raise InputError(msg)
    hashes = [leaf(line) for line in lines[: note.size]]
    status, answer = _asked(address, _body(hashes, note, since))
    seen = _SIZE.fullmatch(answer) if status == 409 else None
    if seen is not None:
        before = int(seen[1])
        if before > note.size:
            msg = (
                f"the witness {key.name} has seen {before} entries of this ledger, and it has "
                f"{note.size}: entries are gone; run `mashbill audit` with a checkpoint from before"
            )
            raise AuditError(msg)
        status, answer = _asked(address, _body(hashes, note, before))
    if status != 200:
        raise _refused(status, key)
    return _with(note, answer, key)


def _with(note: Checkpoint, answer: bytes, key: WitnessKey) -> Checkpoint:
    """Return the checkpoint with the line of an answer that is this witness's."""
    with contextlib.suppress(AuditError, UnicodeDecodeError):
        read = checkpoints.parse(f"{note.text}\n{answer.decode()}")
        own = [
            line
            for line in read.signatures
            if seen_at(replace(read, signatures=(line,)), key) is not None
        ]
        if own:
            return replace(note, signatures=(*note.signatures, own[0]))
    msg = f"the witness answered with no signature by {key.name}; its key may be another one"
    raise AuditError(msg)


def _body(hashes: Sequence[bytes], note: Checkpoint, since: int) -> bytes:
    proof = [base64.b64encode(part).decode() for part in consistency(hashes, since)]
    return "".join(f"{line}\n" for line in (f"old {since}", *proof, "", str(note)[:-1])).encode()


def _asked(address: str, body: bytes) -> tuple[int, bytes]:
    url = f"{address.rstrip('/')}/add-checkpoint"
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return int(answer.status), bytes(answer.read(_MOST))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, bytes(error.read(_MOST))
    except (OSError, ValueError) as error:
        msg = f"{shown(url)}: the witness cannot be asked: {error!s:.200}"
        raise InputError(msg) from error


def _refused(status: int, key: WitnessKey) -> InputError | AuditError:
    if status == 404:
        return InputError(f"the witness {key.name} does not know this ledger: its operator adds it")
    if status == 403:
        return InputError(
            f"the witness {key.name} does not know the key that signs for this ledger: its "
            "operator adds it"
        )
    if status == 422:
        return AuditError(
            f"the witness {key.name} saw a checkpoint that this ledger does not go on from: it was "
            "altered; run `mashbill audit` with a checkpoint from before"
        )
    return InputError(f"the witness {key.name} answered with status {status}; try again later")
