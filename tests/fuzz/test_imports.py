"""Whatever one file of a folder holds, an import reads the others as if it were not there.

``MASHBILL_FUZZ=10`` tries ten times as many files; each follows from its seed.
"""

import os
import random
import time
from pathlib import Path

import pytest
from fuzz.mutations import BOMBS, OF_JSON, OF_TEXT

from mashbill.policy.importers import import_claims

TIMES = float(os.environ.get("MASHBILL_FUZZ", "1"))
DATA = Path(__file__).parents[1] / "policy" / "data"
ROWS = b"child,parent,relation,source\na/b,c/d,logits,notes\na/e,c/d,sft-data,notes\n"
FORMS = {
    "card": ("m/good/README.md", "m/odd/README.md", OF_TEXT,
             lambda: next((DATA / "cards").rglob("README.md")).read_bytes()),
    "dpi": ("a.json", "b.json", OF_JSON, (DATA / "dpi" / "Chats.json").read_bytes),
    "modsleuth": ("a.json", "b.json", OF_JSON, (DATA / "modsleuth" / "viewer.json").read_bytes),
    "csv": ("claims-a.csv", "claims-b.csv", OF_TEXT, lambda: ROWS),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_the_others_is_lost(tmp_path, form):
    good, odd, ways, valid = FORMS[form]
    for name in (good, odd):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / good).write_bytes(valid())
    alone = import_claims(form, tmp_path / good)
    assert alone.claims
    inputs = [(f"bomb {n}", bomb) for n, bomb in enumerate(BOMBS)]
    for seed in range(int(120 * TIMES)):
        rng = random.Random(f"{form} {seed}")
        inputs.append((f"seed {seed}", rng.choice(ways)(rng, valid())))
    for which, data in inputs:
        (tmp_path / odd).write_bytes(data)
        begun = time.process_time()
        imported = import_claims(form, tmp_path)
        assert time.process_time() - begun < 10, which
        assert set(alone.claims) <= set(imported.claims), which
        assert {e.id for e in alone.entities} <= {e.id for e in imported.entities}, which
        for reject in imported.rejected:
            assert reject.file == str(tmp_path / odd), which
            assert reject.found, which
            assert reject.do, which
            assert reject.flaw in imported.left_out, which
