"""What the owner of a key can do: alter a store, and sign for it so that all of it agrees again."""

from __future__ import annotations

import base64
import json

import pyarrow as pa
import pyarrow.parquet as pq

from mashbill import Signer
from mashbill.core.artifact import Manifest, fingerprint
from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.given import called
from mashbill.core.ledger import GENESIS
from mashbill.core.merkle import root
from mashbill.core.record import identify, leaves
from mashbill.lineage.circuit.nodes import NodeTable


class Insider:
    """A store whose entries and manifests can be altered; :meth:`sign` makes them agree again."""

    def __init__(self, folder, signer=None):
        self.folder = folder
        self.signer = signer or Signer.default()
        lines = (folder / "ledger.jsonl").read_bytes().splitlines()
        self.entries = [json.loads(base64.b64decode(json.loads(line)["payload"])) for line in lines]
        self._was = {}

    def about(self, name, event):
        """Return the predicates of an artifact's entries of an event."""
        return [
            p
            for p in (s["predicate"] for s in self.entries)
            if p["event"] == event and p.get("artifact") == name
        ]

    def of(self, name):
        """Return an artifact's folder."""
        (kind,) = {p["kind"] for p in self.about(name, "commit")}
        return self.folder / {"dataset": "datasets", "model": "models"}[kind] / name

    def manifest(self, name):
        """Return an artifact's manifest, to be altered and given to :meth:`put`."""
        return json.loads((self.of(name) / "manifest.json").read_bytes())

    def put(self, name, manifest):
        """Write a manifest as it was altered."""
        path = self.of(name) / "manifest.json"
        self._was.setdefault(name, Manifest.model_validate_json(path.read_bytes()).digest)
        path.write_bytes(canonical(manifest))

    def rows(self, name, change, shard=0, which="shards", identified=True):
        """Alter the rows of one shard: ``change`` gets a table and returns one."""
        manifest = self.manifest(name)
        item = manifest[which][shard]
        path = self.of(name) / item["file"]
        table = change(pq.ParquetFile(path).read())
        table = identify(table) if identified else table
        pq.write_table(table, path, compression="zstd")
        numbered = NodeTable.read(self.of(name) / "nodes.parquet").numbered
        item |= {
            "sha256": digest_bytes(path.read_bytes()),
            "rows": table.num_rows,
            "merkle_root": root(leaves(table, numbered)),
        }
        manifest["rows"] = sum(one["rows"] for one in manifest["shards"])
        self.put(name, manifest)
        facts = {key: item[key] for key in ("sha256", "rows", "merkle_root")}
        file = f"{self.of(name).parent.name}/{name}/{item['file']}"
        for predicate in self.about(name, "shard"):
            if file in predicate["shards"]:
                predicate["shards"][file].update(facts)
        return file

    def value(self, name, column, value, row=0, **which):
        """Give one row another value in a column."""

        def change(table):
            values = table.column(column).to_pylist()
            values[row] = value(values[row]) if callable(value) else value
            at = table.schema.get_field_index(column)
            field = table.schema.field(column)
            return table.set_column(at, field, pa.array(values, field.type))

        return self.rows(name, change, **which)

    def nodes(self, name, table):
        """Write a node table, and what the manifest says of it."""
        path = self.of(name) / "nodes.parquet"
        path.write_bytes(table.to_parquet())
        manifest = self.manifest(name)
        manifest["nodes"]["sha256"] = digest_bytes(path.read_bytes())
        manifest |= {"nodes_digest": table.digest, "bill": table.root}
        if manifest["kind"] == "dataset":
            manifest["tokens"] = sum(table.tokens)
        self.put(name, manifest)

    def sources(self, change):
        """Alter sources wherever nodes or manifests name them, all behind it composed again.

        ``change`` gets the body of a source and alters it, or leaves it alone.
        """
        for name in self.names():
            folder, manifest = self.of(name), self.manifest(name)
            table = NodeTable.read(folder / "nodes.parquet")
            new, names = NodeTable(), {}

            def moved(old, table=table, new=new, names=names):
                if old not in names:
                    body = json.loads(json.dumps(table.bodies[old]))
                    if body["type"] == "source":
                        change(body)
                        names[old] = new.add(body)
                    elif body["type"] == "made":
                        names[old] = new.add_made((h, moved(p)) for h, p in body["parts"])
                    else:
                        at = 1 if body["type"] == "model" else 0
                        for member in body["members"]:
                            member[at] = moved(member[at])
                        if body["type"] == "model":
                            body["members"].sort(key=lambda m: (m[2] is None, m[:2]))
                        names[old] = new.add(body)
                return names[old]

            new.numbered = [moved(node) for node in table.numbered]
            new.records, new.tokens = table.records, table.tokens
            new.root = moved(table.root)
            keep = {new.root, *new.numbered}
            assert keep <= new.bodies.keys()
            for item in manifest["inputs"]:
                if item.get("source") is not None:
                    body = {"type": "source", **item["source"]}
                    change(body)
                    item["source"] = {k: v for k, v in body.items() if k != "type"}
                    item["name"] = _title(item["source"]) or item["name"]
                    item["digest"] = digest_bytes(canonical(item["source"]))
            self.put(name, manifest)
            self.nodes(name, new)
            for which in ("shards", "rejected"):
                for at in range(len(manifest[which])):
                    self.rows(name, lambda rows: rows, at, which, identified=False)

    def names(self):
        """Return the artifacts, in the order of their commits."""
        return [
            s["predicate"]["artifact"] for s in self.entries if s["predicate"]["event"] == "commit"
        ]

    def add(self, event, subjects=None, at=None, **facts):
        """Add an entry, at the end or before another one."""
        statement = json.loads(json.dumps(self.entries[-1]))
        statement["subject"] = [
            {"name": n, "digest": {"sha256": d}} for n, d in (subjects or {}).items()
        ]
        statement["predicate"] = {"event": event, "at": statement["predicate"]["at"], **facts}
        self.entries.insert(len(self.entries) if at is None else at, statement)
        return statement

    def sign(self, cascade=True):
        """Sign the whole ledger again, with the digests that files and artifacts have now."""
        for name in self.names() if cascade else ():
            manifest = self.manifest(name)
            for item in manifest["inputs"]:
                if item["role"] != "teacher" and item["name"] in self.names():
                    now = Manifest.model_validate(self.manifest(item["name"])).digest
                    if item["digest"] == self._was.get(item["name"], now):
                        item["digest"] = now
            given = {
                called(i["name"], manifest["stage"]): i["digest"]
                for i in manifest["inputs"]
                if i["role"] != "teacher" and i.get("source") is None
            }
            manifest["fingerprint"] = fingerprint(manifest["stage"], given)
            self.put(name, manifest)
            for event in ("start", "shard", "commit"):
                for predicate in self.about(name, event):
                    predicate["fingerprint"] = manifest["fingerprint"]
            for predicate in self.about(name, "commit"):
                predicate["digest"] = Manifest.model_validate(manifest).digest
        lines = []
        for index, statement in enumerate(self.entries):
            predicate = statement["predicate"]
            predicate |= {"index": index, "previous": digest_bytes(lines[-1]) if lines else GENESIS}
            predicate.pop("public_key", None)
            if not index:
                predicate["public_key"] = self.signer.public.hex()
            for item in statement["subject"]:
                path = self.folder / item["name"]
                if path.is_file() and cascade:
                    item["digest"]["sha256"] = digest_bytes(path.read_bytes())
            lines.append(self.signer.seal(statement))
        (self.folder / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def _title(source):
    from mashbill.core.source import Source

    return Source.model_validate(source).title
