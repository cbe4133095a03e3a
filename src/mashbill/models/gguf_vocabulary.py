"""A folder's tokenizer as GGUF has it: byte-level BPE, with a name for how it cuts texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from mashbill.core.errors import InputError, TeacherError
from mashbill.core.parsing import json_object
from mashbill.models.folder import ends_of, plain_tokenizer, template_of
from mashbill.models.folder_bounds import check_tokenizer
from mashbill.models.gguf_pre_tokenizers import PRE_TOKENIZERS, name_of, steps

if TYPE_CHECKING:
    from pathlib import Path

    from gguf import GGUFWriter

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5  # llama.cpp's types of tokens
_NORMALIZERS = (None, "NFC")
"""what is left out of a GGUF file: texts that are in NFC already are the same without"""
_REMEDY = (
    "the folder itself is loaded by transformers, and so is a teacher of engine 'transformers'"
)


@dataclass(frozen=True)
class Vocabulary:
    """See the module."""

    pre: str
    tokens: list[str]
    """one for each row of the embedding; those that no text becomes have names of their own"""
    kinds: list[int]
    merges: list[str]
    begins: int | None
    """token that every text begins with"""
    ends: tuple[int, ...]
    """tokens that end a text, the tokenizer's own first"""
    named: dict[str, int]
    """bos, pad, unk -> token"""
    template: str | None

    def write(self, writer: GGUFWriter) -> None:
        """Put it into a file's metadata."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.kinds)
        writer.add_token_merges(self.merges)
        for name, token in self.named.items():
            {
                "bos": writer.add_bos_token_id,
                "pad": writer.add_pad_token_id,
                "unk": writer.add_unk_token_id,
            }[name](token)
        if self.ends:
            writer.add_eos_token_id(self.ends[0])
        if len(self.ends) > 1:
            writer.add_eot_token_id(self.ends[1])
        writer.add_add_bos_token(self.begins is not None)
        writer.add_add_eos_token(value=False)
        if self.template:
            writer.add_chat_template(self.template)


def vocabulary_of(folder: Path, rows: int) -> Vocabulary:
    """Read a folder's tokenizer.

    Args:
        folder: with tokenizer.json.
        rows: of the model's embedding.

    Raises:
        InputError: naming what in it has no word in GGUF.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        msg = f"{folder} has no tokenizer.json, which a GGUF file is made of; {_REMEDY}"
        raise InputError(msg)
    check_tokenizer(file)
    data = json_object(file, error=InputError, what="a tokenizer")
    model = data.get("model") or {}
    _check_model(file, data, model)
    pre = _pre_of(file, data)
    tokens, kinds = _tokens(file, data, model, rows)
    tokenizer, begin = plain_tokenizer(folder)
    try:
        ends = ends_of(folder, tokenizer)
    except TeacherError:
        ends = ()
    named = {}
    said = json_object(folder / "tokenizer_config.json", error=InputError)
    for name in ("bos", "pad", "unk"):
        token = said.get(f"{name}_token")
        own = tokenizer.token_to_id(str(token.get("content") if isinstance(token, dict) else token))
        if token is not None and own is not None:
            named[name] = own
    if len(begin) > 1:
        _refuse(file, f"it begins each text with {len(begin)} tokens, and GGUF has one")
    if begin:
        named["bos"] = begin[0]
    return Vocabulary(
        pre=pre,
        tokens=tokens,
        kinds=kinds,
        merges=[m if isinstance(m, str) else " ".join(m) for m in model.get("merges") or ()],
        begins=begin[0] if begin else None,
        ends=ends,
        named=named,
        template=template_of(folder),
    )


def _check_model(file: Path, data: dict[str, Any], model: dict[str, Any]) -> None:
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback"):
        kind = "SentencePiece's BPE" if model.get("byte_fallback") else model.get("type")
        _refuse(file, f"it is {kind!s:.40}, and byte-level BPE is written")
    if not model.get("merges"):
        _refuse(file, "it merges nothing, and GGUF readers want merges")
    for key in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(key):
            _refuse(file, f"its model has {key} = {model[key]!r:.40}")
    normalizer = data.get("normalizer") or {}
    if normalizer.get("type") not in _NORMALIZERS:
        _refuse(file, f"it changes texts before it cuts them ({normalizer.get('type')!s:.40})")


def _pre_of(file: Path, data: dict[str, Any]) -> str:
    name = name_of(data)
    if name is None:
        found = steps(data.get("pre_tokenizer"))
        how = ", ".join(" ".join(map(str, step)) for step in found) or "not at all"
        whole = ", and takes whole words of its vocabulary first"
        merges_whole = bool((data.get("model") or {}).get("ignore_merges"))
        _refuse(
            file,
            f"it cuts texts in a way that GGUF readers have no name for here ({how:.200}"
            f"{whole * merges_whole}); known are those called {', '.join(PRE_TOKENIZERS)}",
        )
    return name


def _tokens(
    file: Path, data: dict[str, Any], model: dict[str, Any], rows: int
) -> tuple[list[str], list[int]]:
    """Return the tokens by their numbers, and their kinds."""
    found: dict[int, tuple[str, int]] = {
        number: (token, _NORMAL) for token, number in (model.get("vocab") or {}).items()
    }
    for token in data.get("added_tokens") or ():
        kind = _CONTROL if token.get("special") else _USER_DEFINED
        found[token["id"]] = (token["content"], kind)
    most = max(found, default=-1)
    if most >= rows:
        _refuse(file, f"it has a token {most:,}, and the model's embedding has {rows:,} rows")
    every = [found.get(number, (f"[PAD{number}]", _UNUSED)) for number in range(rows)]
    return [token for token, _ in every], [kind for _, kind in every]


def _refuse(file: Path, what: str) -> NoReturn:
    msg = f"{file}: {what}, so no GGUF file is made of it; {_REMEDY}"
    raise InputError(msg)
