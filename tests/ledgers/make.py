"""Keep a store of this version: run once at a release, `python tests/ledgers/make.py`.

What it writes is audited by every later version, so it is never made again for a version that is
there already. A store of a format that changed between releases is kept under that format's name:
`python tests/ledgers/make.py shards-2`.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))


def main() -> None:
    from tests_support import run_channels

    from mashbill.core import checkpoint
    from mashbill.core.ledger import Signer
    from mashbill.core.store import LEDGER
    from mashbill.lineage.bills.bill import bill
    from mashbill.lineage.bills.definitions import judge_all
    from mashbill.lineage.circuit.arrays import Circuit
    from mashbill.lineage.evidence.proof import prove

    folder = HERE / "-".join([f"v{version('mashbill')}", *sys.argv[1:]])
    if folder.exists():
        sys.exit(f"{folder} is there; a kept store is never made again")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MASHBILL_KEY_FILE"] = str(Path(scratch) / "key.pem")
        os.environ["MASHBILL_CHECKPOINTS"] = str(Path(scratch) / "checkpoints")
        store, done = run_channels(Path(scratch) / "store")
        signer = Signer.default()
        folder.mkdir()
        with tarfile.open(folder / "store.tar.xz", "w:xz", preset=9) as archive:
            for path in sorted(store.root.rglob("*")):
                name = path.relative_to(store.root)
                if path.is_file() and not str(name).startswith((".", "cache", "reports")):
                    archive.add(path, str(name), filter=_plain)
        (folder / "checkpoint.note").write_text(str(checkpoint.make(store.root / LEDGER, signer)))
        proof = prove(store, "preferred", 3, signer)
        (folder / "proof.json").write_text(json.dumps(proof, indent=1, ensure_ascii=False))
        expected = {"signer": signer.keyid, "artifacts": {}}
        for item in done:
            circuit = Circuit.of_artifact(store, item.manifest)
            expected["artifacts"][str(item.manifest.ref)] = {
                "digest": item.manifest.digest,
                "bill": [line.as_json() for line in bill(circuit)],
                "verdicts": {
                    f"{v.definition.name} {v.definition.version} {v.asked}": [v.conclusion, v.depth]
                    for pair in judge_all(circuit)
                    for v in pair
                },
            }
        (folder / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True))


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.mode = 0o644
    return info


if __name__ == "__main__":
    main()
