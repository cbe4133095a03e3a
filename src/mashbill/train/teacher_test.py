"""The test that teachers are put to before a student learns from them: their noise against signal.

The same tokens, prompts with what the student sampled, are scored twice. Where a teacher's weights
are here: as training asks for them, sequences one behind the other, or by the server that serves
them; and by training's engine, one sequence at a time in float32. Where they are not, by the server
twice, in another order and in another company. The difference of the two is *noise*; what the
teacher gives less what the student gave is *signal*, which is all that is learned from.

    refused if  rms(noise) > noise_ratio x rms(signal)          over all tokens that both scored

and if most tokens were not scored at all. Serving and training engines that disagree are the
commonest fault of this technique, and nothing shows it: the loss falls all the same. It finds, too,
log-probabilities that are of the token beside, of another template, or of other weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

TESTS = "teacher_tests"
"""the measure that holds what tests said, by teacher"""
_ROUNDING = 1e-4
"""nats: noise that float32 has, and that is none of a teacher that is as the student"""
_SCORED = 0.5
"""share of the tokens that has to be scored, at least"""


@dataclass(frozen=True)
class TwiceScored:
    """Tokens by a teacher, twice, and by the student; not a number where there is none."""

    first_n: np.ndarray
    """as training will ask for them"""
    second_n: np.ndarray
    """by another way"""
    student_n: np.ndarray
    """by the student as it sampled"""
    sequences: int
    how: str
    """which two ways, in words"""

    @classmethod
    def of(
        cls,
        first: Sequence[Sequence[float | None]],
        second: Sequence[Sequence[float | None]],
        student: Sequence[Sequence[float | None]],
        how: str,
    ) -> TwiceScored:
        """Put sequences one behind the other.

        Raises:
            InputError: if the two give other numbers of tokens.
        """
        lengths = [[len(each) for each in some] for some in (first, second, student)]
        if not lengths[0] == lengths[1] == lengths[2]:
            msg = (
                f"a teacher was scored twice ({how}), and other tokens came back: "
                f"{sum(lengths[0]):,}, {sum(lengths[1]):,}, and {sum(lengths[2]):,} were sampled"
            )
            raise InputError(msg)
        flat = [
            np.array(
                [np.nan if value is None else value for each in some for value in each], np.float64
            )
            for some in (first, second, student)
        ]
        return cls(flat[0], flat[1], flat[2], len(first), how)


def passed(teacher: str, scored: TwiceScored, noise_ratio: float) -> dict[str, Any]:
    """Return what is kept of a teacher's test, if it passes.

    Args:
        teacher: as the recipe names it.
        scored: its tokens.
        noise_ratio: part of the signal that noise may be.

    Raises:
        InputError: if noise exceeds the signal, or most tokens have no score, with the figures.
    """
    found = measured(scored)
    many, count = found["tokens"], len(scored.first_n)
    if many < _SCORED * count or not many:
        msg = (
            f"teacher {teacher!r}: {count - many:,} of {count:,} tokens that the student sampled "
            f"have no log-probability ({scored.how}), so that most of what it samples would teach "
            "it nothing; see that the teacher reads the same tokens"
        )
        raise InputError(msg)
    noise, signal = found["noise"]["rms"], found["signal"]["rms"]
    if noise > max(noise_ratio * signal, _ROUNDING):
        msg = (
            f"teacher {teacher!r} is noisier than what it teaches: scored twice ({scored.how}) its "
            f"log-probabilities of the same {many:,} tokens lie {noise:.3g} nats apart (rms; mean "
            f"{found['noise']['mean']:.3g}, p99 {found['noise']['p99']:.3g}, largest "
            f"{found['noise']['max']:.3g}), and from the student's {signal:.3g} (rms), of which "
            f"noise_ratio = {noise_ratio:g} may be noise. See that both are the same weights, "
            "tokenizer and template, and that neither is quantised or computed in half precision; "
            "a larger noise_ratio takes it as it is"
        )
        raise InputError(msg)
    return found | {"noise_ratio": noise_ratio}


def measured(scored: TwiceScored) -> dict[str, Any]:
    """Return the figures of a test: of the noise, and of the signal, in nats."""
    apart, learned = scored.first_n - scored.second_n, scored.first_n - scored.student_n
    both = np.isfinite(apart) & np.isfinite(learned)
    return {
        "how": scored.how,
        "sequences": scored.sequences,
        "tokens": int(both.sum()),
        "without": int((~both).sum()),
        "noise": _told(apart[both]),
        "signal": _told(learned[both]),
    }


def _told(values: np.ndarray) -> dict[str, float]:
    """Return root mean square, mean, 99th percentile and maximum of sizes, and the mean itself."""
    if not len(values):
        return dict.fromkeys(("rms", "mean", "p99", "max", "bias"), 0.0)
    sizes = np.abs(values)
    return {
        "rms": float(np.sqrt(np.mean(values**2))),
        "mean": float(sizes.mean()),
        "p99": float(np.quantile(sizes, 0.99)),
        "max": float(sizes.max()),
        "bias": float(values.mean()),
    }
