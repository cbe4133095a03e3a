"""How small the matrices of a GGUF file may be asked to be; a name imports no engine."""

from __future__ import annotations

from typing import Literal, get_args

Quantisation = Literal["f32", "f16", "q8_0", "q4_0"]
"""of matrices; blocks of 32 numbers with a scale each in the last two"""
QUANTISATIONS: tuple[str, ...] = get_args(Quantisation)
