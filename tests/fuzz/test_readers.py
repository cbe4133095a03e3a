"""Whatever a stranger writes into a file, it is read or refused in our own words, in bounded time.

``MASHBILL_FUZZ=10`` tries ten times as many inputs. Each input follows from its seed, which is told
where something else comes of one.
"""

import json
import os
import random
import resource
import sys
import tarfile
import time
import warnings

import numpy as np
import pytest
from fuzz.mutations import BOMBS, OF_JSON, OF_TEXT
from fuzz.readers import KEPT, READERS, Kept
from hypothesis import Phase, example, given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.errors import MashbillError

TIMES = float(os.environ.get("MASHBILL_FUZZ", "1"))
SECONDS = 10.0  # of a processor, for any one input; what is slow on purpose takes half
MEBIBYTES = 800
COUNTS: dict[str, list[int]] = {}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    from safetensors.numpy import save
    from tests_support import TEACHER, run_stages

    from mashbill import Signer
    from mashbill.calls import upkeep as keeping
    from mashbill.calls.journal import Journal
    from mashbill.conduct import statement

    folder = tmp_path_factory.mktemp("kept")
    os.environ["MASHBILL_FUZZ_FOLDER"] = str(folder)
    with tarfile.open(KEPT / "store.tar.xz") as archive:
        archive.extractall(folder / "unpacked", filter="data")
    root = next((folder / "unpacked").rglob("ledger.jsonl")).parent
    stages = (
        '[stages.texts]\nkind = "corpus"\ntitle = "t"\norigin = "own-dataset"\n'
        'source = "texts.jsonl"\n[stages.out]\nkind = "generate"\ninput = "texts"\nteacher = "t"\n'
    )
    teacher = TEACHER.replace('kind = "fake"', 'kind = "fake-service"').replace("noise = 0.5", "")
    rows = [{"text": f"Say a thing about {i}."} for i in range(4)]
    store = run_stages(folder / "served", stages, {"texts.jsonl": rows}, teacher)
    journal = Journal.of(store)
    (run,) = journal.runs()
    (entry,) = [e for e in store.ledger.entries if e.event == "conduct"]
    made = statement.make(
        Signer.default(), run, journal.rows_of(run.run), journal.events(run.run), entry
    )
    journal.close()
    keeping.export(store.root / "calls.sqlite", folder / "calls.jsonl")
    weights = {
        "weights": np.zeros((2, 16), np.float32),
        "bias": np.zeros(2, np.float32),
        "idf": np.ones(16, np.float32),
    }
    return Kept(
        root,
        journal=(store.root / "calls.sqlite").read_bytes(),
        model=save(weights),
        exported=(folder / "calls.jsonl").read_bytes(),
        statement=json.dumps(made).encode(),
    )


def _tried(reader, path, data, seed):
    path.write_bytes(data)
    tally = COUNTS.setdefault(reader.name, [0, 0, 0])
    begun = time.process_time()
    tally[0] += 1
    told = 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
        tally[1] += 1
    except MashbillError as error:
        tally[2] += 1
        told = len(str(error))
    except BaseException as error:  # a panic of native code is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        told = f"{reader.name}, {seed}: {type(error).__name__}: {error!s:.300}"
        raise AssertionError(told) from error
    assert 0 < told < 20_000, f"{reader.name}, {seed}: a message of {told:,} characters"
    taken = time.process_time() - begun
    assert taken < SECONDS, f"{reader.name}, {seed}: {taken:.1f} s"


OF_PROGRAMS = {
    "ledger", "ledger, audited", "manifest", "classifier's config", "tokenizer of weights",
}  # fmt: skip
"""what nobody writes by hand: its digest is on record, or a library reads it from the file"""


@pytest.mark.few(12)
@pytest.mark.parametrize(
    "reader",
    [
        each
        for each in READERS
        if each.ways in (OF_TEXT, OF_JSON) and not each.name.startswith("rows of")
        if each.name not in OF_PROGRAMS
    ],
    ids=lambda reader: reader.name,
)
def test_a_byte_order_mark_is_no_part_of_a_text(reader, kept, tmp_path):
    """What the readers make of it is compared in tests/core/test_marks.py; rows in tests/stages."""
    path = tmp_path / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    if reader.beside is not None:
        reader.beside(path.parent, kept)
    path.write_bytes(b"\xef\xbb\xbf" + reader.valid(kept))
    reader.read(path)


@pytest.mark.law
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_strangers_file_is_read_or_refused(reader, kept, tmp_path):
    path = tmp_path / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    if reader.beside is not None:
        reader.beside(path.parent, kept)
    valid = reader.valid(kept)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path.write_bytes(valid)
    reader.read(path)  # what is right is read
    for number, data in enumerate(BOMBS if reader.weight >= 0.3 else BOMBS[:3]):
        _tried(reader, path, data, f"bomb {number}")

    @law(max(5, round(40 * TIMES * reader.weight)), phases=[Phase.explicit, Phase.generate])
    @given(st.integers(0, 2**40))
    @example(1066300)  # bytes that are no text, in a column of texts
    @example(471128)
    def tried(seed):
        rng = random.Random(seed)
        way = rng.choice(reader.ways)
        _tried(reader, path, way(rng, valid), f"{way.__name__} {seed}")

    tried()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most
    assert grown < MEBIBYTES * 1024, f"{reader.name}: {grown / 1024:.0f} MiB"


def test_the_counts_are_told(capsys):
    lines = [
        f"{name:24} {tried:7,} tried {accepted:7,} read {refused:7,} refused"
        for name, (tried, accepted, refused) in COUNTS.items()
    ]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    refusing = {reader.name for reader in READERS if reader.refuses}
    assert all(refused for name, (_, _, refused) in COUNTS.items() if name in refusing)
