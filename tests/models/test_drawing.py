"""The next token of a text: laws of how it is drawn, over any logits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mashbill.core.model import Decoding
from mashbill.models.drawing import next_token

LOGITS = st.lists(st.one_of(st.floats(-50, 50), st.just(-np.inf)), min_size=1, max_size=20).filter(
    lambda row: max(row) > -np.inf
)


class Fixed:
    """Draws one number, as a generator would."""

    def __init__(self, number):
        self.random = lambda: number


@given(LOGITS, st.floats(0.1, 3), st.floats(0.01, 1), st.floats(0, 1, exclude_max=True))
def test_what_is_drawn_may_come_and_is_among_those_that_make_up_top_p(row, warm, top_p, number):
    logits = np.array(row)
    taken = next_token(logits, Decoding(1, warm, top_p), Fixed(number))
    assert logits[taken] > -np.inf
    shares = np.exp((logits - logits.max()) / warm)
    shares /= shares.sum()
    likelier = shares[shares > shares[taken]].sum()
    assert likelier < top_p + 1e-9


@given(LOGITS, st.floats(0.1, 3))
def test_numbers_spread_evenly_draw_each_token_as_often_as_it_is_likely(row, warm):
    logits = np.array(row)
    shares = np.exp((logits - logits.max()) / warm)
    shares /= shares.sum()
    numbers = (np.arange(400) + 0.5) / 400
    drawn = [next_token(logits, Decoding(1, warm), Fixed(n)) for n in numbers]
    seen = np.bincount(drawn, minlength=len(row)) / 400
    assert np.abs(seen - shares).max() <= 1 / 400 + 1e-9


def test_without_a_temperature_the_likeliest_is_taken():
    assert next_token(np.array([0.0, 2.0, 1.0]), Decoding(1), Fixed(0.9)) == 1
