"""What an insider does who owns the signing key: each kind agrees with itself as far as it goes.

A kind that ends with *and all behind it* composes again whatever was made of the artifact, as an
insider would who knows how; what is then not found is what a store alone cannot show.
"""

from __future__ import annotations

from typing import Any

from insider_files import InsiderFiles
from insider_rows import InsiderRows, with_column
from tampered_store import CLOSED

from mashbill.core.artifact import Manifest
from mashbill.lineage.circuit.nodes import NodeTable, parts_of, reachable, source_of

DEEP = frozenset(
    {
        "rows moved to other rows of the input",
        "text of a kept row",
        "label of a student",
        "score of a student",
        "row of a filter left out",
        "rejected row kept",
        "measure of a filter",
        "share that a filter keeps",
        "row of a merge repeated",
        "source of a first stage",
        "teacher named otherwise in its literals",
        "shard that no input gives",
        "calls of rows left out and labels exchanged",
        "bias of a teacher",
        "column of labelled rows left out",
    }
)
"""kinds whose audit makes rows again"""
UNFOUND = {
    "first stage says it is its own": "the origin of a first stage is the recipe's word; that it "
    "was changed is shown by the ledger signed anew, or by the artifact committed twice",
    "teacher taken out throughout": "manifest, literals, calls and all that was made of it agree",
    "trainer says it never saw them": "how often a trainer saw a row is its own count",
    "trainer says their loss weighed little": "by what a trainer weighs a loss is its own word",
    "trainer says they had few tokens": "how many tokens a trainer counts is its own count",
    "decision turned to allow": "a decision is an entry, and the key signs entries",
    "days moved back": "times are the signer's word",
    "weights of a model exchanged": "training is not done again",
}
"""kinds that nothing in a store contradicts -> why; a checkpoint shows those that rewrite"""


def without(table: NodeTable, name: str) -> None:
    """Take a source out of every node of a table, and give nodes that change new digests."""
    gone = {
        node
        for node, body in table.bodies.items()
        if body["type"] == "source" and source_of(body).title == name
    }
    new: dict[str, str] = {}
    bodies: dict[str, Any] = {}
    fresh = NodeTable()
    for node in _parts_first(table):
        body = dict(table.bodies[node])
        if node in gone:
            continue
        match body["type"]:
            case "made":
                parts = [[how, new[end]] for how, end in body["parts"] if end in new]
                new[node] = fresh.add_made([(how, end) for how, end in parts])
                continue
            case "dataset":
                body["members"] = [
                    [new[end], *rest] for end, *rest in body["members"] if end in new
                ]
            case "model":
                body["members"] = [
                    [how, new[end], t] for how, end, t in body["members"] if end in new
                ]
        new[node] = fresh.add(body)
        bodies[new[node]] = body
    table.bodies = fresh.bodies
    table.numbered = [new[node] for node in table.numbered]
    table.root = new[table.root]


def _parts_first(table: NodeTable) -> list[str]:
    order: list[str] = []
    done: set[str] = set()
    waiting = [(node, False) for node in table.bodies]
    while waiting:
        node, ready = waiting.pop()
        if node in done:
            continue
        if ready:
            done.add(node)
            order.append(node)
            continue
        waiting.append((node, True))
        waiting += [(part, False) for part in parts_of(table.bodies[node]) if part not in done]
    return order


class Insiders(InsiderRows, InsiderFiles):
    """Kinds of forgery by whoever owns the key."""

    # The lineage of an artifact.

    def i_teacher_out_of_the_nodes(self) -> None:
        forger = self.forge()
        art = forger.art(self.draw.choice(["both", "first"]))
        without(art.nodes, CLOSED)
        forger.settle(art)
        self.sign(forger, [art])

    def i_teacher_out_of_the_nodes_and_all_behind_it(self) -> None:
        forger = self.forge()
        art = forger.art(self.draw.choice(["both", "first"]))
        without(art.nodes, CLOSED)
        self.sign(forger, forger.thoroughly(art))

    def i_teacher_out_of_a_model(self) -> None:
        forger = self.forge()
        art = forger.art(self.draw.choice(["student", "small"]))
        without(art.nodes, CLOSED)
        forger.settle(art)
        self.sign(forger, [art])

    def i_teacher_open_in_the_nodes(self) -> None:
        self.reworded(self.draw.choice(["both", "student", "applied", "kept"]))

    def i_teacher_open_where_it_was_asked(self) -> None:
        self.reworded("first")

    def reworded(self, name: str) -> None:
        """Say in an artifact's nodes that the closed teacher has open weights."""
        forger = self.forge()
        art = forger.art(name)
        table = art.nodes
        fresh, new = NodeTable(), {}
        for node in _parts_first(table):
            body = dict(table.bodies[node])
            if body["type"] == "source" and source_of(body).title == CLOSED:
                body["kind"] = "open-weights"
            for key in ("parts", "members"):
                if key in body:
                    body[key] = [[new.get(x, x) for x in item] for item in body[key]]
                    body[key] = sorted(body[key]) if key == "parts" else body[key]
            new[node] = fresh.add(body)
        table.bodies = fresh.bodies
        table.numbered = [new[node] for node in table.numbered]
        table.root = new[table.root]
        forger.settle(art)
        self.sign(forger, [art])

    def i_node_of_other_rows(self) -> None:
        """Let rows of the closed teacher point at the node of the open one's."""
        forger = self.forge()
        art = forger.art("both")
        numbers = [
            n for n, node in enumerate(art.nodes.numbered) if CLOSED not in titles(art.nodes, node)
        ]
        to = self.draw.choice(numbers)
        art.each(lambda table: with_column(table, "_bill", [to] * table.num_rows))
        forger.recount(art)
        forger.settle(art)
        self.sign(forger, [art])

    def i_words_of_a_node(self) -> None:
        forger = self.forge()
        art = forger.art(self.draw.choice(["both", "kept", "first"]))
        at = self.draw.randrange(len(art.nodes.tokens))
        art.nodes.tokens[at] = max(0, art.nodes.tokens[at] - self.draw.randint(1, 40))
        members = [
            list(row)
            for row in zip(art.nodes.numbered, art.nodes.records, art.nodes.tokens, strict=True)
            if row[1]
        ]
        del art.nodes.bodies[art.nodes.root]
        art.nodes.root = art.nodes.add(
            {"type": "dataset", "artifact": art.name, "members": members}
        )
        forger.settle(art)
        self.sign(forger, [art])

    def i_weight_in_a_model(self) -> None:
        forger = self.forge()
        art = forger.art("student")
        body = art.nodes.bodies.pop(art.nodes.root)
        member = self.draw.choice(body["members"])
        member[2] = self.draw.randint(0, member[2] - 1)
        art.nodes.root = art.nodes.add(body)
        forger.settle(art)
        self.sign(forger, [art])

    def i_node_that_nothing_rests_on(self) -> None:
        forger = self.forge()
        art = forger.art("kept")
        source = next(b for b in art.nodes.bodies.values() if b["type"] == "source")
        art.nodes.add({**source, "name": f"another {self.draw.random()}"})
        forger.settle(art)
        self.sign(forger, [art])

    def i_base_out_of_a_model(self) -> None:
        forger = self.forge()
        art = forger.art("small")
        art.manifest["inputs"] = []
        body = art.nodes.bodies[art.nodes.root]
        art.nodes = NodeTable()
        art.nodes.root = art.nodes.add({**body, "members": []})
        forger.settle(art)
        self.sign(forger, [art])

    # What a manifest says.

    def i_teacher_out_of_inputs(self) -> None:
        forger = self.forge()
        art = forger.art("first")
        art.manifest["inputs"] = [i for i in art.manifest["inputs"] if i["role"] != "teacher"]
        without(art.nodes, CLOSED)
        self.sign(forger, forger.thoroughly(art))

    def i_teacher_out_of_inputs_and_literals(self) -> None:
        forger = self.forge()
        art = forger.art("first")
        art.manifest["inputs"] = [i for i in art.manifest["inputs"] if i["role"] != "teacher"]
        art.manifest["stage"]["teachers"] = {}
        without(art.nodes, CLOSED)
        self.sign(forger, forger.thoroughly(art))

    def i_teacher_taken_out_throughout(self) -> None:
        """As a corpus of one's own, with nothing behind it, in every artifact and the journal."""
        forger = self.forge()
        art, corpus = forger.art("first"), forger.art("corpus")
        art.manifest["inputs"] = []
        art.manifest["stage"] = {**corpus.manifest["stage"], "title": "our labels"}
        art.manifest["measures"] = {}
        art.each(
            lambda table: table.drop_columns(
                [n for n in ("_call", "_from") if n in table.column_names]
            )
        )
        source = next(b for b in corpus.nodes.bodies.values() if b["type"] == "source")
        art.nodes = NodeTable()
        art.nodes.number(art.nodes.add({**source, "name": "our labels"}))
        art.each(lambda table: with_column(table, "_bill", [0] * table.num_rows))
        forger.recount(art)
        for statement in forger.statements:
            if statement["predicate"].get("artifact") == "first@1":
                for facts in statement["predicate"].get("shards", {}).values():
                    facts.pop("calls_root", None)
        self.sign(forger, forger.thoroughly(art))

    def i_teacher_named_otherwise_in_its_calls(self) -> None:
        forger = self.forge()
        art = forger.art("first")
        item = next(i for i in art.manifest["inputs"] if i["role"] == "teacher")
        item["asks"] = {**item["asks"], "name": "Example Open"}
        forger.settle(art)
        self.sign(forger, [art])

    def i_teacher_named_otherwise_in_its_literals(self) -> None:
        forger = self.forge()
        art = forger.art("first")
        literals = next(iter(art.manifest["stage"]["teachers"].values()))
        literals["source_kind"] = self.draw.choice(["open-weights", "human", "own-dataset"])
        self.sign(forger, forger.thoroughly(art))

    def i_input_left_out(self) -> None:
        forger = self.forge()
        name, gone = self.draw.choice(
            [("both", "first"), ("kept", "student"), ("applied", "student")]
        )
        art = forger.art(name)
        art.manifest["inputs"] = [
            i for i in art.manifest["inputs"] if not i["name"].startswith(f"{gone}@")
        ]
        without(art.nodes, CLOSED)
        forger.settle(art)
        self.sign(forger, [art])

    def i_digest_of_an_input(self) -> None:
        forger = self.forge()
        art = forger.art(self.draw.choice(["both", "student", "kept"]))
        item = self.draw.choice(art.manifest["inputs"])
        item["digest"] = forger.art("rest").manifest["nodes_digest"]
        forger.settle(art)
        self.sign(forger, [art])

    def i_input_exchanged_for_another(self) -> None:
        forger = self.forge()
        art, other = forger.art("both"), forger.art("second")
        item = art.input("first")
        item["name"], item["digest"] = "second@1", Manifest.model_validate(other.manifest).digest
        without(art.nodes, CLOSED)
        forger.settle(art)
        self.sign(forger, [art])

    def i_channel_of_an_input(self) -> None:
        forger = self.forge()
        name, of = self.draw.choice(
            [("both", "first"), ("applied", "student"), ("kept", "student")]
        )
        art = forger.art(name)
        art.input(of)["channel"] = self.draw.choice(["prompt", "selection/verifying", "transform"])
        forger.settle(art)
        self.sign(forger, [art])

    def i_role_of_an_input(self) -> None:
        forger = self.forge()
        art = forger.art("applied")
        art.input("student")["role"] = "trained-on"
        forger.settle(art)
        self.sign(forger, [art])

    def i_literals_without_their_fingerprint(self) -> None:
        forger = self.forge()
        art = forger.art(self.draw.choice(["kept", "both", "student"]))
        art.manifest["stage"]["seed"] += 1
        forger.settle(art, asked=False)
        self.sign(forger, [art])

    def i_fingerprint(self) -> None:
        forger = self.forge()
        art = forger.art(self.draw.choice(["kept", "both", "student"]))
        art.manifest["fingerprint"] = "0" * 64
        forger.settle(art, asked=False)
        self.sign(forger, [art])

    def i_format_set_back(self) -> None:
        """As release 0.1 wrote manifests: without what lineage is composed from."""
        forger = self.forge()
        art = forger.art(self.draw.choice(["first", "student"]))
        art.manifest["format"] = 1
        art.manifest.pop("learned", None)
        for item in art.manifest["inputs"]:
            item.pop("source", None)
            item.pop("asks", None)
        forger.settle(art)
        self.sign(forger, [art])

    def i_format_of_the_future(self) -> None:
        forger = self.forge()
        art = forger.art("both")
        art.manifest["format"] = self.draw.randint(3, 99)
        forger.settle(art)
        self.sign(forger, [art])


def titles(table: NodeTable, node: str) -> set[str]:
    bodies = (table.bodies[name] for name in reachable(table, [node]))
    return {source_of(body).title for body in bodies if body["type"] == "source"}
