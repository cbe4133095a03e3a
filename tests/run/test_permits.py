"""A run takes a permit and nothing else, and a permit comes only of deciding."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from tests_support import write_recipe

from mashbill import Signer, Store, load_recipe
from mashbill.core.errors import PolicyError
from mashbill.lineage.duties.decisions import DECIDE
from mashbill.plan import build
from mashbill.policy.documents import load_registry
from mashbill.run import permission
from mashbill.run.execution import Execution
from mashbill.run.executor import execute
from mashbill.run.permission import Acceptance, Permit, permit_plan

TODAY = dt.datetime.now(dt.UTC).date()
ADA = Acceptance("Ada", "an internal study")


@pytest.fixture
def planned(tmp_path):
    store = Store(tmp_path / "store", Signer.default())
    return build(load_recipe(write_recipe(tmp_path / "recipe")), store), store


def permitted(plan, store):
    return permit_plan(plan, store, load_registry(), TODAY, accepted=ADA)


def test_a_plan_alone_is_no_permit(planned):
    plan, store = planned
    with pytest.raises(PolicyError, match="takes a permit, and this is 'Plan'"):
        execute(plan, store)
    assert [entry.event for entry in store.ledger.entries] == ["open"]


def test_nobody_makes_a_permit_by_hand(planned):
    plan, store = planned
    for given in (None, object(), "decided", 1):
        with pytest.raises(PolicyError, match="comes of deciding a plan"):
            Permit(plan, load_registry(), (), "", (), given)
    assert [entry.event for entry in store.ledger.entries] == ["open"]


def test_a_permit_of_one_plan_is_none_of_another(planned, tmp_path):
    plan, store = planned
    permit = permitted(plan, store)
    text = (tmp_path / "recipe" / "toy.toml").read_text()
    (tmp_path / "recipe" / "toy.toml").write_text(
        text.replace("calibrate_on = 32", "calibrate_on = 40")
    )
    other = build(load_recipe(tmp_path / "recipe" / "toy.toml"), store)
    with pytest.raises(PolicyError, match="no entry that permits"):
        execute(replace(permit, plan=other), store)


def test_a_permit_holds_in_the_store_where_it_was_given_and_for_a_day(
    planned, tmp_path, monkeypatch
):
    plan, store = planned
    permit = permitted(plan, store)
    elsewhere = Store(tmp_path / "elsewhere", Signer.default())
    with pytest.raises(PolicyError, match="no entry that permits"):
        execute(permit, elsewhere)
    monkeypatch.setattr(permission, "STANDS_FOR", dt.timedelta(0))
    with pytest.raises(PolicyError, match="decide it anew"):
        execute(permit, store)


def test_what_runs_was_decided_and_the_ledger_says_so_before_anything_is_made(planned, tmp_path):
    plan, store = planned
    execute(permitted(plan, store), store, Execution(tmp_path / "cache", threads=1))
    events = [entry.event for entry in store.ledger.accepted]
    assert events.index(DECIDE) < events.index("start")
    again = build(plan.recipe, store)
    before = len(store.ledger.accepted)
    execute(permitted(again, store), store, Execution(tmp_path / "cache", threads=1))
    assert [e.event for e in store.ledger.accepted[before:] if e.event != "conduct"] == []
