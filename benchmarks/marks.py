"""What looking for marks costs: rows hashed and looked up a second, and memory.

    python benchmarks/marks.py 5000000

Makes a dataset of so many rows of a text each in a store (a corpus of public texts), and then a
corpus of one's own in which every tenth row is one of them; prints seconds of a processor of each
run with and without the look, the size of the arrays that are kept, and the most memory of each.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = "the of and a to in is was for on that with as by at from his it an are were which be this"


def _write(path: Path, rows: int, old: int) -> None:
    """Write rows of about 120 characters; with ``old`` > 0 every so-manieth is a public one."""
    words = WORDS.split()
    with path.open("w") as stream:
        for i in range(rows):
            of = "public" if not old or i % old == 0 else "own"
            text = " ".join(words[(i * 7 + k * k) % len(words)] for k in range(20))
            stream.write(
                json.dumps({"text": f"{of} row {i}: {text}", "topic": f"t{i % 50}"}) + "\n"
            )


def _child(recipe: str, store: str, looks: str) -> None:
    from permitted import execute

    from mashbill import Signer, Store, load_recipe
    from mashbill.plan import build
    from mashbill.run.execution import Execution

    if looks == "no":
        from mashbill.run import executor as run

        run._Runner._looking = lambda *_: None
    opened = Store(Path(store), Signer.default())
    began = time.process_time()
    plan = build(load_recipe(Path(recipe)), opened, cache=Path(store) / ".." / "cache")
    planned = time.process_time() - began
    began = time.process_time()
    done = execute(plan, opened, Execution(Path(store) / ".." / "cache", threads=2))
    told = opened.ledger.entries[-1].predicate.get("contradicted")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    says = told["marks"][0]["says"] if told else "no mark"
    seconds = time.process_time() - began
    print(
        f"{Path(recipe).stem}, look {looks}: plan {planned:.1f} s, run {seconds:.1f} s, "
        f"{most:,.0f} MiB, {done[-1].manifest.rows:,} rows; {says}"
    )


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["MASHBILL_KEY_FILE"] = str(folder / "key.pem")
        os.environ["MASHBILL_CHECKPOINTS"] = str(folder / "checkpoints")
        for name, old in (("public", 0), ("ours", 10), ("again", 10)):
            origin = "public-dataset" if name == "public" else "own-dataset"
            (folder / f"{name}.toml").write_text(
                f'[recipe]\nname = "{name}"\nversion = "1"\n[stages.{name}]\nkind = "corpus"\n'
                f'title = "{name}"\norigin = "{origin}"\nsource = "{name}.jsonl"\n'
            )
            _write(folder / f"{name}.jsonl", rows, old)
        for name, looks in (("public", "no"), ("ours", "no"), ("again", "yes")):
            subprocess.run(
                [sys.executable, __file__, "child", str(folder / f"{name}.toml"),
                 str(folder / "store"), looks],
                check=True,
            )  # fmt: skip
        kept = sum(path.stat().st_size for path in (folder / "cache" / "marks").glob("*"))
        print(f"kept arrays: {kept / 2**20:,.1f} MiB")


if __name__ == "__main__":
    if sys.argv[1] == "child":
        _child(*sys.argv[2:])
    else:
        main(int(sys.argv[1]))
