"""The measuring functions of the benchmark of conduct, held to truths that are made by hand."""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "conduct"))
try:
    from measured import (
        Found,
        Served,
        Truth,
        by_kind,
        campaigns,
        of_campaign,
        pairs,
        shares_over,
        summary,
        upper,
        worst,
    )
    from rivals import addresses, key_limit, one_prompt, some_prompts
finally:
    sys.path.pop(0)

# Three strangers, one tutor, a campaign of two clusters and an adaptive one.
TRUTH = [
    Truth(honest=True, kind="chat"),
    Truth(honest=True, kind="chat"),
    Truth(honest=True, kind="chat"),
    Truth(honest=True, kind="tutor"),
    Truth(honest=False, kind="hydra", cluster="hydra-0"),
    Truth(honest=False, kind="hydra", cluster="hydra-0"),
    Truth(honest=False, kind="hydra", cluster="hydra-1"),
    Truth(honest=False, kind="adaptive", cluster="adaptive-0"),
]


def served(*rows):
    account, time = zip(*rows, strict=True)
    return Served(np.array(account, np.int32), np.array(time, np.int64))


SERVED = served((4, 1), (5, 1), (0, 2), (4, 3), (6, 4), (5, 5), (6, 6), (7, 7), (4, 8), (7, 9))


def test_none_of_3000_is_at_most_one_in_a_thousand():
    assert upper(0, 2995) <= 0.001 < upper(0, 2994)
    assert upper(0, 3000) == pytest.approx(1 - 0.05 ** (1 / 3000))


def test_a_bound_is_above_the_share_and_one_where_nothing_is_known():
    assert upper(0, 0) == upper(5, 5) == 1.0
    assert upper(1, 100) == pytest.approx(0.0466, abs=1e-4)  # Clopper and Pearson's tables


def test_kinds_count_their_own_accounts_and_no_campaigns():
    assert by_kind(TRUTH, [0, 0, 3, 4, 7]) == {"chat": (1, 3), "tutor": (1, 1)}


def test_the_worst_kind_is_the_one_with_the_largest_share_and_not_the_most_accounts():
    assert worst(by_kind(TRUTH, [0, 1, 3])) == ("tutor", 1.0)
    assert worst({}) == ("", 0.0)


def test_what_was_served_before_ends_when_an_account_is_named():
    told = campaigns(TRUTH, Found({4: 3, 6: 100}), SERVED)
    # Account 4 had one exchange before 3; 5 was never named; 6 was named behind its last.
    assert told["hydra"]["before"] == pytest.approx((1 + 2 + 2) / 7)
    assert (told["hydra"]["found"], told["hydra"]["accounts"]) == (2, 3)
    assert told["hydra"]["exchanges"] == 7
    assert told["adaptive"]["before"] == 1.0


def test_a_cluster_is_seen_from_when_its_first_account_is_named():
    told = campaigns(TRUTH, Found({4: 3}), SERVED)
    # Of the first cluster two came before 3; of the second all.
    assert told["hydra"]["before_cluster"] == pytest.approx((2 + 2) / 7)


def test_an_honest_account_that_is_named_changes_nothing_of_a_campaign():
    assert campaigns(TRUTH, Found({0: 0}), SERVED) == campaigns(TRUTH, Found(), SERVED)


def test_a_summary_leaves_the_adaptive_campaign_out_of_what_is_found():
    told = summary(TRUTH, Found({4: 1, 5: 1, 6: 4, 7: 7, 0: 2}), SERVED)
    assert told["found"] == 1.0
    assert told["before"] == 0.0
    assert told["adaptive"] == 1.0
    assert told["honest"]["found"] == 1
    assert told["worst"] == {"kind": "chat", "share": pytest.approx(1 / 3)}


def test_pairs_of_a_finding_that_takes_a_stranger_in():
    one = of_campaign(TRUTH, [(4, 5, 0)])
    assert (one.joined, one.true, one.both) == (3, 1, 1)
    assert (one.precision, one.recall) == (pytest.approx(1 / 3), 1.0)


def test_two_clusters_in_one_finding_are_not_precise():
    assert of_campaign(TRUTH, [(4, 5, 6)], "hydra").precision == pytest.approx(1 / 3)


def test_operators_of_one_campaign_may_be_taken_for_one():
    assert of_campaign(TRUTH, [(4, 5, 6)], by_kind=True).precision == 1.0
    assert of_campaign(TRUTH, [(4, 5, 6)]).precision == pytest.approx(1 / 3)


def test_a_campaign_by_itself_counts_no_strangers():
    one = of_campaign(TRUTH, [(4, 5, 0, 7)], "hydra")
    assert (one.joined, one.true, one.both) == (1, 1, 1)


def test_nothing_joined_has_no_precision():
    one = of_campaign(TRUTH, [])
    assert (one.precision, one.recall) == (None, 0.0)


@law(60)
@given(
    st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=12),
    st.lists(st.sets(st.integers(0, 11), max_size=6), max_size=5),
)
def test_pairs_are_those_that_are_counted_one_by_one(labels, groups):
    groups = [[one for one in group if one < len(labels)] for group in groups]
    joined = {pair for group in groups for pair in combinations(sorted(group), 2)}
    true = {
        (one, other)
        for one, other in combinations(range(len(labels)), 2)
        if labels[one] is not None and labels[one] == labels[other]
    }
    found = pairs(labels, groups)
    assert (found.joined, found.true, found.both) == (len(joined), len(true), len(joined & true))


def test_shares_over_a_level_are_told_of_each_family_and_of_all():
    scores = np.array([0.5, 1.0, 2.0])
    assert shares_over(scores, ["a", "b", "b"], 1.0) == {"": [2, 3], "a": [0, 1], "b": [2, 2]}


class Log:
    """Rows of exchanges, all of them answered: (account, time, what else)."""

    def __init__(self, rows, **columns):
        account, time = zip(*rows, strict=True)
        self.account, self.time = np.array(account, np.int32), np.array(time, np.int64)
        self.is_exchange = self.is_served = np.ones(len(rows), bool)
        self.columns = {name: np.array(one) for name, one in columns.items()}

    def codes(self, name):
        return self.columns[name]

    def numbers(self, name, default):
        return self.columns.get(name, np.full(len(self.time), default, float))


def test_a_limit_names_an_account_at_the_request_that_goes_over_it_in_a_day():
    day = 86_400_000_000
    # Chat asks twice a day at most; account 4 three times, over two days first.
    rows = [(0, 1), (0, 2), (1, 3), (4, 4), (4, 5), (4, day + 1), (4, day + 2), (4, day + 3)]
    assert key_limit(Log(rows), TRUTH).when == {4: day + 3}


def test_accounts_at_one_address_are_joined_through_others_and_named_when_they_are_three():
    log = Log([(0, 1), (1, 2), (1, 3), (2, 4), (5, 5), (6, 6)], address=[7, 7, 8, 8, 9, -1])
    found = addresses(log, "address")
    assert found.when == {0: 4, 1: 4, 2: 4}
    assert found.groups == [(0, 1, 2)]


def test_one_prompt_is_enough_for_one_rival_and_a_share_of_many_for_another():
    log = Log(
        [(0, 1), (4, 2), (0, 3), (4, 4), (4, 5), (0, 6), (0, 7)],
        jailbreak=[0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 5.0],
        extraction=[0.0] * 7,
    )
    assert one_prompt(log, 3.0, 9.0).when == {0: 7, 4: 2}
    assert some_prompts(log, 3.0, 9.0, share=0.3, least=3).when == {4: 5}
