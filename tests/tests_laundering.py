"""How tests launder rows: what is run, over what, and what lies beside it."""

from __future__ import annotations

import json
import shutil

from tests_support import execute, rows_of

from mashbill import Signer, Store, load_recipe
from mashbill.plan import build
from mashbill.run.executor import Execution

OWN = [
    {
        "text": f"ticket {i} says that part {i % 9} of machine {i % 5} is broken",
        "topic": f"t{i % 9}",
        "id": str(i),
    }
    for i in range(40)
]


def jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def laundered(told, folder, recipe, *, fresh=False, name="ours"):
    """Run a recipe over what a launderer made, beside the store or in a fresh one; return both."""
    root = folder / "store"
    if fresh:
        store = Store(root, Signer.default())
    else:
        shutil.copytree(told[0].root, root)
        store = Store(
            root, told[0].ledger._signer
        )  # the launderer is who holds the store, with its key
    path = folder / "l.toml"
    path.write_text(f'[recipe]\nname = "l"\nversion = "1"\n{recipe}')
    plan = build(load_recipe(path), store, cache=folder / "cache")
    execute(plan, store, Execution(folder / "cache", threads=1))
    return plan, store, store.find(name)


CORPUS = """
[stages.ours]
kind = "corpus"
title = "Our tickets"
origin = "own-dataset"
source = "SOURCE"
"""
IMPORT = """
[stages.ours]
kind = "import"
title = "Our tickets"
license = "CC0-1.0"
source = "SOURCE"
"""


def rows_alone(told, folder, rows=None, name="rows.jsonl", text="text", recipe=CORPUS, **more):
    """Write answers alone, without anything that tells of them."""
    if rows is None:
        rows = [{text: row["text"]} for row in rows_of(told[0], "first")]
    jsonl(folder / name, rows)
    keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    column = f'text = "{text}"\n' if text != "text" else ""
    return recipe.replace("SOURCE", name) + column + keys


def in_archive(kind, member="pub/data/rows.jsonl", *, without=(), rows=False):
    """The rows as a member of an archive, with what was published beside them or above."""

    def write(told, folder):
        shutil.copytree(told[1] / "pub", folder / "a" / "pub")
        for path in [p for p in (folder / "a" / "pub").rglob("*") if p.is_file()]:
            if (path.name.startswith("part-") and not rows) or path.name in without:
                path.unlink()
        jsonl(folder / "a" / member, OWN)
        shutil.make_archive(str(folder / "packed"), kind, folder / "a")
        shutil.rmtree(folder / "a")
        name = next(path.name for path in folder.iterdir() if path.name.startswith("packed"))
        inside = member if kind == "zip" else f"./{member}"
        return CORPUS.replace("SOURCE", name) + f'members = {{ a = "{inside}" }}\n'

    return write
