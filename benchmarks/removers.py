"""What is done to removals on record: by a stranger who can write, by an insider with the key.

Each kind first removes an artifact as its owner would, which an audit tells and does not mind.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from mashbill.core.canonical import canonical
from mashbill.core.ledger import Ledger
from mashbill.core.removals import REMOVE
from mashbill.core.store import LEDGER, MANIFEST, NODES, Store
from mashbill.run.removing import look, remove

if TYPE_CHECKING:
    import random
    from pathlib import Path
    from typing import Any

    from mashbill.core.ledger import Signer

_NAMES = ("both", "first", "rest", "applied", "student")


class Removers:
    """Kinds of tampering with what was removed."""

    draw: random.Random
    store: Path
    whole: dict[str, bytes]
    signer: Signer
    way: str

    def gone(self) -> tuple[str, list[str]]:
        """Remove an artifact as its owner would; return its folder, and the files that went."""
        self.way = "by an entry"
        name, cache = self.draw.choice(_NAMES), self.store.parent / "outside-cache"
        store = Store(self.store)
        going = look(store, name, cache)
        remove(self.store, self.signer, going, cache, "to save room")
        folder = store.folder(going.manifest.kind, going.manifest.ref)
        return store.relative(folder), sorted(going.files)

    def entered(self, **other: Any) -> None:
        """Enter a removal with other facts than are so, by the owner's key."""
        self.way = "by an entry"
        store = Store(self.store, self.signer)
        ref = f"{self.draw.choice(_NAMES)}@1"
        commit = store.committed()[ref]
        facts = {"artifact": ref, "digest": commit.told("digest"), "entry": commit.digest}
        files = {**store.removals().going(ref), **other.pop("more", {})}
        store.ledger.append(REMOVE, files, **{**facts, "reason": "", **other})

    def last(self) -> tuple[list[bytes], dict[str, Any]]:
        """Return the lines before the last, and the last line's envelope."""
        *lines, last = (self.store / LEDGER).read_bytes().splitlines()
        return lines, json.loads(last)

    def s_rows_put_back_after_a_removal(self) -> None:
        _, files = self.gone()
        for name in self.draw.sample(files, self.draw.randint(1, len(files))):
            (self.store / name).write_bytes(self.whole[name])

    def s_other_rows_after_a_removal(self) -> None:
        _, files = self.gone()
        (self.store / self.draw.choice(files)).write_bytes(self.draw.randbytes(100))

    def s_manifest_of_what_was_removed(self) -> None:
        folder, _ = self.gone()
        path = self.store / folder / MANIFEST
        path.write_bytes(path.read_bytes().replace(b'"rejected_rows":', b'"rejected_rows": '))

    def s_nodes_of_what_was_removed(self) -> None:
        folder, _ = self.gone()
        (self.store / folder / NODES).unlink()

    def s_reason_of_a_removal(self) -> None:
        self.gone()
        lines, envelope = self.last()
        said = base64.b64decode(envelope["payload"]).replace(b"to save room", b"to hide them")
        envelope["payload"] = base64.b64encode(said).decode()
        (self.store / LEDGER).write_bytes(b"\n".join([*lines, canonical(envelope), b""]))

    def s_removal_under_a_new_key(self) -> None:
        from strangers import stranger

        ledger = Ledger(self.store / LEDGER, stranger())
        ledger.check_may_append = lambda: None  # type: ignore[method-assign] - as a stranger's own
        store = Store(self.store)
        ref = f"{self.draw.choice(_NAMES)}@1"
        commit, files = store.committed()[ref], store.removals().going(ref)
        ledger.append(
            REMOVE, files, artifact=ref, digest=commit.told("digest"), entry=commit.digest,
            reason="",
        )  # fmt: skip
        for name in files:
            (self.store / name).unlink()

    def i_removal_of_nothing(self) -> None:
        self.entered(artifact="nothing@1")

    def i_removal_twice(self) -> None:
        folder, _ = self.gone()
        ref = folder.rpartition("/")[2]
        store = Store(self.store, self.signer)
        commit = store.committed()[ref]
        store.ledger.append(
            REMOVE, store.removals().going(ref), artifact=ref, digest=commit.told("digest"),
            entry=commit.digest, reason="",
        )  # fmt: skip

    def i_removal_of_another_content(self) -> None:
        self.entered(**{self.draw.choice(["digest", "entry"]): "0" * 64})

    def i_removal_that_takes_other_files(self) -> None:
        name = self.draw.choice(sorted(self.whole.keys() - {LEDGER}))
        self.entered(more={name: "0" * 64})

    def i_removal_under_the_type_of_other_entries(self) -> None:
        self.gone()
        lines, envelope = self.last()
        statement = json.loads(base64.b64decode(envelope["payload"]))
        statement["predicateType"] = "urn:mashbill:entry:v1"
        line = self.signer.seal(statement)
        (self.store / LEDGER).write_bytes(b"\n".join([*lines, line, b""]))
