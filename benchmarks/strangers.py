"""What a stranger does who can write to a store and has no key of it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from typing import IO, TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from strangers_journal import JournalStrangers
from tampered_store import CLOSED

from mashbill.core.canonical import canonical
from mashbill.core.ledger import Signer
from mashbill.core.signers import SIGNERS
from mashbill.core.store import CALLS, LEDGER, MANIFEST, NODES

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from forging import Forger

STRANGERS_UNFOUND = {
    "answer put into the journal": "no record rests on it yet, and a killed run leaves the like",
    "page put into reports": "pages are no evidence, and are not looked at",
}
"""kinds that an audit does not find -> why"""


def stranger() -> Signer:
    return Signer(Ed25519PrivateKey.generate())


class Strangers(JournalStrangers):
    """Kinds of tampering by whoever can write to the store."""

    draw: random.Random
    store: Path
    whole: dict[str, bytes]
    locks: list[IO[str]]
    """that are held until all is put back"""

    def forge(self) -> Forger:
        raise NotImplementedError

    def write(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    # Entries under a key of one's own.

    def appended(self, name: str, change: Callable[[Any], None]) -> None:
        forger = self.forge()
        art = forger.art(name)
        change(art)
        forger.settle(art)
        forger.append([art], stranger())

    def s_artifact_committed_under_a_new_key(self) -> None:
        """A new version of an artifact, with files of its own."""
        forger, other = self.forge(), stranger()
        art = forger.art("both")
        art.manifest["version"] = "2"
        old, art.folder = art.folder, "datasets/both@2"
        (self.store / art.folder).mkdir()
        forger.settle(art)
        for statement in list(forger.statements):
            predicate = statement["predicate"]
            if predicate.get("artifact") != "both@1":
                continue
            told = json.loads(canonical(predicate).replace(b"both@1", b"both@2"))
            subject = [
                {"name": item["name"].replace(old, art.folder), "digest": item["digest"]}
                for item in statement["subject"]
            ]
            forger.add(told, subject, other)
        forger.seal(len(forger.statements))

    def s_artifact_exchanged_under_a_new_key(self) -> None:
        from insiders import without

        self.appended(
            self.draw.choice(["both", "first", "student"]), lambda art: without(art.nodes, CLOSED)
        )

    def only(self, predicate: dict[str, Any]) -> None:
        forger = self.forge()
        forger.add(predicate, signer=stranger())
        forger.seal(len(forger.statements))

    def s_artifact_given_up_under_a_new_key(self) -> None:
        name = self.draw.choice(["both@1", "first@1", "student@1"])
        self.only({"event": "abandon", "artifact": name, "reason": "so", "digest": "0" * 64})

    def s_decision_under_a_new_key(self) -> None:
        self.only({"event": "decide", "outcome": "allow", "decisions": [], "use": {}})

    def s_conduct_under_a_new_key(self) -> None:
        self.only({"event": "conduct", "run": "a run", "calls": 0})

    def s_signer_declared_by_itself(self) -> None:
        forger, other = self.forge(), stranger()
        forger.add({"event": SIGNERS, "add": [{"keyid": other.keyid, "since": 0}]}, signer=other)
        forger.add({"event": "decide", "outcome": "allow"}, signer=other)
        forger.seal(len(forger.statements))

    def s_owner_removed_by_another(self) -> None:
        forger, other = self.forge(), stranger()
        owner = forger.signer.keyid
        forger.add(
            {"event": SIGNERS, "add": [{"keyid": other.keyid}], "remove": [owner]}, signer=other
        )
        forger.seal(len(forger.statements))

    def s_ledger_signed_anew_under_a_new_key(self) -> None:
        forger, other = self.forge(), stranger()
        forger.signer = other
        for statement in forger.statements:
            if "public_key" in statement["predicate"]:
                statement["predicate"]["public_key"] = other.public.hex()
        forger.seal(0)

    def s_end_of_the_ledger_cut_and_written_under_a_new_key(self) -> None:
        forger, other = self.forge(), stranger()
        left = len(forger.statements) - self.draw.randint(1, 5)
        gone = forger.statements[left:]
        forger.statements = forger.statements[:left]
        for statement in gone:
            forger.add(statement["predicate"], statement["subject"], other)
        forger.seal(left)

    # Lines, without any key.

    def line(self, change: Callable[[dict[str, Any]], None]) -> None:
        lines = self.whole[LEDGER].split(b"\n")[:-1]
        at = self.draw.choice([len(lines) - 1, self.draw.randrange(len(lines))])
        envelope = json.loads(lines[at])
        change(envelope)
        lines[at] = canonical(envelope)
        self.write(LEDGER, b"".join(line + b"\n" for line in lines))

    def s_field_beside_what_is_signed(self) -> None:
        key = self.draw.choice(["note", "payload2", "verified"])
        self.line(lambda envelope: envelope.update({key: "allow"}))

    def s_field_in_a_signature(self) -> None:
        self.line(lambda envelope: envelope["signatures"][0].update(cert="mine"))

    def s_second_signature(self) -> None:
        def change(envelope: dict[str, Any]) -> None:
            envelope["signatures"].append({**envelope["signatures"][0], "keyid": "0" * 64})

        self.line(change)

    # Links, folders and files.

    def anything(self) -> str:
        return self.draw.choice([name for name in self.whole if name not in {LEDGER, CALLS}])

    def s_file_behind_a_link(self) -> None:
        name = self.anything()
        outside = self.store.parent / f"outside-{self.draw.randrange(10**9)}"
        (self.store / name).rename(outside)
        (self.store / name).symlink_to(outside)

    def s_folder_behind_a_link(self) -> None:
        folder = self.anything().rpartition("/")[0]
        outside = self.store.parent / f"outside-{self.draw.randrange(10**9)}"
        shutil.move(self.store / folder, outside)
        (self.store / folder).symlink_to(outside)

    def s_ledger_behind_a_link(self) -> None:
        name = self.draw.choice([LEDGER, CALLS])
        outside = self.store.parent / f"outside-{self.draw.randrange(10**9)}"
        (self.store / name).rename(outside)
        (self.store / name).symlink_to(outside)

    def planted(self, name: str, data: bytes = b"planted") -> None:
        path = self.store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def s_folder_without_a_manifest(self) -> None:
        name = self.draw.choice(["datasets/new@1", "models/new@1", "datasets/both@2"])
        self.planted(f"{name}/part-00000.parquet", self.whole[self.anything()])

    def s_empty_folder(self) -> None:
        name = self.draw.choice(["datasets/new@1", "models/new@1", "datasets/x", "more"])
        (self.store / name).mkdir()

    def s_folder_with_a_manifest(self) -> None:
        for file in (MANIFEST, NODES):
            self.planted(f"datasets/new@1/{file}", self.whole[f"datasets/both@1/{file}"])

    def s_file_in_a_folder_of_an_artifact(self) -> None:
        folder = self.anything().rpartition("/")[0]
        name = self.draw.choice(["notes.txt", ".hidden", ".manifest.json", "learned2.parquet"])
        self.planted(f"{folder}/{name}")

    def s_folder_in_a_folder_of_an_artifact(self) -> None:
        self.planted(f"{self.anything().rpartition('/')[0]}/more/part-00000.parquet")

    def s_file_beside_the_ledger(self) -> None:
        self.planted(self.draw.choice(["README", ".env", "bill.json", "ledger.jsonl.bak", "x/y"]))

    def s_work_of_nobody(self) -> None:
        name = self.draw.choice(["new@1-0123456789ab", "both@1-0123456789ab", "x"])
        self.planted(f".work/{name}/out/weights.safetensors")

    def s_work_of_what_is_made(self) -> None:
        known = json.loads(self.whole["models/student@1/manifest.json"])["fingerprint"][:12]
        self.planted(f".work/student@1-{known}/out/weights.safetensors")

    def s_lock_that_says_something(self) -> None:
        self.planted(f".locks/{self.draw.choice(['both@1', 'run-x', 'a@9'])}")

    def s_pipe_in_place_of_a_file(self) -> None:
        name = self.anything()
        (self.store / name).unlink()
        os.mkfifo(self.store / name)

    def s_page_put_into_reports(self) -> None:
        self.planted("reports/both@1.html", b"<h1>clean</h1>")

    def s_manifest_of_another(self) -> None:
        one, two = self.draw.sample(["both", "first", "second", "kept"], 2)
        self.write(f"datasets/{one}@1/{MANIFEST}", self.whole[f"datasets/{two}@1/{MANIFEST}"])

    def s_nodes_without_the_teacher(self) -> None:
        from insiders import without

        forger = self.forge()
        art = forger.art(self.draw.choice(["both", "student", "kept"]))
        without(art.nodes, CLOSED)
        self.write(f"{art.folder}/{NODES}", art.nodes.to_parquet())

    # Locks, and what is left beside the journal.

    def held(self, name: str) -> None:
        """Hold a lock, as a run would."""
        path = self.store / ".locks" / name
        path.parent.mkdir(exist_ok=True)
        self.locks.append(path.open("a"))
        fcntl.flock(self.locks[-1], fcntl.LOCK_EX)

    def s_file_put_beside_an_artifact_under_its_lock(self) -> None:
        name = self.draw.choice(["both@1", "first@1", "new@1"])
        self.held(name)
        self.planted(f"datasets/{name}/part-00077.parquet")

    def s_manifest_taken_away_under_its_lock(self) -> None:
        self.held("both@1")
        (self.store / "datasets/both@1" / MANIFEST).unlink()

    def s_run_added_under_its_lock(self) -> None:
        self.held("run-20260101-000000-0000")
        self.s_run_added()

    def s_log_of_another_journal(self) -> None:
        end = self.draw.choice(["-wal", "-shm", "-journal"])
        self.planted(f"{CALLS}{end}", self.draw.randbytes(4096))

    def s_pages_in_folders_without_end(self) -> None:
        self.planted("reports/" + "x/" * self.draw.randint(17, 200) + "page.html")

    def s_line_that_says_nothing(self) -> None:
        lines = self.whole[LEDGER].split(b"\n")
        more = self.draw.choice([b"", b"{}", b" ", b"\xef\xbb\xbf"])
        at = self.draw.randrange(len(lines))
        self.write(LEDGER, b"\n".join([*lines[:at], more, *lines[at:]]))

    def s_name_that_looks_like_another(self) -> None:
        name = self.draw.choice(["b\u043eth@1", "Both@1", "both@1 ", "both@1.", "\u202e1@htob"])
        self.planted(f"datasets/{name}/{MANIFEST}", self.whole[f"datasets/both@1/{MANIFEST}"])
