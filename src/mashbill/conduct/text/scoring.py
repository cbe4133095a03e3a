"""Log10 odds that a prompt throws rules off, or asks for what was not offered.

The model ships with the package (``weights/``): two linear classifiers over the features of
:mod:`mashbill.conduct.text.features`, trained by ``recipes/conduct_text.toml``. Its ``bill.txt``
says what it was made from. It needs numpy alone.

A score says how many times likelier a prompt is under the one class than under the other, as a
logarithm: at even odds 0, at 1 to 100 against -2 (Platt, 1999, on families of prompts that the
weights were not learned from, read as they are scored). It is weak evidence. A prompt alone is
never a finding.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.conduct.text.features import SENTENCES, WHOLE, Read, Summed
from mashbill.core.errors import StoreError
from mashbill.core.parsing import check_regular, foreign, json_object
from mashbill.models.letter_features import SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HEADS = ("jailbreak", "extraction")
"""in the order in which scores are returned"""
READ_BY = {"jailbreak": WHOLE, "extraction": SENTENCES}
"""what each head reads, as the build writes it into the manifest, and calibrates it"""
FOLDER = Path(__file__).with_name("weights")
WEIGHTS, MANIFEST, BILL = "weights.bin", "manifest.json", "bill.txt"
_LARGEST = 1 << 22  # buckets


def unpacked(packed: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Return weights from eight bits: the square of each, with its sign, of its head's largest.

    Args:
        packed: int8, shape (heads, buckets).
        largest: shape (heads,).
    """
    share = packed.astype(np.float32) / 127
    found: np.ndarray = np.sign(share) * share**2 * largest[:, None].astype(np.float32)
    return found


def packed_weights(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights in eight bits, and each head's largest; see :func:`unpacked`."""
    largest = np.maximum(np.abs(weights).max(axis=1), 1e-12)
    root = np.sqrt(np.abs(weights) / largest[:, None])
    return np.rint(np.sign(weights) * root * 127).astype(np.int8), largest


class Scorer:
    """Scores prompts; one object is for one thread."""

    def __init__(
        self, weights: np.ndarray, letters: np.ndarray, manifest: Mapping[str, Any]
    ) -> None:
        """Take weights in eight bits, shape (heads, buckets), a model of letters, a manifest."""
        heads = [manifest["heads"][name] for name in HEADS]
        largest, bias, slope, shift = (
            np.array([head[name] for head in heads], np.float64)
            for name in ("largest", "bias", "slope", "shift")
        )
        summed = Summed(unpacked(weights, largest).T, bias, letters)
        self._read = Read(summed, [str(head["reads"]) for head in heads])
        self._slope, self._shift = slope, shift
        self.digest = str(manifest["sha256"])
        """SHA-256 of the weights: what a finding names the model by"""

    @classmethod
    def shipped(cls) -> Scorer:
        """Return the model that came with the package."""
        return cls.load(FOLDER)

    @classmethod
    def load(cls, folder: Path) -> Scorer:
        """Read a model.

        Raises:
            StoreError: if its files are not those that its manifest speaks of.
        """
        check_regular(folder / WEIGHTS, folder / MANIFEST, error=StoreError)
        manifest = json_object(folder / MANIFEST, error=StoreError)
        with foreign(folder, "a model of texts", error=StoreError, remedy="install mashbill again"):
            buckets = int(manifest["buckets"])
            size = len(HEADS) * buckets + SYMBOLS * SYMBOLS
            if not 0 < buckets <= _LARGEST:
                msg = f"{buckets} buckets"
                raise ValueError(msg)
            data = zlib.decompressobj().decompress((folder / WEIGHTS).read_bytes(), size + 1)
            if len(data) != size or hashlib.sha256(data).hexdigest() != manifest["sha256"]:
                msg = "the weights are not those of the manifest"
                raise ValueError(msg)
            flat = np.frombuffer(data, np.uint8)
            weights = flat[: len(HEADS) * buckets].view(np.int8).reshape(len(HEADS), buckets)
            return cls(weights, flat[len(HEADS) * buckets :].reshape(SYMBOLS, SYMBOLS), manifest)

    def score(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return log10 odds that each prompt is a jailbreak, and an extraction.

        Of a long prompt its beginning and its end are read. A long one is held to more before it is
        a jailbreak. Whether it is an extraction is asked of it and of each two neighbouring
        sentences, and the highest counts.

        Returns:
            Two arrays, float32, shape (texts,).
        """
        odds = self._read.scores(texts) * self._slope + self._shift
        both = odds.astype(np.float32).T
        return both[0], both[1]


@contextlib.contextmanager
def _shipped() -> Iterator[dict[str, Any]]:
    """Give the manifest that came with the package; what is wrong in it is told as its own."""
    manifest = json_object(FOLDER / MANIFEST, error=StoreError)
    with foreign(FOLDER, "a model of texts", error=StoreError, remedy="install mashbill again"):
        yield manifest


@functools.cache
def shipped_digest() -> str:
    """Return the SHA-256 of the weights that came with the package, by their manifest."""
    with _shipped() as manifest:
        return str(manifest["sha256"])


@functools.cache
def thresholds() -> Mapping[str, Mapping[str, float]]:
    """Return of each head the scores at 1% and 0.1% false positives.

    They hold on every kind of honest prompt for development, the worst of them too; kinds of too
    few prompts are judged together. The build measures and writes them.

    Returns:
        Head -> ``1%`` or ``0.1%`` -> score.
    """
    with _shipped() as manifest:
        return {
            name: {
                str(rate): float(at) for rate, at in manifest["heads"][name]["thresholds"].items()
            }
            for name in HEADS
        }


def __getattr__(name: str) -> Mapping[str, Mapping[str, float]]:
    """Return ``THRESHOLDS``, read on first use."""
    if name == "THRESHOLDS":
        return thresholds()
    raise AttributeError(name)
