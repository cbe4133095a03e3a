"""What a safetensors file says of its tensors: names, types and shapes, and none of their numbers.

The form (https://huggingface.co/docs/safetensors) is eight bytes with the length of a JSON object,
and that object. The library that reads the tensors is not needed for it, so that an auditor
without the ML stack can say how large a model is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.errors import StoreError
from mashbill.core.parsing import json_value

if TYPE_CHECKING:
    from pathlib import Path

_LENGTH = 8
_LARGEST = 32 << 20
"""bytes of a header; the format's own library reads 100 MB, and a model of 1,000 layers has 2"""
_MOST = 1 << 60
"""numbers of one tensor; more fit on no disk"""


@dataclass(frozen=True)
class Tensor:
    """One tensor."""

    name: str
    dtype: str
    """as the file writes it: F32, BF16, I8"""
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def tensors_of(path: Path) -> list[Tensor]:
    """Return the tensors of a safetensors file, in its order.

    Raises:
        StoreError: naming the file, if it is none, or says what cannot be.
    """
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH), "little")
            text = stream.read(length) if length <= _LARGEST else b""
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}; run `mashbill audit`"
        raise StoreError(msg) from error
    if not text or len(text) < length:
        msg = f"{path}: no header of safetensors stands at its beginning; run `mashbill audit`"
        raise StoreError(msg)
    table = json_value(text, path, error=StoreError, what="a header of safetensors")
    if not isinstance(table, dict):
        msg = f"{path}: its header is a {type(table).__name__}, and not a table of tensors"
        raise StoreError(msg)
    return [_tensor(path, name, told) for name, told in table.items() if name != "__metadata__"]


def _tensor(path: Path, name: str, told: object) -> Tensor:
    shape = told.get("shape") if isinstance(told, dict) else None
    dtype = told.get("dtype") if isinstance(told, dict) else None
    is_one = (
        isinstance(dtype, str)
        and isinstance(shape, list)
        and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape)
        and math.prod(shape) < _MOST
    )
    if not is_one:
        msg = f"{path}: {name!r:.80} is told as {told!r:.80}, which is no tensor"
        raise StoreError(msg)
    return Tensor(name, str(dtype), tuple(shape or ()))
