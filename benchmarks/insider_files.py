"""What an insider does to the files that readers go by, so that no digest over them is another.

A digest covers what a reader of ours makes of a file. These kinds leave that alone, and alter what
another reader would be told: columns that a node has not, a second root, types, keys, names.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from forging import parquet
from insider_rows import with_column

from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.record import identify
from mashbill.core.store import LEARNED, MANIFEST, NODES

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from forging import Art, Forger


class InsiderFiles:
    """Kinds of forgery by whoever owns the key."""

    draw: random.Random
    way = ""

    def forge(self) -> Forger:
        """Return a forger of the store as it is."""
        raise NotImplementedError

    def sign(self, forger: Forger, arts: list[Art]) -> None:
        """Sign for artifacts."""
        raise NotImplementedError

    # Columns of nodes.

    def columns(self, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
        """Alter the columns of an artifact's nodes, and nothing that its digest covers."""
        forger = self.forge()
        art = forger.art(name)
        file = f"{art.folder}/{NODES}"
        forger.settle(art)
        data = parquet(change(pq.ParquetFile(io.BytesIO(forger.whole[file])).read()))
        forger.write(file, data)
        art.manifest["nodes"]["sha256"] = digest_bytes(data)
        forger.write(f"{art.folder}/{MANIFEST}", canonical(art.manifest))
        self.sign(forger, [art])

    def i_members_through_another_channel_in_the_columns(self) -> None:
        """A dataset holds its members as content; the file says that they were prompts."""

        def change(table: pa.Table) -> pa.Table:
            kinds = table.column("type").to_pylist()
            via = table.column("via").to_pylist()
            return with_column(table, "via", [
                ["prompt"] * len(ends) if kind == "dataset" else ends
                for kind, ends in zip(kinds, via, strict=True)
            ])  # fmt: skip

        self.columns(self.draw.choice(["both", "kept", "applied"]), change)

    def i_second_root_in_the_columns(self) -> None:
        def change(table: pa.Table) -> pa.Table:
            roots = table.column("is_root").to_pylist()
            roots[0] = True
            return with_column(table, "is_root", roots)

        self.columns(self.draw.choice(["both", "student", "kept"]), change)

    def i_weights_of_parts_in_the_columns(self) -> None:
        def change(table: pa.Table) -> pa.Table:
            kinds = table.column("type").to_pylist()
            return with_column(table, "tokens", [
                [7, *[0] * (len(tokens) - 1)] if kind == "made" and tokens else tokens
                for kind, tokens in zip(kinds, table.column("tokens").to_pylist(), strict=True)
            ])  # fmt: skip

        self.columns(self.draw.choice(["both", "student", "kept"]), change)

    def i_column_added_to_nodes(self) -> None:
        self.columns("both", lambda t: t.append_column("note", pa.array(["clean"] * t.num_rows)))

    # Rows.

    def i_positions_as_numbers_with_fractions(self) -> None:
        self.retyped("_from", lambda values: pa.array([v + 0.25 for v in values], pa.float64()))

    def i_rows_that_came_from_nothing(self) -> None:
        self.retyped("_from", lambda values: pa.array([None] * len(values), pa.int64()))

    def i_node_numbers_of_another_type(self) -> None:
        self.retyped("_bill", lambda values: pa.array(values, pa.int64()))

    def i_positions_left_out(self) -> None:
        forger = self.forge()
        art = forger.art("both")
        art.each(lambda table: table.drop_columns(["_from"]))
        forger.settle(art)
        self.sign(forger, [art])

    def retyped(self, column: str, make: Callable[[list[Any]], pa.Array]) -> None:
        forger = self.forge()
        art = forger.art("both")
        art.each(
            lambda table: table.set_column(
                table.schema.get_field_index(column), column, make(table.column(column).to_pylist())
            )
        )
        forger.settle(art)
        self.sign(forger, [art])

    def i_shard_that_no_input_gives(self) -> None:
        """Rows of a filter once more, in a shard of their own that its entry speaks of."""
        forger = self.forge()
        art = forger.art("kept")
        new = "part-00077.parquet"
        art.tables[new] = art.tables[art.manifest["shards"][0]["file"]].slice(0, 2)
        art.manifest["shards"].append({"file": new})
        forger.recount(art)
        forger.settle(art)
        name = f"{art.folder}/{new}"
        own = [
            at
            for at, s in enumerate(forger.statements)
            if s["predicate"].get("artifact") == "kept@1"
        ]
        shard = next(
            forger.statements[at]
            for at in own
            if forger.statements[at]["predicate"]["event"] == "shard"
        )
        statement = json.loads(canonical(shard))
        statement["subject"] = [{"name": name, "digest": {"sha256": ""}}]
        statement["predicate"]["shards"] = {name: {}}
        forger.statements.insert(own[-1], statement)
        statement["predicate"]["shards"][name] = dict(art.manifest["shards"][-1])
        del statement["predicate"]["shards"][name]["file"]
        arts = [art]
        for follower in forger.followed("kept"):
            other = forger.recompose(follower)
            forger.settle(other)
            arts.append(other)
        self.sign(forger, arts)

    def i_calls_of_rows_left_out_and_labels_exchanged(self) -> None:
        """What a teacher labelled names no call, so that no answer speaks against its labels."""
        forger = self.forge()
        art = forger.art("first")
        other = {"good": "bad", "bad": "good"}

        def change(table: pa.Table) -> pa.Table:
            labels = [other.get(x, x) for x in table.column("label").to_pylist()]
            return identify(with_column(table.drop_columns(["_call"]), "label", labels))

        art.each(change)
        for statement in forger.statements:
            if statement["predicate"].get("artifact") == "first@1":
                for facts in statement["predicate"].get("shards", {}).values():
                    facts.pop("calls_root", None)
        self.sign(forger, forger.thoroughly(art))

    def i_bias_of_a_teacher(self) -> None:
        """What is subtracted from every answer decides the label of every row."""
        forger = self.forge()
        art = forger.art("second")
        art.manifest["measures"]["bias"]["good"] += 1e-6 * self.draw.randint(1, 9)
        self.sign(forger, forger.thoroughly(art))

    def i_column_of_labelled_rows_left_out(self) -> None:
        forger = self.forge()
        art = forger.art("first")
        art.each(lambda table: identify(table.drop_columns(["part"])))
        self.sign(forger, forger.thoroughly(art))

    # Manifests, what was learned, and entries.

    def i_manifest_in_another_spelling(self) -> None:
        forger = self.forge()
        art = forger.art(self.draw.choice(["both", "first"]))
        forger.settle(art)
        file = f"{art.folder}/{MANIFEST}"
        data = forger.whole[file]
        spelt = [json.dumps(json.loads(data), indent=1).encode(), b'{"stage":{},' + data[1:]]
        forger.write(file, self.draw.choice(spelt))
        self.sign(forger, [art])

    def i_unit_of_sizes(self) -> None:
        forger = self.forge()
        art = forger.art("both")
        art.manifest |= {"token_unit": "pages"}
        forger.settle(art)
        self.sign(forger, [art])

    def i_learned_from_what_is_no_input(self) -> None:
        forger = self.forge()
        art = forger.art("student")
        table = pq.ParquetFile(io.BytesIO(forger.whole[f"{art.folder}/{LEARNED}"])).read()
        name = self.draw.choice(["another@1", "both@1"])
        more = pa.table({"input": pa.array([name, "x@1"]), "times": pa.array([5, 6], pa.int64())})
        art.files[LEARNED] = parquet(pa.concat_tables([more.cast(table.schema), table]))
        forger.settle(art)
        self.sign(forger, [art])

    def i_file_named_twice_in_an_entry(self) -> None:
        forger = self.forge()
        commits = [s for s in forger.statements if s["predicate"]["event"] == "commit"]
        subject = self.draw.choice(commits)["subject"]
        subject.insert(0, {"name": subject[0]["name"], "digest": {"sha256": "0" * 64}})
        self.way = "rewritten"
        forger.seal(0)

    def added(self, **predicate: Any) -> None:
        forger = self.forge()
        self.way = "appended"
        forger.add(predicate)
        forger.seal(len(forger.statements))

    def i_giving_up_what_nobody_made(self) -> None:
        self.added(event="abandon", artifact="new@1", reason="so", digest="0" * 64)

    def i_giving_up_another_digest(self) -> None:
        self.added(event="abandon", artifact="single@1", reason="so", digest="0" * 64)

    def i_entry_about_no_address(self) -> None:
        name = self.draw.choice([["x"], None, "x", "../both@1", "Both@1", 7])
        event = self.draw.choice(["start", "shard", "commit", "abandon"])
        self.added(event=event, artifact=name, shards={}, kind="dataset", digest="")

    def i_day_that_is_none(self) -> None:
        self.added(event="accept", at=self.draw.choice(["yesterday", "2026-13-01", "2026-01-01"]))

    def i_artifact_begun_again_and_files_put_beside_it(self) -> None:
        self.added(event="start", artifact="both@1", fingerprint="0" * 64, run="x")
        forger = self.forge()
        forger.write("datasets/both@1/part-00099.parquet", b"planted")
