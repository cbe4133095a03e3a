"""A second process that scores half of the texts of a batch, where there is a core for it.

It is this module, told texts on its standard input: how many, and how many bytes each has, four
bytes each, then the texts in UTF-8. It answers with float32 of both heads.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING

import numpy as np

from mashbill.conduct.text.scoring import Scorer
from mashbill.core.answering import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST = 400
"""texts from which another process is asked"""


class Beside:
    """The model that ships, in this process and in another one. Close it."""

    def __init__(self) -> None:
        """Start the other one."""
        self._here = Scorer.shipped()
        self.digest = self._here.digest
        self._other: subprocess.Popen[bytes] | None = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def close(self) -> None:
        """End the other one; all texts are scored here from then on."""
        if self._other is not None:
            self._other.kill()
            self._other.wait()
            self._other = None

    def score(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return what :meth:`mashbill.conduct.text.scoring.Scorer.score` returns.

        If the other process has ended, all is scored here.
        """
        middle = len(texts) // 2
        if self._other is None or len(texts) < FEWEST or not self._ask(texts[middle:]):
            return self._here.score(texts)
        try:
            first = self._here.score(texts[:middle])
        except BaseException:
            self.close()  # its answer would be taken for the next one
            raise
        second = self._answer(len(texts) - middle)
        if second is None:
            second = self._here.score(texts[middle:])
        return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])

    def _ask(self, texts: Sequence[str]) -> bool:
        assert self._other is not None  # noqa: S101 - looked at by who asks
        assert self._other.stdin is not None  # noqa: S101 - piped
        parts = [text.encode("utf-8", "surrogatepass") for text in texts]
        lengths = np.array([len(parts), *map(len, parts)], "<u4")
        try:
            self._other.stdin.write(lengths.tobytes() + b"".join(parts))
            self._other.stdin.flush()
        except OSError:
            self.close()
            return False
        return True

    def _answer(self, number: int) -> tuple[np.ndarray, np.ndarray] | None:
        assert self._other is not None  # noqa: S101 - it was asked
        assert self._other.stdout is not None  # noqa: S101 - piped
        data = self._other.stdout.read(8 * number)
        if len(data) < 8 * number:
            self.close()
            return None
        both = np.frombuffer(data, np.float32).reshape(2, number)
        return both[0], both[1]


def _serve(asked: IO[bytes], out: IO[bytes]) -> None:
    scorer = Scorer.shipped()
    while head := asked.read(4):
        number = int.from_bytes(head, "little")
        lengths = np.frombuffer(asked.read(4 * number), "<u4").tolist()
        texts = [asked.read(length).decode("utf-8", "surrogatepass") for length in lengths]
        out.write(np.concatenate(scorer.score(texts)).astype(np.float32).tobytes())
        out.flush()


def main() -> None:
    """Score what is asked, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = answers()
    with contextlib.suppress(BrokenPipeError):
        _serve(sys.stdin.buffer, out)
    os._exit(0)  # what is still to be flushed has no reader


if __name__ == "__main__":
    main()
