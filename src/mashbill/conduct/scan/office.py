"""The folder of a scan: its key, its state, the cases that it made, and the ledger that signs them.

    FOLDER/
      hashes.key      by which accounts and prompts are hashed; whoever has it can look texts up
      state.sqlite    what is known (or a database of Postgres, which several folders may share)
      cases/          a file a finding: ID.1.json, and ID.2.json when it reached a higher tier
      ledger.jsonl    an entry a case, with its digest, each with the digest of the one before

A case is in the state first. Its file and its entry follow, and are made good for if a scan was
killed between the two, so there is each case once, and its entry once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.conduct.events import Hashes, key_of
from mashbill.core.ledger import Ledger, Signer
from mashbill.core.store import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.conduct.scan.database import Database

KEY, STATE, CASES, LEDGER = "hashes.key", "state.sqlite", "cases", "ledger.jsonl"


@dataclass(frozen=True)
class Office:
    """A folder of a scan."""

    root: Path

    @classmethod
    def at(cls, root: Path) -> Office:
        """Return the folder, made if it is not there."""
        (root / CASES).mkdir(parents=True, exist_ok=True)
        return cls(root)

    def hashes(self, key: Path | None = None, *, make: bool = True) -> Hashes:
        """Return the hashes of its key, made on first use, or of another file's.

        Raises:
            InputError: if there is none, and none may be made.
        """
        return key_of(key or self.root / KEY, make=make and key is None)

    @property
    def state(self) -> Path:
        """Return where its state lies, if not in a database of its own."""
        return self.root / STATE

    def publish(self, database: Database, signer: Signer) -> list[Path]:
        """Write and sign the cases that have no entry yet; return their files.

        Raises:
            AuditError: if the ledger does not hold, or counts other signers.
        """
        ledger = Ledger(self.root / LEDGER, signer)
        signed = {
            (name, digest) for entry in ledger.accepted for name, digest in entry.subjects.items()
        }
        made = []
        for name, version, found, kind, tier, accounts, body in database.run(
            "SELECT * FROM cases ORDER BY found, id, version"
        ):
            data = body.encode()
            file = f"{CASES}/{name}.{version}.json"
            digest = hashlib.sha256(data).hexdigest()
            path = self.root / file
            if not path.exists() or path.read_bytes() != data:
                write_atomically(path, data)
            if (file, digest) not in signed:
                ledger.append(
                    "case",
                    {file: digest},
                    case=name,
                    found=found,
                    finding=kind,
                    tier=tier,
                    accounts=len(accounts.split()),
                )
                made.append(path)
        return made
