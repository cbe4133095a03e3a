"""A manifest names files of its own folder, and itself by a name: whoever wrote it."""

from __future__ import annotations

import json
import shutil

import pytest
from tests_support import commit_manifest

from mashbill import ArtifactRef, Store, StoreError
from mashbill.core.store import MANIFEST

EVIL = ["../x", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "a\0b"]


@pytest.mark.few(12)
@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize(
    "change",
    [
        lambda data, evil: data["shards"][0].update(file=evil),
        lambda data, evil: data["nodes"].update(file=evil),
        lambda data, evil: data.update(name=evil),
        lambda data, evil: data.update(version=evil),
        lambda data, evil: data.update(files=[{"file": evil, "sha256": "0" * 64}]),
    ],
)
def test_a_manifest_that_names_another_place_is_damaged(finished, tmp_path, change, evil):
    ref = ArtifactRef("corpus", "1")
    before = Store(finished[0]).folder("dataset", ref)
    after = tmp_path / "datasets" / str(ref)
    after.mkdir(parents=True)
    shutil.copy(finished[0] / "ledger.jsonl", tmp_path)
    data = json.loads((before / MANIFEST).read_text())
    commit_manifest(tmp_path, after / MANIFEST, data)
    assert Store(tmp_path).get(ref) is not None
    change(data, evil)
    (after / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(StoreError, match="is not the one that the ledger commits"):
        Store(tmp_path).get(ref)
    commit_manifest(tmp_path, after / MANIFEST, data)
    with pytest.raises(StoreError, match="is damaged"):
        Store(tmp_path).get(ref)
