"""Reading a GGUF file: its tokenizer, its weights, and rewriting it as float16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, dequantize
from tokenizers import Tokenizer, decoders, models, normalizers

from mashbill.core.errors import TeacherError
from mashbill.core.parsing import foreign
from mashbill.models.gguf_header import check_header
from mashbill.models.gguf_pre_tokenizers import COMPOSED, PRE_TOKENIZERS, pre_tokenizer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""that OpenVINO's reader computes rightly; torch reads the first alone"""
_MOSTLY_F16 = 1  # llama.cpp's LLAMA_FTYPE_MOSTLY_F16


class GgufFile:
    """A GGUF file of a language model that is known here, with a byte-level BPE tokenizer."""

    def __init__(self, path: Path, architectures: Collection[str] = ARCHITECTURES) -> None:
        """Open the file.

        Args:
            path: the file.
            architectures: those that whoever opens it reads; by default what engines do.

        Raises:
            TeacherError: if it is another kind of model or tokenizer.
        """
        self.path = path
        check_header(path)
        with foreign(path, "a GGUF file", error=TeacherError), np.errstate(over="raise"):
            self._reader = GGUFReader(path)
        found = (self.value("general.architecture"), self.value("tokenizer.ggml.model"))
        if found[0] not in architectures or found[1] != "gpt2":
            msg = (
                f"{path.name} has architecture and tokenizer {found}; this version reads "
                f"{', '.join(architectures)} with the tokenizer 'gpt2'"
            )
            raise TeacherError(msg)
        self.architecture: str = found[0]

    def value(self, key: str) -> Any:
        """Return a metadata value, or None."""
        field = self._reader.fields.get(key)
        with foreign(f"{self.path}: {key}", "a value of GGUF", error=TeacherError):
            return None if field is None else field.contents()

    def tokenizer(self) -> Tokenizer:
        """Build the tokenizer that the file describes.

        Raises:
            TeacherError: if its pre-tokenizer is not one that is known here.
        """
        kind = self.value("tokenizer.ggml.pre")
        cut = pre_tokenizer(kind) if isinstance(kind, str) else None
        if cut is None:
            msg = (
                f"{self.path.name} wants the pre-tokenizer {kind!r:.60}; this version has "
                f"{', '.join(PRE_TOKENIZERS)}"
            )
            raise TeacherError(msg)
        with foreign(self.path, "a file with a tokenizer", error=TeacherError):
            vocabulary = {token: i for i, token in enumerate(self.value("tokenizer.ggml.tokens"))}
            merges = [tuple(merge.split(" ", 1)) for merge in self.value("tokenizer.ggml.merges")]
            model = models.BPE(vocab=vocabulary, merges=merges, ignore_merges=kind == "llama-bpe")
            tokenizer = Tokenizer(model)
        if kind in COMPOSED:
            tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = cut
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer

    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, float32 array in the shape of the matrix) of every tensor."""
        for tensor in self._reader.tensors:
            with foreign(f"{self.path}: {tensor.name}", "a tensor", error=TeacherError):
                weights = np.asarray(dequantize(tensor.data, tensor.tensor_type))
            yield tensor.name, weights

    def rewrite_f16(self, path: Path) -> None:
        """Write the same model with every matrix as float16."""
        writer = GGUFWriter(path, self.value("general.architecture"))
        for key, field in self._reader.fields.items():
            if key.startswith("GGUF.") or key == "general.architecture":
                continue
            if key == "general.file_type":
                writer.add_file_type(_MOSTLY_F16)
            elif field.types[0] == GGUFValueType.ARRAY:
                writer.add_key_value(key, field.contents(), field.types[0], field.types[1])
            else:
                writer.add_key_value(key, field.contents(), field.types[0])
        for tensor in self._reader.tensors:
            if tensor.tensor_type == GGMLQuantizationType.F32:
                writer.add_tensor(tensor.name, np.array(tensor.data))
            else:
                weights = dequantize(tensor.data, tensor.tensor_type)
                writer.add_tensor(tensor.name, weights.astype(np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
