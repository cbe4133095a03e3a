"""Loading a causal language model from a folder as ``save_pretrained`` writes it.

An adapter (adapter_config.json) is loaded upon its base, which lies in the same folder, as plain
transformers finds it too, or in the folder that the adapter's config names, beside it or anywhere
on this disk. Nothing is fetched, and no code of the folder is run.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import AutoModelForCausalLM
from transformers.utils import logging

from mashbill.core.errors import StoreError
from mashbill.core.extras import needs
from mashbill.core.parsing import foreign, json_object
from mashbill.models.folder_bounds import check_config, check_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

ADAPTER = "adapter_config.json"
_REMEDY = "run `mashbill audit`, or make the model again"


def load_causal(folder: Path, *, dtype: Any, device: str = "cpu") -> Any:
    """Return the model of a folder, in evaluation mode.

    Args:
        folder: its files.
        dtype: a torch dtype, of weights and activations.
        device: where it goes.

    Raises:
        StoreError: if transformers cannot load it, or the base of an adapter is not there.
        MissingExtraError: if it is an adapter and peft is not installed.
    """
    base = base_folder(folder)
    if (folder / ADAPTER).exists():
        # transformers leaves an adapter out, and says nothing, where peft is not there
        with needs("a model that is an adapter", "students"):
            import peft  # noqa: F401
        if not (folder / "adapter_model.safetensors").is_file():
            msg = f"{folder} has {ADAPTER} and no adapter_model.safetensors; {_REMEDY}"
            raise StoreError(msg)
    check_config(json_object(base / "config.json", error=StoreError), base / "config.json")
    if (folder / "tokenizer.json").exists():
        check_tokenizer(folder / "tokenizer.json")
    with (
        _together(base, folder) as whole,
        foreign(folder, "a language model", error=StoreError, remedy=_REMEDY),
        no_bar(),
    ):
        model = AutoModelForCausalLM.from_pretrained(
            whole,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    return model.to(device).eval()


def base_folder(folder: Path) -> Path:
    """Return where a model's own weights lie: the folder, or the one that its adapter rests on.

    Raises:
        StoreError: if that is not on this disk.
    """
    if not (folder / ADAPTER).exists() or (folder / "config.json").exists():
        return folder
    named = json_object(folder / ADAPTER, error=StoreError).get("base_model_name_or_path")
    base = folder / str(named or "")
    if not named or not (base / "config.json").is_file():
        msg = (
            f"{folder / ADAPTER}: base_model_name_or_path is {named!r:.200}, and no folder with a "
            "config.json is there; put the base's files beside the adapter's, or train with "
            "merge = true"
        )
        raise StoreError(msg)
    return base


@contextmanager
def _together(base: Path, folder: Path) -> Iterator[Path]:
    """Give a folder in which an adapter lies beside its base."""
    if base == folder:
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch)
        for item in (*base.iterdir(), *folder.iterdir()):
            link = whole / item.name
            if item.is_file():
                link.unlink(missing_ok=True)
                link.symlink_to(item.resolve())
        yield whole


@contextmanager
def no_bar() -> Iterator[None]:
    """Keep transformers from drawing a bar for each file of weights."""
    if not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
