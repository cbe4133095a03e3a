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

Hashes of runs are 32 bits, keyed by a seed, and fast before they are strong: who has the key can
look a guessed text up, and who has many texts beside their sketches may guess the key. Sketches are
pseudonyms of texts and not secrets: keep them as logs are kept.
"""

from __future__ import annotations

import functools
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
_ALL = (1 << 32) - 1
_DRAWN = (1 << 32) // 16
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_DIGIT = re.compile(r"\d+")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of a prompt."""

    system: bytes | None
    item: bytes | None
    skeleton: tuple[int, ...]


def sketch(system: str, text: str, hashes: Hashes) -> Sketch:
    """Return the sketch of a system prompt and a last user turn; either may be empty."""
    system, text = ends(system), ends(text)
    return Sketch(
        hashes.of("system", normalised(system), 8) if system else None,
        hashes.of("item", normalised(text), 8) if text else None,
        tuple(skeleton(system, text, hashes.seed)),
    )


def normalised(text: str) -> str:
    """Return a text without case, its spaces made one."""
    return _SPACE.sub(" ", text).strip().casefold()


def skeleton(system: str, text: str, seed: int) -> list[int]:
    """Return the kept runs of words of a system prompt and a last turn: 32 bits each, ascending."""
    runs = _runs(text, seed)
    ends = {*runs[: HEAD - RUN + 1], *runs[-(TAIL - RUN + 1) :]}
    drawn = {run for run in runs if run < _DRAWN}
    if system:
        drawn.update(run for run in _known_runs(system, seed) if run < _DRAWN)
    drawn -= ends
    return sorted([*ends, *sorted(drawn)[: LONGEST - len(ends)]])


def _runs(text: str, seed: int) -> list[int]:
    """Return the hash of each run of words, in the text's order.

    CRC-32 of the words, then multiplied by odd numbers of the seed and folded, since CRC alone is
    linear and its low values are no fair sample of similar texts.
    """
    small = _DIGIT.sub("0", text.casefold())
    found = _WORD.findall(small)
    if _UNSPACED.search(small):
        found = [part for word in found for part in (word if _UNSPACED.search(word) else (word,))]
    if not found:
        return []
    words = [word.encode("utf-8", "surrogatepass") for word in found]
    crc, joined = zlib.crc32, b" ".join
    first, second = (seed & _ALL) | 1, (seed >> 32) | 1
    runs = []
    for place in range(max(1, len(words) - RUN + 1)):
        mixed = crc(joined(words[place : place + RUN])) * first & _ALL
        runs.append((mixed ^ mixed >> 15) * second & _ALL)
    return runs


_known_runs = functools.lru_cache(1024)(_runs)
"""system prompts are few, and come again and again"""


def ends(text: str) -> str:
    """Return a text, or the beginning and the end of a long one."""
    return text if len(text) <= READ else text[: READ // 2] + "\n" + text[-READ // 2 :]
