"""What is kept of a prompt: enough to say that two are of one template, and not what they say.

* ``item``, the keyed digest of the last user turn, without case and with spaces made one: equal
  work is equal items.
* ``system``, the same of the system prompt.
* ``skeleton``: hashes of runs of four words. All runs of the first 40 and the last 20 words of the
  last turn are kept, where templates begin and end, and of all others in it and in the system
  prompt those whose hash falls into a sixteenth of the range. All logs with one key draw the same
  sample, so runs that two prompts share are in both skeletons or in neither (coordinated sampling,
  Cohen and Kaplan, PODC 2007), and a template is what an account's skeletons have in common.
  At most :data:`LONGEST` hashes, of those drawn the least ones.

Digits are one letter here, so that a number put into a template does not make it another.

Hashes of runs are 32 bits of a mixed product, keyed by a seed: they are no secret from somebody
who has the key, who can look a guessed text up. Whoever must not know texts must not have the key.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mashbill.conduct.events import Hashes

RUN = 4
"""words of a run"""
HEAD, TAIL = 40, 20
"""words of the last turn of which all runs are kept"""
LONGEST = 64
"""hashes of a skeleton"""
READ = 20_000
"""letters of a prompt that its sketch reads: the first half of them and the last half"""
_DRAWN = np.uint32((1 << 32) // 16)
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_DIGIT = re.compile(r"\d+")
_SPACE = re.compile(r"\s+")
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FINAL = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of a prompt."""

    system: bytes | None
    item: bytes | None
    skeleton: tuple[int, ...]


def sketch(system: str, text: str, hashes: Hashes) -> Sketch:
    """Return the sketch of a system prompt and a last user turn; either may be empty."""
    system, text = _ends(system), _ends(text)
    return Sketch(
        hashes.of("system", normalised(system), 8) if system else None,
        hashes.of("item", normalised(text), 8) if text else None,
        tuple(skeleton(system, text, hashes.seed).tolist()),
    )


def normalised(text: str) -> str:
    """Return a text without case, its spaces made one."""
    return _SPACE.sub(" ", text).strip().casefold()


def skeleton(system: str, text: str, seed: int) -> np.ndarray:
    """Return the kept runs of words of a system prompt and a last turn: uint32, ascending."""
    runs = _runs(text, seed)
    ends = np.unique(np.concatenate([runs[: HEAD - RUN + 1], runs[-(TAIL - RUN + 1) :]]))
    others = np.concatenate([runs, _runs(system, seed)])
    drawn = np.setdiff1d(others[others < _DRAWN], ends)[: LONGEST - len(ends)]
    return np.sort(np.concatenate([ends, drawn]))


def _runs(text: str, seed: int) -> np.ndarray:
    """Return the hash of each run of words: uint32, in the text's order."""
    small = _DIGIT.sub("0", text.casefold())
    found = _WORD.findall(small)
    if _UNSPACED.search(small):
        found = [part for word in found for part in (word if _UNSPACED.search(word) else (word,))]
    if not found:
        return np.empty(0, np.uint32)
    crc = zlib.crc32
    codes = np.fromiter((crc(word.encode("utf-8", "surrogatepass")) for word in found), np.uint64)
    mixed = np.zeros(max(1, len(codes) - RUN + 1), np.uint64)
    for place in range(min(RUN, len(codes))):
        mixed = (mixed ^ codes[place : place + len(mixed)]) * _MIX
        mixed ^= mixed >> np.uint64(29)
    mixed = (mixed ^ np.uint64(seed)) * _FINAL
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MIX
    return (mixed >> np.uint64(32)).astype(np.uint32)


def _ends(text: str) -> str:
    """Return a text, or the beginning and the end of a long one."""
    return text if len(text) <= READ else text[: READ // 2] + "\n" + text[-READ // 2 :]
