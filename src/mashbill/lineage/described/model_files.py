"""What a model's own files say of it: architecture, size, context, tokenizer, whole or adapter.

The kind of the stage decides nothing here, so that a model that was trained elsewhere, or by a
plugin, is told as well as one of ours. What a file does not say is None or empty.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from mashbill.core.errors import MashbillError
from mashbill.core.evaluation import is_number
from mashbill.core.parsing import json_object
from mashbill.core.tensor_header import tensors_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mashbill.core.artifact import Manifest

Form = Literal["linear", "decoder", "transformers", "gguf", "other"]
"""how a model is kept: our linear classifier, our small decoder, a folder of transformers or of
peft, one file of llama.cpp, or something else"""

CONFIG, TOKENIZER, TEMPLATE = "config.json", "tokenizer.json", "chat_template.jinja"
ADAPTER, WEIGHTS = "adapter_config.json", ".safetensors"
RULES = {1: "words (rule 1)", 2: "words", 3: "words, pairs of words and letters in a row"}
"""rule of a linear classifier -> what it looks at; as :mod:`mashbill.models.linear` numbers them"""
_LONGEST = 200  # letters of a text that a file gives
_LABELS = 10_000
_CONFIG_BYTES = 8 << 20
_TOKENIZER_BYTES = 64 << 20


@dataclass(frozen=True)
class Built:
    """How a model is built, as its files say it."""

    form: Form
    config: dict[str, Any]
    """of config.json; empty if there is none that can be read"""
    adapter: dict[str, Any]
    """of adapter_config.json"""
    files: tuple[str, ...]
    parameters: int | None
    """numbers of its weights, those of an adapter left out; None if no file says it"""
    adapter_parameters: int | None
    dtypes: tuple[tuple[str, int], ...]
    """(type of numbers, how many are of it), the commonest first"""
    tokenizer: str
    """its kind and its size, in words; empty if it has none"""

    @property
    def is_adapter(self) -> bool:
        """Whether it is an adapter beside a base."""
        return ADAPTER in self.files

    @property
    def has_template(self) -> bool:
        """Whether it says how a chat is written."""
        return TEMPLATE in self.files

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels that it tells apart, in its order; none of one that writes."""
        if self.form in ("linear", "decoder"):
            found = self.config.get("labels")
            return tuple(map(str, found[:_LABELS])) if isinstance(found, list) else ()
        named = self.config.get("id2label")
        if self.form == "transformers" and isinstance(named, dict) and self._classifies:
            return tuple(str(name) for name in list(named.values())[:_LABELS])
        return ()

    @property
    def _classifies(self) -> bool:
        return "Classification" in self.architecture_class

    @property
    def architecture_class(self) -> str:
        """Class that transformers makes of it; empty if none is named."""
        named = self.config.get("architectures")
        first = named[0] if isinstance(named, list) and named else ""
        return _text(first)

    @property
    def family(self) -> str:
        """Family of architectures: ``linear classifier``, ``llama``; empty if not known."""
        if self.form == "linear":
            return "linear classifier"
        if self.form == "decoder":
            return "decoder-only transformer"
        return _text(self.config.get("model_type"))

    @property
    def architecture(self) -> str:
        """The architecture, in words; empty if not known."""
        if self.form == "linear":
            return "linear classifier over hashed features"
        if self.form == "decoder":
            return "decoder-only transformer (mashbill's own)"
        named = self.architecture_class
        return f"{named} ({self.family})" if named and self.family else named or self.family

    @property
    def task(self) -> str:
        """The Hub's name of what it does; empty if it is not known."""
        if self.form == "linear" or self._classifies:
            return "text-classification"
        if self.form in ("decoder", "gguf") or (self.is_adapter and not self.config):
            return "text-generation"
        named = self.architecture_class
        if "CausalLM" in named or "ConditionalGeneration" in named:
            return "text-generation"
        return "fill-mask" if "MaskedLM" in named else ""

    def number(self, *names: str) -> int | None:
        """Return the first whole number that config.json has under some names; None if none."""
        for name in names:
            value = self.config.get(name)
            if is_number(value) and value == int(value) and value > 0:
                return int(value)
        return None

    @property
    def layers(self) -> int | None:
        """Blocks one after another."""
        return self.number("layers", "num_hidden_layers", "n_layer", "num_layers")

    @property
    def context(self) -> int | None:
        """Tokens that it takes in at most."""
        return self.number("context", "max_position_embeddings", "n_positions", "n_ctx")

    @property
    def vocabulary(self) -> int | None:
        """Tokens that it knows."""
        return self.number("vocabulary", "vocab_size")

    @property
    def width(self) -> int | None:
        """Numbers between two blocks, for each token."""
        return self.number("width", "hidden_size", "n_embd", "d_model")

    @property
    def base(self) -> str:
        """What an adapter's own file says that it rests on; empty if nothing."""
        return _text(self.adapter.get("base_model_name_or_path"))

    def facts(self) -> list[tuple[str, str]]:
        """Return (name, value in words) of what is known of how it is built."""
        whole = "an adapter beside its base" if self.is_adapter else ""
        rank = self.adapter.get("r")
        if self.is_adapter and is_number(rank):
            whole += f", {_text(self.adapter.get('peft_type')) or 'low rank'}, rank {rank}"
        sizes = self.adapter_parameters
        found = [
            ("architecture", self.architecture),
            ("is", whole),
            ("parameters", "" if self.parameters is None else f"{self.parameters:,}"),
            ("parameters of the adapter", "" if sizes is None else f"{sizes:,}"),
            ("kept as", ", ".join(dtype for dtype, _ in self.dtypes)),
            ("quantised", self._quantised()),
            ("layers", _counted(self.layers)),
            ("width", _counted(self.width)),
            ("context", f"{self.context:,} tokens" if self.context else ""),
            ("vocabulary", f"{self.vocabulary:,} tokens" if self.vocabulary else ""),
            ("tokenizer", self.tokenizer),
            ("chat template", self._template()),
            ("looks at", self._features()),
        ]
        return [(name, value) for name, value in found if value]

    def _quantised(self) -> str:
        told = self.config.get("quantization_config")
        if not isinstance(told, dict):
            return ", ".join(name for name in self.files if name.endswith(".gguf"))
        bits = 4 if told.get("load_in_4bit") else 8 if told.get("load_in_8bit") else None
        bits = told["bits"] if is_number(told.get("bits")) else bits
        how = _text(told.get("quant_method")) or "by a method that is not named"
        return f"{how}, {bits} bits" if bits is not None else how

    def _template(self) -> str:
        if self.task != "text-generation" or self.form != "transformers":
            return ""
        return f"in {TEMPLATE}" if self.has_template else "none: it goes on with a text"

    def _features(self) -> str:
        if self.form != "linear":
            return ""
        rule, buckets = self.number("words") or 1, self.number("buckets")
        said = RULES.get(rule, f"rule {rule}")
        return f"{said}, hashed into {buckets:,} buckets" if buckets else said


def built(manifest: Manifest, folder: Path) -> Built:
    """Return how a model is built, from the files that lie in its folder.

    A file that is missing or cannot be read is one that says nothing: an audit says why.

    Args:
        manifest: of a model.
        folder: where its files lie.
    """
    names = tuple(item.file for item in manifest.files)
    config = _table(folder / CONFIG) if CONFIG in names else {}
    form = _form(names, config)
    base: list[Path] = []
    own: list[Path] = []
    for name in names:
        if name.endswith(WEIGHTS):
            (own if name.startswith("adapter_model") else base).append(folder / name)
    sizes, dtypes = _sizes(base)
    adapter_size, adapter_dtypes = _sizes(own)
    measured = manifest.measures.get("parameters")
    # Of a sparse model those that are not 0, which no header tells.
    if is_number(measured) and (form == "linear" or sizes is None):
        sizes = int(measured)
    together = Counter(dtypes) + Counter(adapter_dtypes)
    return Built(
        form=form,
        config=config,
        adapter=_table(folder / ADAPTER) if ADAPTER in names else {},
        files=names,
        parameters=sizes,
        adapter_parameters=adapter_size,
        dtypes=tuple(together.most_common(8)),
        tokenizer=_tokenizer(folder / TOKENIZER) if TOKENIZER in names else "",
    )


def is_for_transformers(names: Iterable[str]) -> bool:
    """Whether plain transformers loads a folder with such files: a causal language model of its."""
    there = set(names)
    weights = any(
        name.endswith(WEIGHTS) and name.startswith(("model", "adapter_model")) for name in there
    )
    return weights and {CONFIG, TOKENIZER, "tokenizer_config.json"} <= there


def _form(names: tuple[str, ...], config: dict[str, Any]) -> Form:
    if ADAPTER in names or "model_type" in config or "architectures" in config:
        return "transformers"
    if {"buckets", "labels"} <= config.keys():
        return "linear"
    if {"context", "heads", "layers", "width"} <= config.keys():
        return "decoder"
    return "gguf" if any(name.endswith(".gguf") for name in names) else "other"


def _sizes(paths: list[Path]) -> tuple[int | None, Counter[str]]:
    """Return how many numbers some files hold, None if none can be read, and of which types."""
    found: Counter[str] = Counter()
    for path in paths:
        try:
            for tensor in tensors_of(path):
                found[tensor.dtype] += tensor.size
        except MashbillError:
            return None, Counter()
    return (sum(found.values()) if paths else None), found


def _tokenizer(path: Path) -> str:
    try:
        table = json_object(path, most=_TOKENIZER_BYTES)
    except MashbillError:
        return "one that cannot be read"
    model = table.get("model")
    model = model if isinstance(model, dict) else {}
    known, added = model.get("vocab"), table.get("added_tokens")
    kind = _text(model.get("type")) or "of a kind that is not named"
    if not isinstance(known, dict | list):
        return kind
    more = 0
    if isinstance(added, list) and isinstance(known, dict):
        more = sum(isinstance(one, dict) and one.get("content") not in known for one in added)
    return f"{kind}, {len(known) + more:,} tokens"


def _table(path: Path) -> dict[str, Any]:
    try:
        return json_object(path, most=_CONFIG_BYTES)
    except MashbillError:
        return {}


def _text(value: Any) -> str:
    """Return a text of a file, of one line and of some letters; empty if it is none."""
    if not isinstance(value, str):
        return ""
    return re.sub(r"\s+", " ", value).strip()[:_LONGEST]


def _counted(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
