"""A stage's own key ``models`` is no base: audits and second makings keep the two apart."""

from __future__ import annotations

from tests_support import run_channels

from mashbill.core.base_model import MODELS
from mashbill.lineage.evidence.audit import Auditor


def test_no_stage_has_a_key_that_names_its_bases_in_literals(tmp_path):
    """``merge`` and ``import`` have a key models; their literals state no bases."""
    from mashbill.core import registry

    groups = (registry.STAGES, registry.TRAINERS)
    kinds = [registry.find(kind, *groups) for kind in registry.kinds(*groups)]
    assert not [kind for kind in kinds if MODELS in kind.model_fields]
    store, _ = run_channels(tmp_path / "store")
    assert "models" in store.find("merged").stage
    assert MODELS not in store.find("merged").stage
    assert Auditor(store.root).run().findings == []
