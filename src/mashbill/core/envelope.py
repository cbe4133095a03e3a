"""A signed statement: a DSSE envelope (github.com/secure-systems-lab/dsse) in canonical JSON.

Around what is signed stand its type, the signer's key id and the signature, and nothing else: one
statement has one spelling.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mashbill.core.canonical import canonical
from mashbill.core.errors import AuditError
from mashbill.core.parsing import json_value

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


def pre_authentication(payload: bytes) -> bytes:
    """DSSE's PAE: what is signed, with lengths so that no two payloads can be confused."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def open_envelope(envelope: bytes, where: str) -> tuple[dict[str, Any], str]:
    """Return the statement in an envelope that holds its signer's own key, and the key's id.

    What it proves is that the holder of that key signed it; whose key it is, is known from
    elsewhere.

    Args:
        envelope: canonical JSON of a DSSE envelope, its predicate with ``public_key``.
        where: file, for errors.

    Raises:
        AuditError: if the signature does not hold, or it is no such envelope.
    """
    try:
        data = json_value(envelope, where, error=AuditError)
        payload = base64.b64decode(data["payload"], validate=True)
        statement = json_value(payload, where, error=AuditError)
        (signature,) = data["signatures"]
        public = bytes.fromhex(statement["predicate"]["public_key"])
        keyid = hashlib.sha256(public).hexdigest()
        raw = base64.b64decode(signature["sig"], validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(raw, pre_authentication(payload))
        # Nothing beside what was signed: no other spelling, payload type or key id.
        signed = envelope_of(payload, PAYLOAD_TYPE, keyid, raw)
        if signed != envelope or canonical(statement) != payload:
            msg = f"{where}: the envelope is not as it was signed"
            raise AuditError(msg)  # noqa: TRY301 - as every other thing that is wrong with it
    except InvalidSignature as error:
        msg = f"{where}: the signature does not match"
        raise AuditError(msg) from error
    except AuditError:
        raise
    except Exception as error:
        msg = f"{where}: not a signed statement ({error!r:.300})"
        raise AuditError(msg) from error
    return dict(statement), keyid


def envelope_of(payload: bytes, payload_type: str, keyid: str, signature: bytes) -> bytes:
    """Return a DSSE envelope in canonical JSON: these fields, and no other."""
    return canonical(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
        }
    )
