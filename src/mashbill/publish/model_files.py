"""A trained model as one file that others' programs read, with its bill beside it and in it.

GGUF for what writes, ONNX for classifiers. The file carries where it comes from in its own
metadata: the artifact's address and content digest, the SHA-256 of ``bill.json`` beside it, that of
the verdicts in it, and the ledger's entry.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.core.shown import json_text
from mashbill.core.store import write_atomically
from mashbill.lineage.exports import gather
from mashbill.lineage.exports.bill_file import BILL_FILE, bill_text
from mashbill.models.engine_choice import is_causal
from mashbill.models.linear import LETTERS, LinearPredictor
from mashbill.models.linear_features import FEATURES_FILE, featuriser
from mashbill.models.quantisations import QUANTISATIONS
from mashbill.publish.publish import check_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store
    from mashbill.lineage.exports import Account

MODEL_FORMATS = {
    "gguf": "GGUF: one file of a model that writes, as llama.cpp reads it",
    "onnx": "ONNX: a classifier's graph, with a file of Python that turns texts into its features",
}
"""format -> what it is"""

_LINEAR = ("classifier", "merge", "quantise")
"""kinds of stages whose models are linear classifiers"""


@dataclass(frozen=True)
class ModelFile:
    """A model that was written as a file."""

    paths: list[Path]
    """the file, and what lies beside it"""
    told: str
    """what is in it, in a sentence"""


def write_model(
    store: Store,
    manifest: Manifest,
    format: str,  # noqa: A002 - the option's name
    to: Path,
    quantise: str | None = None,
) -> ModelFile:
    """Write a model in a format of :data:`MODEL_FORMATS`, and its bill beside it.

    Args:
        store: where it is.
        manifest: which one.
        format: as above.
        to: the file; it is replaced if it is there.
        quantise: of :data:`QUANTISATIONS`, for GGUF.

    Raises:
        InputError: if it is no model of that kind, or cannot be written so, and what to do.
        StoreError: if its files are not those that were committed.
        MissingExtraError: if a package that is needed is not installed.
    """
    if manifest.kind != "model":
        msg = (
            f"{manifest.ref} is a dataset, and {format} holds a model; `mashbill publish` writes "
            "its rows"
        )
        raise InputError(msg)
    if to.is_dir():
        msg = f"{to} is a folder; name the file that is to be written in it"
        raise InputError(msg)
    store.check_there(manifest.ref, "its weights")
    check_files(store, manifest)
    account = gather(store, manifest)
    bill = bill_text(account)
    beside = {BILL_FILE: bill}
    with _whole(to) as scratch:
        if format == "onnx":
            told, beside[FEATURES_FILE] = _onnx(store, account, bill, scratch)
        else:
            told = _gguf(store, account, bill, scratch, quantise)
    for name, text in beside.items():
        write_atomically(to.parent / name, text.encode())
    return ModelFile([to, *(to.parent / name for name in beside)], told)


@contextmanager
def _whole(to: Path) -> Iterator[Path]:
    """Give a name to write under, which becomes the file's if nothing fails."""
    to.parent.mkdir(parents=True, exist_ok=True)
    scratch = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        yield scratch
        scratch.replace(to)
    finally:
        scratch.unlink(missing_ok=True)


def _gguf(store: Store, account: Account, bill: str, to: Path, quantise: str | None) -> str:
    manifest = account.manifest
    how: Any = quantise or "f16"
    if how not in QUANTISATIONS:
        msg = f"--quantise {how!r:.40}: choose of {', '.join(QUANTISATIONS)}"
        raise InputError(msg)
    folder = store.folder("model", manifest.ref)
    if not is_causal(folder):
        msg = (
            f"{manifest.ref} (kind {manifest.stage.get('kind')!r}) is no language model in a "
            "folder as transformers keeps it, and of such GGUF is written; `mashbill publish` "
            "hands its own files on, and --format onnx writes a classifier"
        )
        raise InputError(msg)
    with needs("writing GGUF", "students"):
        from mashbill.models.gguf_writing import write_gguf
    done = write_gguf(folder, to, how, facts_of(account, bill))
    return (
        f"architecture {done.architecture}, {done.parameters:,} parameters, matrices: {done.told}"
    )


def _onnx(store: Store, account: Account, bill: str, to: Path) -> tuple[str, str]:
    """Write a classifier; return what is told, and the text of its featuriser."""
    manifest = account.manifest
    if manifest.stage.get("kind") not in _LINEAR:
        msg = (
            f"{manifest.ref} (kind {manifest.stage.get('kind')!r}) is no linear classifier, and of "
            "such ONNX is written; --format gguf writes a model that writes"
        )
        raise InputError(msg)
    with needs("writing ONNX", "onnx"):
        from mashbill.models.linear_onnx import write_onnx
    model = LinearPredictor.load(store.folder("model", manifest.ref))
    if model.rule == LETTERS:
        msg = (
            f'{manifest.ref} was trained with features = "letters", of which no ONNX is written; '
            'train one with features = "words" for that, or hand its own files on'
        )
        raise InputError(msg)
    count = write_onnx(model, to, facts_of(account, bill))
    told = (
        f"{len(model.labels)} labels, {count:,} weights; {FEATURES_FILE} turns texts into what it "
        "reads"
    )
    return told, featuriser(str(manifest.ref), account.version, model.buckets, model.rule)


def facts_of(account: Account, bill: str) -> dict[str, str | int]:
    """Return what a file says of where it comes from, by GGUF's keys and our own.

    Args:
        account: of the artifact.
        bill: the text of ``bill.json``.
    """
    manifest = account.manifest
    verdicts = [verdict.as_json() for pair in account.verdicts for verdict in pair]
    facts: dict[str, str | int] = {
        "general.name": str(manifest.ref),
        "mashbill.artifact": str(manifest.ref),
        "mashbill.artifact.sha256": manifest.digest,
        "mashbill.bill": BILL_FILE,
        "mashbill.bill.sha256": digest_bytes(bill.encode()),
        "mashbill.verdicts.sha256": digest_bytes(json_text(verdicts).encode()),
        "mashbill.ledger.entry": account.step.entry.digest,
        "mashbill.version": account.version,
    }
    if account.stated_license:
        facts["general.license"] = account.stated_license
    bases = dict.fromkeys(
        line.source for line in account.lines if line.source.what == "model" and line.is_base
    )
    if bases:
        facts["general.base_model.count"] = len(bases)
    for number, base in enumerate(bases):
        key = f"general.base_model.{number}"
        facts[f"{key}.name"] = base.name
        facts[f"{key}.organization"] = base.provider
        if base.version:
            facts[f"{key}.version"] = base.version
    return facts
