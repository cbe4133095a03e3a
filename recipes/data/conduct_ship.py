# ruff: noqa: INP001
"""Write ``src/mashbill/conduct/text/weights`` from a store in which ``conduct_text.toml`` was run.

    mashbill run recipes/conduct_text.toml --store STORE
    python recipes/data/conduct_ship.py STORE src/mashbill/conduct/text/weights

It calibrates on families for development, which the classifiers have not learned from, and takes
thresholds from what is honest among them and in the fifth of the packages' texts that was kept
back. The bill is that of both classifiers, whose training sets are one.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from mashbill.conduct.text.scoring import HEADS
from mashbill.conduct.text.shipping import Row, ship
from mashbill.core.store import Store
from mashbill.models.linear import LinearPredictor
from mashbill.workspace.space import Workspace

HERE = Path(__file__).resolve().parent
RECIPE = HERE.parent / "conduct_text.toml"


def development(store: Store) -> list[Row]:
    """Return the prompts for development."""
    rows = []
    for name in ("written", "made"):
        for line in (HERE / f"conduct_{name}.jsonl").read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            if found["split"] == "development":
                is_one = {head: found[head] == "yes" for head in HEADS}
                rows.append(Row(found["text"], found["kind"], is_one))
    neither = dict.fromkeys(HEADS, False)
    people = store.dataset(store.find("human-development").ref)
    texts = people.read(0, people.num_rows, ["text"]).column("text").to_pylist()
    rows.extend(Row(text, "people", neither) for text in texts)
    beside = store.dataset(store.find("beside-development").ref)
    kept = beside.read(0, beside.num_rows, ["text", "honest"]).to_pylist()
    return rows + [Row(one["text"], one["honest"], neither) for one in kept]


def bill(space: Workspace) -> str:
    """Return what the classifiers were made from, as text."""
    said = ["What the text model of conduct was made from, by `mashbill bill`.", ""]
    for head in HEADS:
        billed = space.bill(head).as_json()
        said.append(f"{head}: learned from")
        for line in sorted(billed["bill"], key=lambda one: str(one["source"]["name"])):
            source, (low, high) = line["source"], line["share"]
            share = f"{low:.1%}" if low == high else f"{low:.1%} to {high:.1%}"
            parts = (source["kind"], source["license"], source["version"], source["provider"])
            told = ", ".join(str(part) for part in parts if part)
            said.append(f"  {share} of tokens: {source['name']} ({told})")
        said.append("")
    return "\n".join(said)


def main() -> None:
    """Read the store and write the folder that the command line names."""
    store, folder = Path(sys.argv[1]), Path(sys.argv[2])
    space = Workspace(store)
    opened = space.store()
    models = {
        head: LinearPredictor.load(opened.folder("model", opened.find(head).ref)) for head in HEADS
    }
    facts = {"recipe_sha256": hashlib.sha256(RECIPE.read_bytes()).hexdigest()}
    ship(models, development(opened), bill(space), facts, folder)


if __name__ == "__main__":
    main()
