"""Forging a store so that its files, digests, roots and signatures agree with each other.

A forger takes artifacts apart, changes them, puts them together again, and signs for them: by
writing the ledger anew from the first entry that changes, or by giving the artifact up and
committing it again at the end.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.artifact import Manifest, fingerprint
from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.learning import RowSizes, read_learned, weigh
from mashbill.core.ledger import GENESIS
from mashbill.core.merkle import root
from mashbill.core.record import leaves
from mashbill.core.store import LEARNED, LEDGER, MANIFEST, NODES
from mashbill.core.weights import words_of
from mashbill.lineage.circuit.composer import Composer, close_dataset, close_model
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.recomposing import source_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mashbill.core.ledger import Signer


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


@dataclass
class Art:
    """One artifact, taken apart."""

    folder: str
    manifest: dict[str, Any]
    nodes: NodeTable
    tables: dict[str, pa.Table]
    """rows of each shard, by file"""
    files: dict[str, bytes]
    """other files that change, by name"""

    @property
    def name(self) -> str:
        return f"{self.manifest['name']}@{self.manifest['version']}"

    @property
    def shards(self) -> list[dict[str, Any]]:
        return [*self.manifest["shards"], *self.manifest["rejected"]]

    def each(self, change: Callable[[pa.Table], pa.Table], *, rejected: bool = True) -> None:
        """Change the rows of every shard."""
        wanted = self.shards if rejected else self.manifest["shards"]
        for shard in wanted:
            self.tables[shard["file"]] = change(self.tables[shard["file"]])

    def input(self, name: str) -> dict[str, Any]:
        return next(i for i in self.manifest["inputs"] if i["name"].partition("@")[0] == name)


class Forger:
    """Forges one copy of a store."""

    def __init__(
        self, whole: dict[str, bytes], write: Callable[[str, bytes], None], signer: Signer
    ) -> None:
        """Forge with this key, writing files by ``write``."""
        self.whole = dict(whole)
        self._write = write
        self.signer = signer
        self.statements = [opened(line) for line in whole[LEDGER].split(b"\n")[:-1]]
        self.signed: dict[int, Signer] = {}
        """statement -> who signs it, where that is somebody else"""

    def write(self, name: str, data: bytes) -> None:
        self.whole[name] = data
        self._write(name, data)

    def art(self, name: str) -> Art:
        """Take an artifact apart."""
        folder = next(
            f"{kind}/{name}@1"
            for kind in ("datasets", "models")
            if f"{kind}/{name}@1/{MANIFEST}" in self.whole
        )
        manifest = json.loads(self.whole[f"{folder}/{MANIFEST}"])
        nodes = NodeTable.read(folder, self.whole[f"{folder}/{NODES}"])
        art = Art(folder, manifest, nodes, {}, {})
        for shard in art.shards:
            data = self.whole[f"{folder}/{shard['file']}"]
            art.tables[shard["file"]] = pq.ParquetFile(io.BytesIO(data)).read()
        return art

    def settle(self, art: Art, *, asked: bool = True) -> None:
        """Put an artifact together again: files, roots, digests and, if ``asked``, fingerprint."""
        for shard in art.shards:
            table = art.tables[shard["file"]]
            data = parquet(table)
            self.write(f"{art.folder}/{shard['file']}", data)
            shard |= {
                "rows": table.num_rows,
                "sha256": digest_bytes(data),
                "merkle_root": root(leaves(table, art.nodes.numbered)),
            }
        if art.manifest["kind"] == "dataset":
            for rows, shards in (("rows", "shards"), ("rejected_rows", "rejected")):
                art.manifest[rows] = sum(shard["rows"] for shard in art.manifest[shards])
            art.manifest["tokens"] = sum(art.nodes.tokens)
        for name, data in art.files.items():
            self.write(f"{art.folder}/{name}", data)
            if name == LEARNED:
                art.manifest["learned"]["sha256"] = digest_bytes(data)
            for item in art.manifest["files"]:
                item["sha256"] = digest_bytes(data) if item["file"] == name else item["sha256"]
        data = art.nodes.to_parquet()
        self.write(f"{art.folder}/{NODES}", data)
        art.manifest["nodes"]["sha256"] = digest_bytes(data)
        art.manifest["nodes_digest"], art.manifest["bill"] = art.nodes.digest, art.nodes.root
        if asked:
            inputs = {
                item["name"].partition("@")[0]: item["digest"]
                for item in art.manifest["inputs"]
                if item["role"] != "teacher"
            }
            art.manifest["fingerprint"] = fingerprint(art.manifest["stage"], inputs)
        self.write(f"{art.folder}/{MANIFEST}", canonical(art.manifest))

    def recount(self, art: Art) -> None:
        """Count the records and words of each node again, and close the dataset."""
        table = art.nodes
        table.records = [0] * len(table.numbered)
        table.tokens = [0] * len(table.numbered)
        for shard in art.manifest["shards"]:
            rows = art.tables[shard["file"]]
            table.count(np.asarray(rows.column("_bill")), words_of(rows))
        table.bodies.pop(table.root, None)
        close_dataset(table, art.name)

    def recompose(self, name: str) -> Art:
        """Compose an artifact's nodes from its inputs as they are now, as its run would have."""
        art = self.art(name)
        inputs = [item for item in art.manifest["inputs"] if item["role"] != "teacher"]
        behind = {item["name"]: self.art(item["name"].partition("@")[0]) for item in inputs}
        for item in inputs:
            item["digest"] = Manifest.model_validate(behind[item["name"]].manifest).digest
        if art.manifest["kind"] == "model":
            said = read_learned(self.whole[f"{art.folder}/{LEARNED}"])
            trained = [item for item in inputs if item["role"] == "trained-on"]
            sizes = {}
            for item in trained:
                data = behind[item["name"]]
                rows = [data.tables[shard["file"]] for shard in data.manifest["shards"]]
                bills = np.concatenate([np.asarray(table.column("_bill")) for table in rows])
                words = np.concatenate([words_of(table) for table in rows])
                sizes[item["name"]] = RowSizes(words, bills, len(data.nodes.numbered))
            weighed = weigh(said, sizes)
            learned = [
                (i["channel"], behind[i["name"]].nodes, weighed.by_node[i["name"]]) for i in trained
            ]
            art.manifest |= {"tokens": weighed.tokens, "token_unit": weighed.unit}
            if weighed.learned_from:
                told = [one.model_dump(mode="json") for one in weighed.learned_from]
                art.manifest["learned_from"] = told
            bases = [(i["channel"], behind[i["name"]].nodes) for i in inputs if i["role"] == "base"]
            files = next(
                b["files"]
                for b in art.nodes.bodies.values()
                if b["type"] == "model" and b["artifact"] == art.name
            )
            art.nodes = close_model(art.name, files, learned, bases)
            return art
        manifest = Manifest.model_validate(art.manifest)
        composer = Composer(
            [(i["channel"], behind[i["name"]].nodes) for i in inputs if i["role"] == "rows"],
            [
                (item.channel, source_behind(item, art.nodes) or behind[item.name].nodes)
                for item in manifest.inputs
                if item.role not in {"rows", "trained-on", "base"}
            ],
        )
        codes = [np.empty(0, np.int64)]
        rowed = [i for i in inputs if i["role"] == "rows"]
        for item, offset in zip(rowed, composer.offsets, strict=False):
            data = behind[item["name"]]
            codes += [
                np.asarray(data.tables[s["file"]].column("_bill")) + offset
                for s in data.manifest["shards"]
            ]
        code = np.concatenate(codes).astype(np.int64)

        def composed(table: pa.Table) -> pa.Table:
            origins = table.column("_from").combine_chunks()
            if pa.types.is_list(origins.type):
                ends = np.asarray(origins.offsets)
                flat = np.asarray(origins.flatten())
                bills = composer.several_each(code[flat], ends[1:] - ends[0])
            else:
                bills = composer.one_each(code[np.asarray(origins)])
            at = table.schema.get_field_index("_bill")
            return table.set_column(at, "_bill", pa.array(bills, pa.int32()))

        art.each(composed)
        art.nodes = composer.table
        self.recount(art)
        return art

    def followed(self, name: str) -> list[str]:
        """Return what was made of an artifact, in the order in which it was made."""
        reached = {name}
        found = []
        for statement in self.statements:
            predicate = statement["predicate"]
            if predicate["event"] != "commit" or predicate["artifact"] in found:
                continue
            own = predicate["artifact"].partition("@")[0]
            inputs = {i["name"].partition("@")[0] for i in self.art(own).manifest["inputs"]}
            if inputs & reached and own != name:
                reached.add(own)
                found.append(own)
        return found

    def thoroughly(self, art: Art) -> list[Art]:
        """Settle an artifact, and compose and settle all that was made of it."""
        self.settle(art)
        arts = [art]
        for name in self.followed(art.manifest["name"]):
            other = self.recompose(name)
            self.settle(other)
            arts.append(other)
        return arts

    # Signing for it.

    def tell(self, arts: Iterable[Art]) -> int:
        """Let the entries of these artifacts speak of them as they are; return the first."""
        by_name = {art.name: art for art in arts}
        touched = []
        for index, statement in enumerate(self.statements):
            art = by_name.get(statement["predicate"].get("artifact"))
            if art is None or statement["predicate"]["event"] not in {"shard", "commit", "start"}:
                continue
            touched.append(index)
            self._about(statement, art)
        return min(touched)

    def _about(self, statement: dict[str, Any], art: Art) -> None:
        predicate = statement["predicate"]
        predicate["fingerprint"] = art.manifest["fingerprint"]
        for item in statement["subject"]:
            item["digest"]["sha256"] = digest_bytes(self.whole[item["name"]])
        listed = {f"{art.folder}/{shard['file']}": shard for shard in art.shards}
        for name, facts in predicate.get("shards", {}).items():
            if name in listed:
                facts |= {key: listed[name][key] for key in ("rows", "sha256", "merkle_root")}
        if predicate["event"] == "commit":
            predicate["digest"] = Manifest.model_validate(art.manifest).digest

    def append(self, arts: Iterable[Art], signer: Signer | None = None) -> None:
        """Give artifacts up and commit them again, at the end."""
        for art in arts:
            about = [
                json.loads(canonical(s))
                for s in self.statements
                if s["predicate"].get("artifact") == art.name
                and s["predicate"]["event"] in {"start", "shard", "commit"}
            ]
            old = about[-1]["predicate"]["digest"]
            told = {"event": "abandon", "artifact": art.name, "reason": "made anew", "digest": old}
            self.add(told, signer=signer)
            for statement in about:
                self._about(statement, art)
                self.add(statement["predicate"], statement["subject"], signer)
        self.seal(len(self.statements))

    def add(
        self,
        predicate: dict[str, Any],
        subject: list[dict[str, Any]] | None = None,
        signer: Signer | None = None,
    ) -> None:
        """Add a statement, to be sealed."""
        like = self.statements[-1]
        predicate = {"at": like["predicate"]["at"], **predicate}
        predicate.pop("public_key", None)
        if signer is not None:
            self.signed[len(self.statements)] = signer
            if not any(
                s["predicate"].get("public_key") == signer.public.hex() for s in self.statements
            ):
                predicate["public_key"] = signer.public.hex()
        self.statements.append({**like, "subject": subject or [], "predicate": predicate})

    def seal(self, start: int) -> None:
        """Chain and sign every statement from one on, and write the ledger."""
        lines = self.whole[LEDGER].split(b"\n")[:-1][:start]
        for index, statement in enumerate(self.statements[len(lines) :], len(lines)):
            statement["predicate"]["index"] = index
            statement["predicate"]["previous"] = digest_bytes(lines[-1]) if lines else GENESIS
            lines.append(self.signed.get(index, self.signer).seal(statement))
        self.write(LEDGER, b"".join(line + b"\n" for line in lines))


def opened(line: bytes) -> dict[str, Any]:
    import base64

    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(line)["payload"]))
    return statement
