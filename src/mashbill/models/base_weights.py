"""The weights that a trainer starts from, as a folder that plain transformers loads.

A folder or a repository of a hub is shown as it is, its pinned files and no others. A GGUF file is
dequantised to float32 once, and kept in the cache by its digest: what its quantised numbers stand
for is kept whole, and tokenizer, chat template and generation settings come with it.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import TYPE_CHECKING

from mashbill.core.base_model import BaseWeights, FolderModel, GgufModel, HubModel, Outside
from mashbill.core.canonical import digest_bytes, digest_file
from mashbill.core.errors import InputError, TeacherError
from mashbill.core.explaining import near
from mashbill.core.extras import needs
from mashbill.core.parsing import json_object
from mashbill.files.fetch import fetch, is_elsewhere, unpacked
from mashbill.models.folder import pinned_folder
from mashbill.models.own_artifacts import AS_BASE, check_folder, check_gguf, own_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MADE = "1"  # of how a GGUF file is written as a folder: another way gives another folder


def weights_of(name: str, spec: Outside, beside: Path, cache: Path) -> BaseWeights:
    """Return the weights of a ``[models.NAME]`` that comes from outside, fetching them once.

    Args:
        name: as the recipe calls it, for errors.
        spec: its table.
        beside: the recipe's folder, from which relative paths start.
        cache: where fetched and converted files are kept.

    Raises:
        InputError: if they cannot be had, are not those that are pinned, are a model that mashbill
            made, or are of a kind that cannot be loaded.
        MissingExtraError: if a package that is needed is not installed.
    """
    try:
        if isinstance(spec, HubModel | FolderModel):
            folder = pinned_folder(spec.address, spec.sha256 or None, beside, cache, AS_BASE)
            check_architecture(folder, spec.address)
        else:
            folder = _dequantised(spec, beside, cache)
    except (InputError, TeacherError) as error:
        msg = f"models.{name}: {error}"
        raise InputError(msg) from error
    return BaseWeights(folder, spec.digest, spec.source.title)


def check_at_hand(name: str, spec: Outside, beside: Path, cache: Path) -> None:
    """See that a base which lies beside the recipe is there and pinned, fetching nothing.

    Args:
        name: as the recipe calls it, for errors.
        spec: its table.
        beside: the recipe's folder.
        cache: where converted files are kept.

    Raises:
        InputError: if it is not there, is a model that mashbill made, or its digest is not pinned:
            then with the digest it has.
    """
    (address,) = spec.addresses()
    if is_elsewhere(address):
        return
    path = beside / address
    if not path.exists():
        key = "file" if isinstance(spec, GgufModel) else "folder"
        there = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = near(path.name, there) or "; correct the path"
        msg = f"models.{name}.{key} = {address!r}: there is nothing at {path}{hint}"
        raise InputError(msg)
    try:
        if path.is_dir():
            check_folder(own_files(path), address, AS_BASE)
        elif isinstance(spec, GgufModel) and not spec.member:
            check_gguf(path, address, AS_BASE)
    except (InputError, TeacherError) as error:
        msg = f"models.{name}: {error}"
        raise InputError(msg) from error
    if not spec.sha256:
        weights_of(name, spec, beside, cache)


def check_architecture(folder: Path, shown: str) -> None:
    """See that transformers knows the architecture of a folder, without running code of its own.

    Raises:
        InputError: naming the architecture.
    """
    with needs("starting from weights", "students"):
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    config = json_object(folder / "config.json", shown=f"{shown}/config.json", error=InputError)
    told = config.get("model_type")
    if not isinstance(told, str) or told not in CONFIG_MAPPING_NAMES:
        brings = "; code that a folder brings along is not run" if "auto_map" in config else ""
        is_text = isinstance(told, str) and not brings
        hint = near(str(told), CONFIG_MAPPING_NAMES) if is_text else ""
        msg = (
            f"{shown}: config.json has model_type = {told!r:.80}, which is no architecture that "
            f"transformers has{hint}{brings}; name another model"
        )
        raise InputError(msg)


def _dequantised(spec: GgufModel, beside: Path, cache: Path) -> Path:
    """Return the folder of a GGUF file, made if it is not there.

    One that an older release made, which did not look whose the file is, is looked at once.
    """
    if not spec.sha256:
        path = fetch(spec.file, None, beside, cache)
        msg = (
            f"{spec.file}: pin sha256, so that it is the same tomorrow; as it is now, it is "
            f"sha256 = {digest_file(path)!r}"
        )
        raise InputError(msg)
    key = digest_bytes(f"{spec.digest} {_MADE}".encode())
    final = cache / "bases" / key
    is_made, looked = (final / "config.json").is_file(), cache / "bases" / f"{key}.looked"
    if is_made and looked.is_file():
        return final
    path = fetch(spec.file, spec.sha256, beside, cache)
    path = unpacked(path, spec.member, cache) if spec.member else path
    check_gguf(path, spec.file, AS_BASE)
    if is_made:
        looked.touch()
        return final
    with needs("starting from a GGUF file", "students"):
        from mashbill.models.gguf_folder import write_folder

    _made_once(final, partial(write_folder, path))
    looked.touch()
    return final


def whole_weights(folder: Path, digest: str, cache: Path) -> Path:
    """Return the folder of a trained model as one of whole weights: adapters are added to theirs.

    Args:
        folder: of the model.
        digest: of its content.
        cache: where it is kept, once.

    Raises:
        StoreError: if adapters cannot be loaded.
    """
    if not (folder / "adapter_config.json").is_file():
        return folder
    final = cache / "bases" / digest_bytes(f"{digest} merged {_MADE}".encode())
    if not (final / "config.json").is_file():
        with needs("starting from adapters", "students"):
            from mashbill.models.adapter_folder import write_merged

        _made_once(final, partial(write_merged, folder))
    return final


def _made_once(final: Path, write: Callable[[Path], None]) -> None:
    """Let a folder be written, whole or not at all, whoever else writes it at the same time."""
    scratch = final.with_name(f".{final.name}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        write(scratch)
        if not final.is_dir():
            scratch.rename(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
