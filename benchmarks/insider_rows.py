"""What an insider does to rows, to what a trainer says, and to entries: see insiders.py."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from forging import parquet

from mashbill.core.artifact import Manifest
from mashbill.core.canonical import digest
from mashbill.core.learning import Learned, learned_table, read_learned
from mashbill.core.store import LEARNED
from mashbill.lineage.circuit.nodes import NodeTable

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from forging import Art, Forger

WAYS = ("rewritten", "appended")


class InsiderRows:
    """Kinds of forgery by whoever owns the key."""

    draw: random.Random
    way = ""
    """how the last one was signed for"""

    def forge(self) -> Forger:
        """Return a forger of the store as it is."""
        raise NotImplementedError

    def sign(self, forger: Forger, arts: list[Art]) -> None:
        """Sign for artifacts, by rewriting the ledger or by adding to it."""
        self.way = self.draw.choice(WAYS)
        if self.way == "rewritten":
            forger.seal(forger.tell(arts))
        else:
            forger.append(arts)

    def i_rows_moved_to_other_rows_of_the_input(self) -> None:
        forger = self.forge()
        art = forger.art(self.draw.choice(["kept", "one", "applied"]))
        art.each(
            lambda table: with_column(
                table, "_from", [(x + 1) % 10 for x in table.column("_from").to_pylist()]
            )
        )
        self.sign(forger, forger.thoroughly(art))

    def i_text_of_a_kept_row(self) -> None:
        self.cell("kept", "text", "a text that nobody wrote")

    def i_label_of_a_student(self) -> None:
        forger = self.forge()
        art = forger.art("applied")
        other = {"good": "bad", "bad": "good"}
        self.first_shard(
            art,
            lambda table: with_column(
                table, "label", [other[x] for x in table.column("label").to_pylist()]
            ),
        )
        self.sign(forger, forger.thoroughly(art))

    def i_score_of_a_student(self) -> None:
        self.cell("applied", "confidence", 0.123 + self.draw.random() / 10)

    def cell(self, name: str, column: str, value: Any) -> None:
        """Give a row of the first shard another value, and compose all behind it."""
        forger = self.forge()
        art = forger.art(name)

        def change(table: pa.Table) -> pa.Table:
            values = table.column(column).to_pylist()
            values[self.draw.randrange(len(values))] = value
            return with_column(table, column, values)

        self.first_shard(art, change)
        forger.recount(art)
        self.sign(forger, forger.thoroughly(art))

    def first_shard(self, art: Art, change: Any) -> None:
        file = art.manifest["shards"][0]["file"]
        art.tables[file] = change(art.tables[file])

    def i_row_of_a_filter_left_out(self) -> None:
        forger = self.forge()
        art = forger.art("kept")
        self.first_shard(art, lambda table: table.slice(1))
        forger.recount(art)
        self.sign(forger, [art, *self.again(forger, art)])

    def again(self, forger: Forger, art: Art) -> list[Art]:
        """Settle an artifact whose rows are fewer; what is made of it keeps saying what it did."""
        forger.settle(art)
        return []

    def i_rejected_row_kept(self) -> None:
        forger = self.forge()
        art = forger.art("kept")
        shard = art.manifest["rejected"][0]["file"]
        row = art.tables[shard].slice(0, 1).drop_columns(["_rejected_by", "_reason"])
        self.first_shard(
            art, lambda table: pa.concat_tables([table, row.select(table.column_names)])
        )
        forger.recount(art)
        forger.settle(art)
        self.sign(forger, [art])

    def i_row_of_a_merge_repeated(self) -> None:
        forger = self.forge()
        art = forger.art("single")
        self.first_shard(art, lambda table: pa.concat_tables([table, table.slice(0, 1)]))
        forger.recount(art)
        forger.settle(art)
        self.sign(forger, [art])

    def i_measure_of_a_filter(self) -> None:
        forger = self.forge()
        art = forger.art("kept")
        art.manifest["measures"]["threshold"] = 0.5 + self.draw.random() / 4
        forger.settle(art)
        self.sign(forger, [art])

    def i_share_that_a_filter_keeps(self) -> None:
        forger = self.forge()
        art = forger.art("kept")
        art.manifest["stage"]["keep_top"] = 1.0
        forger.settle(art)
        self.sign(forger, [art])

    # What has nothing behind it in a store.

    def i_source_of_a_first_stage(self) -> None:
        """In the nodes alone: the literals still say what it was."""
        self.own("corpus", literals=False)

    def i_first_stage_says_it_is_its_own(self) -> None:
        self.own("corpus", literals=True)

    def own(self, name: str, *, literals: bool) -> None:
        forger = self.forge()
        art = forger.art(name)
        table = NodeTable()
        node = next(b for b in art.nodes.bodies.values() if b["type"] == "source")
        changed = {**node, "kind": "own-dataset", "license": "MIT"}
        table.number(table.add(changed))
        art.nodes = table
        if literals:
            art.manifest["stage"] |= {"origin": "own-dataset", "license": "MIT"}
        forger.recount(art)
        self.sign(forger, forger.thoroughly(art))

    def _trainer_says(self, change: Callable[[Learned, int], Learned]) -> None:
        """Let a trainer say something else of the rows of the first dataset."""
        forger = self.forge()
        art = forger.art("student")
        said = read_learned(forger.whole[f"{art.folder}/{LEARNED}"])["both@1"]
        said = change(said, forger.art("first").manifest["rows"])
        art.files[LEARNED] = parquet(learned_table({"both@1": said}))
        forger.settle(art)
        self.sign(forger, forger.thoroughly(forger.recompose("student")))

    def i_trainer_says_it_never_saw_them(self) -> None:
        def change(said: Learned, rows: int) -> Learned:
            return replace(said, times=np.where(np.arange(len(said.times)) < rows, 0, said.times))

        self._trainer_says(change)

    def i_trainer_says_their_loss_weighed_little(self) -> None:
        least = self.draw.choice([0.0, 1e-9, 0.5])

        def change(said: Learned, rows: int) -> Learned:
            weights = np.where(np.arange(len(said.times)) < rows, least, 1.0)
            return replace(said, loss_weight=weights)

        self._trainer_says(change)

    def i_trainer_says_they_had_few_tokens(self) -> None:
        def change(said: Learned, rows: int) -> Learned:
            return replace(said, tokens=np.where(np.arange(len(said.times)) < rows, 1, 1000))

        self._trainer_says(change)

    def i_weights_of_a_model_exchanged(self) -> None:
        forger = self.forge()
        art = forger.art("student")
        name = "weights.safetensors"
        data = bytearray(forger.whole[f"{art.folder}/{name}"])
        data[-1 - self.draw.randrange(16)] ^= 1
        art.files[name] = bytes(data)
        forger.settle(art)
        files = digest([[item["file"], item["sha256"]] for item in art.manifest["files"]])
        body = art.nodes.bodies.pop(art.nodes.root)
        art.nodes.root = art.nodes.add({**body, "files": files})
        self.sign(forger, forger.thoroughly(art))

    def i_files_of_a_model_and_not_its_node(self) -> None:
        forger = self.forge()
        art = forger.art("student")
        data = bytearray(forger.whole[f"{art.folder}/weights.safetensors"])
        data[-1] ^= 1
        art.files["weights.safetensors"] = bytes(data)
        forger.settle(art)
        self.sign(forger, [art])

    # Entries.

    def entry(self, event: str, change: Any) -> None:
        forger = self.forge()
        found = [i for i, s in enumerate(forger.statements) if s["predicate"]["event"] == event]
        index = self.draw.choice(found)
        change(forger.statements[index]["predicate"])
        self.way = "rewritten"
        forger.seal(index)

    def i_decision_turned_to_allow(self) -> None:
        forger = self.forge()
        self.way = "appended"
        forger.add({"event": "decide", "outcome": "allow", "decisions": [], "use": {}})
        forger.seal(len(forger.statements))

    def i_days_moved_back(self) -> None:
        self.entry("commit", lambda p: p.update(at="2024-01-01T00:00:00.000+00:00"))

    def i_breaches_of_a_run(self) -> None:
        def change(predicate: dict[str, Any]) -> None:
            predicate["rate_limited"] = predicate["rate_limited"] + 1

        self.entry("conduct", change)

    def i_calls_of_a_run(self) -> None:
        self.entry("conduct", lambda p: p.update(calls=p["calls"] - 1))

    def i_conduct_left_out(self) -> None:
        forger = self.forge()
        index = next(
            i for i, s in enumerate(forger.statements) if s["predicate"]["event"] == "conduct"
        )
        del forger.statements[index]
        self.way = "rewritten"
        forger.seal(index)

    def i_commit_left_out(self) -> None:
        forger = self.forge()
        commits = [
            i for i, s in enumerate(forger.statements) if s["predicate"]["event"] == "commit"
        ]
        index = self.draw.choice(commits)
        del forger.statements[index]
        self.way = "rewritten"
        forger.seal(index)

    def i_artifact_that_was_given_up_shown_again(self) -> None:
        """Give up what others were made of, and leave its files."""
        forger = self.forge()
        name = self.draw.choice(["first", "both", "student"])
        known = Manifest.model_validate(forger.art(name).manifest).digest
        self.way = "appended"
        forger.add({"event": "abandon", "artifact": f"{name}@1", "reason": "so", "digest": known})
        forger.seal(len(forger.statements))

    def i_calls_of_a_shard_not_told(self) -> None:
        forger = self.forge()
        index = next(
            i
            for i, s in enumerate(forger.statements)
            if any("calls_root" in facts for facts in s["predicate"].get("shards", {}).values())
        )
        for facts in forger.statements[index]["predicate"]["shards"].values():
            facts.pop("calls_root", None)
        self.way = "rewritten"
        forger.seal(index)


def with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    at = table.schema.get_field_index(name)
    field = table.schema.field(name)
    return table.set_column(at, field, pa.array(values, field.type))
