"""Which files of a model that was trained elsewhere are taken, and under which names.

What an engine or a reader of the model needs: weights as safetensors or GGUF, tables of JSON,
templates, tokenizers. Weights that are pickles are not taken, since loading them runs code; nor is
what a training left to go on from (checkpoints, optimiser states, logs).
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import digest_file
from mashbill.core.curves import CURVES
from mashbill.core.errors import InputError
from mashbill.core.parsing import check_regular, json_object
from mashbill.core.store import LEARNED, MANIFEST, NODES
from mashbill.core.training_record import RECORD
from mashbill.models.folder_bounds import check_config

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CARD = "trainer-card.md"
"""under which the README.md of a trainer is kept: ``mashbill publish`` writes one of its own"""
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_README = "README.md"
_WEIGHTS = (".safetensors", ".gguf")
_TAKEN = (*_WEIGHTS, ".json", ".jinja", ".model", ".txt", ".tiktoken", ".yml", ".yaml")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_STATE = frozenset(["training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"])
_OURS = frozenset([MANIFEST, NODES, LEARNED, CURVES])
_WRITTEN = frozenset(["bill.json", "form.json"])
"""what ``mashbill publish`` writes beside what it hands on"""
_MOST = 5_000


def taken(path: Path, shown: str) -> list[str]:
    """Return the names of the files that are taken of a folder, in order; of a file its own.

    Args:
        path: of the folder, or of a GGUF file.
        shown: what messages call it.

    Raises:
        InputError: if there is no model, or one of ours, and what to do.
    """
    if path.is_file():
        if path.suffix != ".gguf":
            msg = (
                f"{shown} is a file, and no GGUF by its name; name the folder that holds the model"
            )
            raise InputError(msg)
        return [path.name]
    if not path.is_dir():
        beside = sorted(item.name for item in path.parent.iterdir()) if path.parent.is_dir() else []
        there = f"; beside it there are {', '.join(beside[:8])}" if beside else ""
        msg = f"{shown}: there is no such folder{there}; name what the trainer wrote"
        raise InputError(msg)
    names = sorted(item.name for item in path.iterdir() if item.is_file())
    if {MANIFEST, NODES} <= set(names):
        msg = (
            f"{shown}: holds {MANIFEST} and {NODES}, so it is a model that mashbill made, whose "
            'bill says what it was made from; name it in [models.NAME] with kind = "artifact"'
        )
        raise InputError(msg)
    found = [name for name in names if name.endswith(_TAKEN) and name not in _OURS | _WRITTEN]
    found += [_README] if _README in names else []
    if not any(name.endswith(_WEIGHTS) for name in found):
        pickles = [name for name in names if name.endswith(_PICKLES) and name not in _STATE]
        is_pickle = f": {pickles[0]} is a pickle, and loading it runs code" if pickles else ""
        msg = (
            f"{shown}: has no weights as safetensors or GGUF{is_pickle}; save the model with "
            "save_pretrained, or name the folder that has them"
        )
        raise InputError(msg)
    if len(found) > _MOST:
        msg = f"{shown}: has {len(found):,} files; {_MOST:,} are taken at most"
        raise InputError(msg)
    return sorted(found)


def kept_as(name: str) -> str:
    """Return the name under which a file is kept."""
    return CARD if name == _README else name


def is_adapter(path: Path) -> bool:
    """Return whether a folder holds adapters, which need the weights that they were made for."""
    return path.is_dir() and (path / ADAPTER).is_file()


def is_quantised(path: Path) -> bool:
    """Return whether the files themselves say that weights are in fewer bits."""
    if path.is_file():
        return True
    names = [item.name for item in path.iterdir() if item.is_file()]
    if any(name.endswith(".gguf") for name in names):
        return True
    config = path / "config.json"
    return config.is_file() and bool(
        json_object(config, error=InputError).get("quantization_config")
    )


def check_files(path: Path, names: Iterable[str], shown: str) -> None:
    """See that tables of a model ask for nothing that no model needs.

    Raises:
        InputError: naming the file and the key.
    """
    for name in names:
        if name in {"config.json", ADAPTER}:
            table: dict[str, Any] = json_object(
                path / name, shown=f"{shown}/{name}", error=InputError
            )
            if name == "config.json":
                check_config(table, f"{shown}/{name}")


def copy_files(path: Path, names: Iterable[str], out: Path) -> None:
    """Copy files of a model, each whole; a link's file, and not the link."""
    for name in names:
        source = path if path.is_file() else path / name
        check_regular(source, error=InputError)
        shutil.copyfile(source, out / kept_as(name))


def copy_base(base: Path, out: Path) -> None:
    """Copy the weights that adapters were made for beside them, as our own trainer keeps both."""
    for item in sorted(base.iterdir()):
        is_weights = item.name.startswith("model") and ".safetensors" in item.name
        if (is_weights or item.name.endswith((".json", ".jinja", ".model", ".txt"))) and not (
            (out / item.name).exists() or item.name in _OURS | _WRITTEN | {RECORD}
        ):
            shutil.copyfile(item, out / item.name)


def weights_of(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of weights."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {item.name: digest_file(item) for item in files if item.name.endswith(_WEIGHTS)}
