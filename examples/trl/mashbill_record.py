"""A callback of transformers that leaves mashbill.json beside a model: what it learned from.

It needs nothing of mashbill, so this file can be copied to the machine that trains. docs/trained.md
says what the record is.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from transformers import TrainerCallback


class MashbillRecord(TrainerCallback):
    def __init__(self, published, rows, base, revision="", trainer="trl"):
        self.published, self.rows, self.trainer = Path(published), rows, trainer
        self.base = {"name": base, "revision": revision} if base else None

    def on_train_end(self, args, state, control, model=None, **kwargs):
        out = Path(args.output_dir)
        if state.is_world_process_zero:
            model.save_pretrained(out)
            sha256 = lambda path: hashlib.sha256(path.read_bytes()).hexdigest()  # noqa: E731
            told = json.loads((self.published / "bill.json").read_text())
            sums = sha256(self.published / "SHA256SUMS")
            data = {"artifact": told["artifact"], "digest": told["digest"], "sums": sums}
            record = {"format": 1, "base": self.base, "datasets": [data | {"rows": self.rows}]}
            record["trainer"] = {"name": self.trainer, "version": version(self.trainer)}
            record |= {"steps": state.global_step, "epochs": state.epoch}
            record["counted"] = f"input tokens, {args.include_num_input_tokens_seen}"
            record["tokens"] = state.num_input_tokens_seen or None
            record["weights"] = {path.name: sha256(path) for path in out.glob("*.safetensors")}
            (out / "mashbill.json").write_text(json.dumps(record, indent=1))
