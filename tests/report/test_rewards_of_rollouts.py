"""What a verifier paid for while a student sampled is told as what ``verify`` scored is."""

from __future__ import annotations

import numpy as np
from tests_rewarded import rewarded
from tests_support import rows_of

from mashbill.report.rewards import rewards_behind, rewards_of

TWO_PARTS = """
[verifiers.letters]
kind = "rubric"
parts.vowels = { kind = "form", match = ["a", "e", "o"] }
parts.digits = { kind = "form", match = ["[0-9]"] }
"""


def test_rewards_of_rollouts_are_those_of_their_rows(tmp_path):
    store = rewarded(tmp_path / "r", verifiers=TWO_PARTS)
    rows = rows_of(store, "student-rollouts")
    (told,) = rewards_behind(store, store.find("student"))
    assert told.name == "student-rollouts"
    assert told.verifier.startswith("letters (rubric")
    paid = np.array([row["reward"] for row in rows], np.float64)
    assert (told.rows, told.scored) == (len(rows), int(np.isfinite(paid).sum()))
    np.testing.assert_allclose(told.mean, paid[np.isfinite(paid)].mean())
    assert set(told.parts) == {"vowels", "digits"}
    lengths = np.array([len(row["completion"]) for row in rows])
    assert sum(each.rows for each in told.lengths) == int(np.isfinite(paid).sum())
    assert min(each.shortest for each in told.lengths) == lengths.min()
    assert told.counts["scored"] == told.scored
    assert told.counts["passed"] == int((paid >= told.passes).sum())
    # Attempts at one prompt in another step are of another group.
    groups = {(row["step"], row["group"]) for row in rows}
    assert len(groups) == 3 * 2
    if told.in_groups is not None:
        assert told.in_groups.pairs <= len(rows)


def test_a_control_that_nobody_pays_has_no_rewards_to_tell(tmp_path):
    stages = """
[stages.student]
kind = "grpo"
inputs = ["asked"]
base = "small"
reward = "random"
batch = 2
attempts = 4
steps = 2
max_new_tokens = 4
rate = 0.02
dtype = "float32"
"""
    store = rewarded(tmp_path / "r", stages=stages)
    assert rewards_of(store, store.find("student-rollouts")) is None
    assert rewards_behind(store, store.find("student")) == []
