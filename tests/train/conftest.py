"""Students of these tests answer in fewer tokens than a person would look at."""

import pytest

from mashbill.train import sampling


@pytest.fixture(autouse=True)
def _short_samples(monkeypatch):
    """Take a third of the tokens: more than what counts as repeating, and few to wait for."""
    monkeypatch.setattr(sampling, "_TOKENS", sampling._OVER_AND_OVER + 4)
