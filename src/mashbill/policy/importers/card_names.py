"""What a card means where it names a model or a dataset: an id on the hub, or no such thing.

Programs that write cards (transformers' Trainer, TRL, PEFT, AutoTrain, LLaMA-Factory) put there
what they were given: a path, the loader that read files (``json``, ``generator``), the text
``None``. Two cards that share one of these have no ancestor in common.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from reprlib import repr as brief
from typing import Any, Literal

from mashbill.core.nothing import is_nothing
from mashbill.policy.importers.imported import HUB_ID, NO_OWNERS, from_address
from mashbill.policy.importers.naming_nothing import no_name

LOADERS = frozenset(
    ["arrow", "audiofolder", "autofolder", "bids", "cache", "conll", "csv", "dicomfolder",
     "elasticsearch", "eval", "fasta", "fastq", "folder_based_builder", "folder_builder",
     "genbank", "generator", "h5folder", "harbor", "hdf5", "iceberg", "imagefolder", "json",
     "lance", "meshfolder", "midifolder", "mmcif", "niftifolder", "pandas", "parquet", "pdb",
     "pdffolder", "spark", "sparse_csv", "sql", "text", "tsfile", "tsv", "videofolder", "vortex",
     "webdataset", "xml", "zarr", "zarrfolder"]
)  # fmt: skip
"""src/datasets/packaged_modules of huggingface/datasets, what is only proposed there, too"""

_FOLDERS = frozenset(
    [".", "..", "adapter", "adapters", "artifacts", "base", "best", "cache", "checkpoint",
     "checkpoints", "ckpt", "ckpts", "content", "corpus", "data", "dataset", "datasets", "dir",
     "download", "downloads", "experiment", "experiments", "export", "exports", "final",
     "finetuned", "folder", "home", "input", "inputs", "last", "latest", "llms", "local", "log",
     "logs", "lora", "merged", "mnt", "model", "models", "opt", "out", "output", "outputs",
     "path", "pretrained", "processed", "project", "projects", "raw", "repo", "result", "results",
     "root", "run", "runs", "save", "saved", "saves", "scratch", "src", "storage", "temp", "test",
     "tests", "tmp", "train", "trained", "trainer", "training", "usr", "val", "valid",
     "validation", "var", "weights", "work", "workspace"]
)  # fmt: skip
"""words of which names of folders are made"""
_OWN = frozenset(
    ["confidential", "custom", "dataset", "in house", "inhouse", "internal", "mixed", "multiple",
     "my", "other", "others", "our", "own", "private", "proprietary", "synthetic", "the",
     "various", "your"]
)  # fmt: skip
"""words for data or models that are nobody else's"""
CHECKPOINT = re.compile(r"(checkpoint|ckpt|epoch|global_?step|iter|step)[-_]?\d+", re.IGNORECASE)
_FILE = re.compile(
    r"\.(arrow|bin|ckpt|csv|feather|gguf|gz|h5|hdf5|jpg|json|jsonl|json5|md|ndjson|npy|npz|onnx|"
    r"parquet|pickle|pkl|png|pt|pth|py|safetensors|sqlite|tar|tgz|tsv|txt|xlsx|xml|yaml|yml|zip|"
    r"zst)$",
    re.IGNORECASE,
)
_KEYS = {
    "dataset": ("id", "repo_id", "repo", "path", "hf_id", "dataset", "type", "name"),
    "model": ("id", "repo_id", "repo", "model_id", "model", "base_model", "path", "name"),
}
"""keys by which an object names its repository, the surest first"""
_MANY = 10_000  # names under one key


@dataclass(frozen=True)
class Named:
    """What a value of a card names."""

    name: str = ""
    """id on the hub; empty if it is none"""
    note: str = ""
    """what speaks against it, or which revision it is"""
    reason: str = ""
    """why it is no id; empty if it is one"""


def listed(value: Any) -> list[Any]:
    """Return the values of a key, be it one or a list, lists within it as well."""
    found: list[Any] = []
    waiting = [] if value is None else [value]
    while waiting and len(found) < _MANY:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += reversed(item)
        else:
            found.append(item)
    return found


def read_name(value: Any, what: Literal["model", "dataset"]) -> Named:
    """Return what a value names, or why it names nothing."""
    if isinstance(value, dict):
        return _of_object(value, what)
    if value is None:
        return Named(reason="null names nothing")
    if isinstance(value, bool):
        told = "true" if value else "false"
        reason = f"{told} is no id on the hub; YAML reads yes, no, on and off so: put it in quotes"
        return Named(reason=reason)
    if isinstance(value, str):
        return _of_text(value, what)
    told = str(value)[:80] if isinstance(value, int | float) else brief(str(value))
    return Named(reason=f"{told} is no id on the hub")


def _of_text(value: str, what: Literal["model", "dataset"]) -> Named:
    text = value.strip()
    if is_nothing(text):
        return Named(reason=f"{brief(value)} says that there is none")
    if what == "dataset" and text.casefold() in LOADERS:
        reason = f"{brief(value)} is a loader of the library datasets, and no dataset"
        return Named(reason=reason)
    if re.match(r"https?://", text, re.IGNORECASE):
        return _of_address(value, text, what)
    bare = re.sub(r"^hf:(//)?", "", text)
    if _is_path(bare):
        return Named(reason=f"{brief(value)} is a path, which says nothing to others")
    bare, _, revision = bare.partition("@")
    plain = bare.removeprefix("datasets/") if what == "dataset" else bare
    if not HUB_ID.fullmatch(plain) or re.search(r"--|\.\.|[.-]$|[.-]/", plain):
        return Named(reason=f"{brief(value)} is no id on the hub")
    if reason := no_name(plain):
        return Named(reason=reason)
    if (doubt := _doubt(plain)) and "/" not in plain:
        return Named(reason=f"{brief(value)} {doubt}, and no id on the hub")
    owner = plain.partition("/")[0]
    if "/" in plain and owner.lower() in NO_OWNERS:
        return Named(reason=f"{brief(value)} is a path: the hub has no owner {owner!r}")
    if plain != bare and "/" not in plain:
        doubt = doubt or "may be a folder of one's own"
    notes = [f"the card writes {brief(value)}, which {doubt}"] if doubt else []
    notes += [f"at revision {revision[:80]}"] if revision else []
    return Named(plain, "; ".join(notes))


def _of_object(value: dict[Any, Any], what: Literal["model", "dataset"]) -> Named:
    """Return what an object names: the first of its keys that holds an id, with its owner first."""
    found = [
        _of_text(value[key], what)
        for key in _KEYS[what]
        if isinstance(value.get(key), str) and value[key].strip()
    ]
    named = [one for one in found if one.name]
    # Beside a path, "type" is the format of a prompt, and "name" a configuration.
    owned = [one for one in named if "/" in one.name]
    if not owned and (not named or isinstance(value.get("path"), str)):
        reason = f"{brief(value)} names no repository"
        return Named(reason=f"{reason}: {found[0].reason}" if found and found[0].reason else reason)
    one = (owned or named)[0]
    revision = value.get("revision")
    if not isinstance(revision, str | int) or isinstance(revision, bool) or "revision" in one.note:
        return one
    told = f"at revision {str(revision)[:80]}"
    return Named(one.name, f"{one.note}; {told}" if one.note else told)


def _of_address(value: str, text: str, what: str) -> Named:
    found = from_address(text)
    if found is None:
        return Named(reason=f"{brief(value)} is no address of a repository on the hub")
    if found[1] != what:
        kinds = {"model": "a model", "dataset": "a dataset"}
        return Named(reason=f"{brief(value)} is the address of {kinds[found[1]]}")
    return Named(found[0])


def _is_path(text: str) -> bool:
    """Return whether a text is surely a path, or an address of another kind."""
    return (
        text.startswith((".", "/", "~", "$", "%"))
        or text.endswith("/")
        or "\\" in text
        or "//" in text
        or re.match(r"[A-Za-z]:", text) is not None
        or text.removeprefix("datasets/").count("/") > 1
    )


def _doubt(name: str) -> str:
    """Return what speaks for a path or a word in an id; empty if nothing does."""
    parts = name.split("/")
    if CHECKPOINT.fullmatch(parts[-1]):
        return "may be a checkpoint of a run" if len(parts) > 1 else "is a checkpoint of a run"
    if _FILE.search(parts[-1]):
        return "may be a file" if len(parts) > 1 else "is a file"
    if _are_folders(parts[0]):
        return "may be a path" if len(parts) > 1 else "is a word for something of one's own"
    return ""


def _are_folders(part: str) -> bool:
    """Return whether a part of an id is made of words for folders, or for what is one's own."""
    split = re.split(r"[-_.]+", part.casefold())
    words = [word for word in split if not re.fullmatch(r"v?\d+", word)]
    return bool(words) and all(word in _FOLDERS or word in _OWN for word in words)
