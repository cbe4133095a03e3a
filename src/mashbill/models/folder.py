"""Weights in a folder as hubs keep them: which files an engine reads, and how it is described."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from mashbill.calls.paid_call import request_digest
from mashbill.core.errors import InputError, TeacherError
from mashbill.core.extras import needs
from mashbill.core.parsing import foreign, read_json, read_text
from mashbill.core.store import write_atomically
from mashbill.files.fetch import is_elsewhere
from mashbill.files.listing import fetch_all, listing_digest
from mashbill.models.chat_template import FILE, ChatTemplate
from mashbill.models.folder_bounds import check_config, check_tokenizer
from mashbill.models.own_artifacts import check_folder, own_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokenizers import Tokenizer

    from mashbill.core.teacher import Question


_WEIGHTS = ".safetensors"


_WANTED = (_WEIGHTS, ".json", ".jinja", ".model", ".txt")


_NEEDED = ("config.json", "tokenizer.json")


def _check_asks_for_nothing(name: str, path: Path, address: str) -> None:
    """Raise TeacherError if a folder's file names what an engine would fetch besides, and run.

    And if it asks for more memory than any model needs.
    """
    if name == "adapter_config.json":
        msg = f"{address}: an adapter rests on weights that are not pinned; merge it into them"
        raise TeacherError(msg)
    if name == "tokenizer.json":
        check_tokenizer(path, f"{address}/{name}")
    waiting: list[Any] = [_read(path)] if name == "config.json" else []
    check_config(waiting[0] if waiting else {}, f"{address}/{name}")
    while waiting:
        table = waiting.pop()
        for key, value in table.items():
            if isinstance(value, dict):
                waiting.append(value)
            elif key.endswith("_implementation") and "/" in str(value):
                msg = (
                    f"{address}: config.json has {key} = {value!r:.80}, code of a hub, which would "
                    "be fetched and run; remove the key"
                )
                raise TeacherError(msg)


def _chosen(names: Sequence[str], address: str) -> list[str]:
    """Return the files of a folder that an engine reads."""
    chosen = [name for name in names if "/" not in name and name.endswith(_WANTED)]
    missing = [name for name in _NEEDED if name not in chosen]
    if not any(name.endswith(_WEIGHTS) for name in chosen):
        missing.append(f"*{_WEIGHTS}")
    if missing:
        msg = (
            f"{address}: has no {', '.join(missing)}; name a folder as "
            "save_pretrained of transformers writes it"
        )
        raise InputError(msg)
    return chosen


def _view(files: dict[str, Path], cache: Path, key: str) -> Path:
    """Return a folder of links to some files."""
    final = cache / "weights" / key
    if final.is_dir():
        links = {item.name: item.resolve() for item in final.iterdir() if item.is_symlink()}
        if links == files:
            return final
        shutil.rmtree(final)  # the folder that it linked to has moved
    scratch = cache / "weights" / f".{key}.{os.getpid()}"
    scratch.mkdir(parents=True)
    for name, path in files.items():
        (scratch / name).symlink_to(path)
    scratch.rename(final)
    return final


def pinned_folder(
    address: str, sha256: str | None, beside: Path, cache: Path, instead: str
) -> Path:
    """Return a folder of exactly the pinned files, fetching what lies elsewhere once.

    Args:
        address: of the folder.
        sha256: of the list of its files.
        beside: what a relative path starts from.
        cache: where fetched files are kept.
        instead: how a model that mashbill made is named in its place.

    Raises:
        InputError: if they cannot be had, are not pinned, are not those that are pinned, or are a
            model that mashbill made.
        TeacherError: if one of them asks for what is not done here.
    """
    if not is_elsewhere(address):
        check_folder(own_files(beside / address), address, instead)
    files = fetch_all(address, sha256, beside, cache, _chosen)
    if any("/" in file.name or not file.sha256 for file in files):
        msg = f"{address}: name the folder that holds config.json and the weights"
        raise InputError(msg)
    check_folder((file.path for file in files), address, instead)
    for file in files:
        _check_asks_for_nothing(file.name, file.path, address)
    found = listing_digest(files)
    if sha256 is None:
        msg = (
            f"{address}: pin sha256, so that it is the same tomorrow; as it is now, the SHA-256 of "
            f"the list of its {len(files)} files is sha256 = {found!r}"
        )
        raise InputError(msg)
    return _view({file.name: file.path.resolve() for file in files}, cache, found)


def digest_of_folder(path: Path) -> str:
    """Return the digest of the list of a folder's files, of those that are read, as it is now.

    Args:
        path: absolute, of a folder on this disk.

    Raises:
        InputError: if a file is lacking.
    """
    return listing_digest(fetch_all(path.name, None, path.parent, path.parent, _chosen))


def plain_tokenizer(weights: Path) -> tuple[Tokenizer, list[int]]:
    """Return the folder's tokenizer, and the tokens that it has every text begin with."""
    with needs("a folder of weights", "torch-teacher"):
        from tokenizers import Tokenizer

    file = weights / "tokenizer.json"
    with foreign(file, "a tokenizer", error=TeacherError):
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        bare = tokenizer.encode("a", add_special_tokens=False).ids
        full = tokenizer.encode("a").ids
    tokenizer.post_processor = None  # a body goes on where its prefix ends, and begins nothing
    tokenizer.encode_special_tokens = True  # a mark that a text spells out stays text
    starts = (i for i in range(len(full)) if full[i : i + len(bare)] == bare)
    return tokenizer, full[: next(starts, 0)]


def chat_of(weights: Path, tokenizer: Tokenizer, cache: Path) -> ChatTemplate:
    """Return the folder's chat template.

    Raises:
        TeacherError: if there is none, or the folder does not say what ends an answer.
    """
    folder = cache / "chat" / weights.name
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE, json.dumps(describe(weights, tokenizer)).encode())
    return ChatTemplate(folder, tokenizer)


def describe(weights: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return what a chat needs to know of a folder: see :func:`chat_template.describe`.

    Raises:
        TeacherError: if the folder does not say it.
    """
    template = template_of(weights)
    if not template:
        msg = f"{weights} has no chat template, so it cannot be asked to write"
        raise TeacherError(msg)
    known = list(ends_of(weights, tokenizer))
    said = _read(weights / "tokenizer_config.json")
    added = tokenizer.get_added_tokens_decoder().values()
    return {
        "template": template,
        "context": context_of(weights),
        "special": sorted(token.content for token in added if token.special),
        "ends": known,
        "bos": _content(said.get("bos_token")),
        "eos": _content(said.get("eos_token")),
    }


def template_of(weights: Path) -> str | None:
    """Return the folder's chat template; None if it has none."""
    file = weights / "chat_template.jinja"
    if file.exists():
        return read_text(file, error=TeacherError) or None
    template = _read(weights / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):  # of name and template
        template = next((t["template"] for t in template if t["name"] == "default"), None)
    return template or None


def ends_of(weights: Path, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the ids of the tokens that end an answer, the tokenizer's own end of text first.

    Raises:
        TeacherError: if the folder does not say it.
    """
    config, said, generation = (
        _read(weights / name)
        for name in ("config.json", "tokenizer_config.json", "generation_config.json")
    )
    ends = generation.get("eos_token_id", config.get("eos_token_id"))
    ends = ends if isinstance(ends, list) else [ends]
    own = tokenizer.token_to_id(_content(said.get("eos_token")))
    known = sorted({end for end in (*ends, own) if isinstance(end, int)})
    if not known:
        msg = f"{weights}: neither its config nor its tokenizer says which token ends an answer"
        raise TeacherError(msg)
    return tuple(sorted(known, key=lambda end: end != own))


def context_of(weights: Path) -> int:
    """Return the tokens, read and written, that the model was made for; 0 if it does not say."""
    config = _read(weights / "config.json")
    found = config.get("max_position_embeddings") or config.get("n_positions") or 0
    return found if isinstance(found, int) else 0


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    data = read_json(path, error=TeacherError)
    return data if isinstance(data, dict) else {}


def _content(token: Any) -> str:
    """Return a token's text; tokenizer_config.json has it bare or in a table."""
    return str(token.get("content", "") if isinstance(token, dict) else token or "")


def seed_of(seed: int, question: Question) -> int:
    """Return a seed that follows from the teacher's and from what is asked, sample included."""
    return int(request_digest({"seed": seed}, question)[:12], 16)
