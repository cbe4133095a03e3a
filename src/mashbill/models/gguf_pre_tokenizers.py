"""How GGUF names the ways in which byte-level tokenizers cut a text before they merge.

GGUF holds no rule but a name, ``tokenizer.ggml.pre``, and readers have the rules. Here are those
whose rules are known on both sides: a folder's tokenizer.json is led to a name by its steps, and a
name to the steps. What is not known is refused, since a text would be cut otherwise by the reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.extras import needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import pre_tokenizers

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BYTES_AND_WORDS = ("ByteLevel", False, True)
"""with the regular expression of GPT-2"""
_BYTES = ("ByteLevel", False, False)
PRE_TOKENIZERS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "gpt-2": (_BYTES_AND_WORDS,),
    "smollm": (("Digits", True), _BYTES_AND_WORDS),
    "qwen2": (("Split", _WORDS.format(digits=r"\p{N}"), "Isolated", False), _BYTES),
    "llama-bpe": (("Split", _WORDS.format(digits=r"\p{N}{1,3}"), "Isolated", False), _BYTES),
}
"""name -> the steps of tokenizer.json, as :func:`steps` gives them"""
COMPOSED = frozenset({"qwen2"})
"""names of ways before which letters are composed (NFC), as tokenizers of Qwen do and GGUF does not
say: transformers' models/qwen2/tokenization_qwen2.py"""


def steps(section: Any) -> tuple[tuple[Any, ...], ...]:
    """Return the steps of a pre_tokenizer of tokenizer.json, without what changes no token."""
    return tuple(_steps(section))


def _steps(section: Any) -> Iterator[tuple[Any, ...]]:
    waiting = [section]
    while waiting:
        step = waiting.pop(0)
        if not isinstance(step, dict):
            continue
        kind = step.get("type")
        if kind == "Sequence":
            waiting = [*(step.get("pretokenizers") or ()), *waiting]
        elif kind == "ByteLevel":
            yield ("ByteLevel", step.get("add_prefix_space", True), step.get("use_regex", True))
        elif kind == "Digits":
            yield ("Digits", step.get("individual_digits", False))
        elif kind == "Split":
            pattern = step.get("pattern") or {}
            yield (
                "Split", pattern.get("Regex", pattern), step.get("behavior"),
                step.get("invert", False),
            )  # fmt: skip
        else:
            yield (kind,)


def pre_tokenizer(name: str) -> pre_tokenizers.Sequence | None:
    """Return what a name stands for; None if it is not known here."""
    if name not in PRE_TOKENIZERS:
        return None
    with needs("a tokenizer of GGUF", "local"):
        from tokenizers import Regex, pre_tokenizers
    made: list[Any] = []
    for kind, *how in PRE_TOKENIZERS[name]:
        if kind == "ByteLevel":
            made.append(pre_tokenizers.ByteLevel(add_prefix_space=how[0], use_regex=how[1]))
        elif kind == "Digits":
            made.append(pre_tokenizers.Digits(individual_digits=how[0]))
        else:
            made.append(pre_tokenizers.Split(Regex(how[0]), how[1].lower(), invert=how[2]))
    return pre_tokenizers.Sequence(made)


def name_of(data: dict[str, Any]) -> str | None:
    """Return the name of how a tokenizer.json cuts texts; None if it has none that is known here.

    A whole word of the vocabulary is taken first (``ignore_merges``) by Llama 3's alone.
    """
    model = data.get("model") or {}
    found = steps(data.get("pre_tokenizer"))
    name = next((name for name, known in PRE_TOKENIZERS.items() if known == found), None)
    takes_whole = bool(model.get("ignore_merges"))
    return name if takes_whole == (name == "llama-bpe") else None
