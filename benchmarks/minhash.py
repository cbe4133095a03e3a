"""Near duplicates by MinHash: mashbill's ``dedup`` beside rensa, datasketch and datatrove.

Documents of 204 words (200 shingles of five), of which a tenth are edits of earlier ones, with the
exact Jaccard similarity of each pair known. All use 128 places in 16 bands of 8 and one core; each
runs in a process of its own, peers in environments of their own, and reads the same file of lines.

* **arrays**: signatures a second, of the processor, from arrays of numbers that sets were hashed to
  before: what the kernel does. **text**: from texts, with what it takes to cut and hash them.
* **all**: from the file to which rows go; mashbill with its exact comparison, and with what it lays
  down on disk; rensa as it is meant, a matrix of digests put into its index chunk by chunk, every
  token of a set taking part (never ``rho``, which samples).
* **recall**: of planted pairs of similarity 0.8 and more, how many were found; **below**: rows that
  go though the planted pair is below 0.8 (candidates that nobody compared).

Peers: ``--rensa PYTHON`` (rensa 0.5.0), ``--datasketch PYTHON`` (2.0.0) and ``--datatrove PYTHON``
(0.10.1 with its extra ``processing``); the latter two get ``--slow-count`` documents.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS, SHINGLE, CHUNK = 204, 5, 2_000
PLACES, BANDS, ROWS, LEAST = 128, 16, 8, 0.8
ARRAYS = 40_000  # documents whose shingles rensa gets as arrays, beside
EDITS = (0, 1, 2, 3, 4, 5, 6, 8, 12)


def shingles(text: str) -> list[str]:
    """Return the runs of five words."""
    words = text.split(" ")
    return [" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)]


def write_documents(folder: Path, count: int) -> list[tuple[int, int, float]]:
    """Write documents, a line each; return (row, earlier row, similarity) of those planted."""
    draw = random.Random(15)
    letters = "etaoinshrdlucmfwyp"
    vocabulary = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(30_000)]
    recent: list[tuple[int, str]] = []
    planted = []
    with (folder / "documents.txt").open("w") as file:
        for row in range(count):
            if recent and draw.random() < 0.1:
                of, text = draw.choice(recent)
                words = text.split(" ")
                for at in draw.sample(range(WORDS), draw.choice(EDITS)):
                    words[at] = draw.choice(vocabulary)
                made = " ".join(words)
                one, other = set(shingles(text)), set(shingles(made))
                planted.append((row, of, len(one & other) / len(one | other)))
            else:
                made = " ".join(draw.choices(vocabulary, k=WORDS))
                # Each document has one edit at most, so that a pair's similarity is all there is.
                recent = [*recent[-999:], (row, made)]
            if planted and planted[-1][0] == row:
                recent = [pair for pair in recent if pair[0] != planted[-1][1]]
            file.write(made + "\n")
    (folder / "planted.json").write_text(json.dumps(planted))
    return planted


def chunks(folder: Path, count: int) -> Iterator[list[str]]:
    """Yield the documents of the file, some at a time."""
    with (folder / "documents.txt").open() as file:
        for begin in range(0, count, CHUNK):
            yield [file.readline().rstrip("\n") for _ in range(min(CHUNK, count - begin))]


def told(
    seconds: float, signing: float, arrays: float, gone: set[int], folder: Path, count: int
) -> dict[str, Any]:
    """Return what a tool did; times are of the processor, 0 for what it does not do."""
    planted = [
        pair for pair in json.loads((folder / "planted.json").read_text()) if pair[0] < count
    ]
    wanted = {row for row, _, likeness in planted if likeness >= LEAST}
    below = {row for row, _, likeness in planted if likeness < LEAST}
    return {
        "documents": count,
        "arrays_a_second": round(count / arrays) if arrays else None,
        "text_a_second": round(count / signing),
        "all_a_second": round(count / seconds),
        "recall": round(len(wanted & gone) / max(len(wanted), 1), 4),
        "below": len(below & gone),
        "others": len(gone - {row for one, of, _ in planted for row in (one, of)}),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


class Lines:
    """The file as a dataset, as far as the stage asks for one: row groups of Parquet."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._path, self.columns = path, ["text"]
        self.num_rows = pq.ParquetFile(path).metadata.num_rows

    def read(self, start: int, stop: int, columns: Any = None) -> Any:
        """Return some rows."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._path, memory_map=True) as file:
            groups = list(range(start // CHUNK, -(-stop // CHUNK)))
            table = file.read_row_groups(groups, columns=columns)
        return table.slice(start - groups[0] * CHUNK, stop - start)

    def chunks(self, rows: int, columns: Any = None) -> Iterator[tuple[int, Any]]:
        """Yield rows in order."""
        for start in range(0, self.num_rows, rows):
            yield start, self.read(start, min(start + rows, self.num_rows), columns)


def ours(folder: Path, count: int) -> dict[str, Any]:
    """Run mashbill's stage over the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from mashbill.core.stage import StageContext
    from mashbill.files.rows.minhash import signatures
    from mashbill.files.rows.tokens import pieces, shingles_of
    from mashbill.stages.dedup import DedupSpec

    spec = DedupSpec(input="in", how="minhash", shingle=SHINGLE, recall=0.94)
    cut = spec.bands
    if (cut.bands, cut.rows, cut.places) != (BANDS, ROWS, PLACES):
        sys.exit(f"mashbill's bands are {cut}")
    signing = arrays = 0.0
    # Texts that are all different: a dictionary of them would be made in vain.
    with pq.ParquetWriter(
        folder / "in.parquet",
        pa.schema([("text", pa.string())]),
        compression="zstd",
        use_dictionary=False,
    ) as writer:
        for some in chunks(folder, count):
            texts = pa.array(some)
            writer.write_table(pa.table({"text": texts}))
            now = time.process_time()
            sets = [shingles_of(piece, SHINGLE) for piece in pieces(texts)]
            cutting = time.process_time() - now
            for one in sets:
                signatures(one, PLACES)
            arrays += time.process_time() - now - cutting
            signing += time.process_time() - now
    data = Lines(folder / "in.parquet")
    context = StageContext(
        name="out", seed=1, recipe_folder=folder, cache=folder, work=folder, threads=1,
        input=lambda _: data, teacher=None, predictor=None, progress=lambda *_: None,
    )  # fmt: skip
    began = time.process_time()
    gone: set[int] = set()
    for batch in spec.run(iter(()), context):
        out = batch.filter(batch.column("_rejected_by").is_valid())
        gone |= {made_of[0] for made_of in out.column("_from").to_pylist()}
    found = told(time.process_time() - began, signing, arrays, gone, folder, count)
    return {**found, "pairs_compared": context.measures["pairs_compared"]}


def rensa(folder: Path, count: int) -> dict[str, Any]:
    """Run rensa's R-MinHash over whole sets, in one thread."""
    import numpy as np
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=LEAST, num_perm=PLACES, num_bands=BANDS)
    gone: set[int] = set()
    whole, signing, arrays, start = time.process_time(), 0.0, 0.0, 0
    for some in chunks(folder, count):
        now = time.process_time()
        sets = [shingles(text) for text in some]
        matrix = RMinHash.digest_matrix_from_token_sets(sets, PLACES, 42)
        signing += time.process_time() - now
        if start < ARRAYS:
            now = time.process_time()
            hashed = RMinHash.hash_token_sets(sets)
            numbers = np.array([number for each in hashed for number in each], np.uint64)
            offsets = np.cumsum([0, *map(len, hashed)])
            begun = time.process_time()
            RMinHash.digest_matrix_from_flat_token_hashes(numbers, offsets, PLACES, 42)
            arrays += time.process_time() - begun
            whole += time.process_time() - now  # apart from all the rest
        flags = index.insert_matrix_and_query_duplicate_flags(matrix, start)
        gone |= {start + at for at, flag in enumerate(flags) if flag}
        start += len(some)
    whole = time.process_time() - whole
    return told(whole, signing, arrays * count / min(count, ARRAYS), gone, folder, count)


def datasketch(folder: Path, count: int) -> dict[str, Any]:
    """Run datasketch's MinHash and its index."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=PLACES, params=(BANDS, ROWS))
    gone: set[int] = set()
    whole, signing, row = time.process_time(), 0.0, 0
    for some in chunks(folder, count):
        for text in some:
            now = time.process_time()
            words = [shingle.encode() for shingle in shingles(text)]
            made = MinHash(num_perm=PLACES)
            made.update_batch(words)
            signing += time.process_time() - now
            if index.query(made):
                gone.add(row)
            index.insert(row, made)
            row += 1
    return told(time.process_time() - whole, signing, 0.0, gone, folder, count)


def datatrove(folder: Path, count: int) -> dict[str, Any]:
    """Run datatrove's four steps, one task each."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )  # fmt: skip
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.typeshelper import Languages

    config = MinhashConfig(n_grams=SHINGLE, num_buckets=BANDS, hashes_per_bucket=ROWS)
    out = folder / "datatrove"
    kept: set[int] = set()

    def read(data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        del data, rank, world_size
        row = 0
        for some in chunks(folder, count):
            for text in some:
                yield Document(text=text, id=str(row))
                row += 1

    def note(data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        del rank, world_size
        for document in data:
            kept.add(int(document.id))
            yield document

    def run(*steps: Any) -> None:
        logs = str(out / "logs")
        LocalPipelineExecutor(list(steps), 1, 1, logging_dir=logs, skip_completed=False).run()

    began = time.process_time()
    run(read, MinhashDedupSignature(str(out / "sig"), config, language=Languages.english))
    signing = time.process_time() - began
    for number in range(BANDS):
        step = MinhashDedupBuckets(str(out / "sig"), str(out / "buckets"), config=config)
        step.run(None, number, BANDS)
    run(MinhashDedupCluster(str(out / "buckets"), str(out / "ids"), config=config))
    run(read, MinhashDedupFilter(str(out / "ids")), note)
    gone = set(range(count)) - kept
    # Its cluster keeps one row of each, which need not be the earlier one.
    planted = json.loads((folder / "planted.json").read_text())
    gone = {row for row, of, _ in planted if row < count and {row, of} & gone}
    return told(time.process_time() - began, signing, 0.0, gone, folder, count)


TOOLS = {"mashbill": ours, "rensa": rensa, "datasketch": datasketch, "datatrove": datatrove}


def main() -> None:
    """Measure all, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--slow-count", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3, help="of mashbill and rensa")
    for name in ("rensa", "datasketch", "datatrove"):
        parser.add_argument(f"--{name}", help=f"a Python with {name}")
    parser.add_argument("--as-tool", nargs=2, metavar=("TOOL", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.as_tool:
        tool, folder = given.as_tool
        print(json.dumps(TOOLS[tool](Path(folder), given.count)))
        return
    from machine import describe, write

    found: dict[str, Any] = {"machine": describe(), "load": os.getloadavg()}
    pythons = {"mashbill": sys.executable, **{n: getattr(given, n) for n in list(TOOLS)[1:]}}
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        planted = write_documents(Path(folder), given.count)
        found["planted"] = len(planted)
        for number in range(given.rounds):
            for tool, python in pythons.items():
                slow = tool in ("datasketch", "datatrove")
                if not python or (slow and number):
                    continue
                count = min(given.count, given.slow_count) if slow else given.count
                one = _run(python, tool, Path(folder), count)
                found.setdefault(tool, []).append(one)
                print(tool, one, flush=True)
    for tool in ("rensa", "datasketch", "datatrove"):
        for what in ("arrays", "text", "all") if tool in found else ():
            one, other = (
                statistics.median(each[f"{what}_a_second"] or 0 for each in found[name])
                for name in ("mashbill", tool)
            )
            if not other:
                continue
            found[f"{what}_to_{tool}"] = round(one / other, 2)
            print(f"{what}: {found[f'{what}_to_{tool}']} times {tool}")
    write(Path(__file__).with_name("minhash.json"), found)


def _run(python: str, tool: str, folder: Path, count: int) -> dict[str, Any]:
    for path in folder.iterdir():  # what a tool laid down is not there for the next
        if path.name not in ("documents.txt", "planted.json") and path.is_file():
            path.unlink()
    threads = dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [python, __file__, "--as-tool", tool, str(folder), "--count", str(count)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **threads}
    )
    one: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return one


if __name__ == "__main__":
    main()
