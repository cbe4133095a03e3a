"""What a trainer starts from: found, pinned, on the bill by channel weights."""

import pytest
from tests_bases import FILES, ROWS, TUNED, nudging, pin, table, write_base  # noqa: F401
from tests_support import run_stages

from mashbill import InputError
from mashbill.core.stage import Channel
from mashbill.lineage.circuit.nodes import NodeTable, source_of
from mashbill.lineage.evidence.audit import Auditor

pytestmark = pytest.mark.usefixtures("nudging")
pytest.importorskip("transformers")


def members_of(store, name):
    manifest = store.find(name)
    lineage = NodeTable.of(store, manifest)
    found = []
    for how, node, _ in lineage.bodies[lineage.root]["members"]:
        body = lineage.bodies[node]
        found.append((how, source_of(body).title if body["type"] == "source" else body["artifact"]))
    return found


def test_a_folder_is_started_from_and_on_the_bill_by_its_weights(tmp_path):
    sha256 = write_base(tmp_path / "tiny")
    store = run_stages(tmp_path, table("tiny", sha256) + ROWS + TUNED, FILES, "")
    assert members_of(store, "tuned") == [(Channel.CONTENT, "own"), (Channel.WEIGHTS, "Tiny")]
    manifest = store.find("tuned")
    assert manifest.measures["started_from"] == {"Tiny": sha256}
    assert manifest.stage["models"]["tiny"]["sha256"] == sha256
    assert Auditor(store.root).run().findings == []


def test_a_base_that_changed_on_disk_is_not_used(tmp_path):
    sha256 = write_base(tmp_path / "tiny")
    write_base(tmp_path / "tiny", (1.0,) * 8)
    with pytest.raises(InputError, match=rf"models\.tiny: tiny: .* pins {sha256}; the bytes have"):
        run_stages(tmp_path, table("tiny", sha256) + ROWS + TUNED, FILES, "")


def test_a_base_without_a_pin_is_told_the_pin(tmp_path):
    sha256 = write_base(tmp_path / "tiny")
    with pytest.raises(InputError, match=rf"models\.tiny: tiny: pin sha256.*sha256 = '{sha256}'"):
        run_stages(tmp_path, table("tiny", "") + ROWS + TUNED, FILES, "")


def test_a_stage_is_a_base_too(tmp_path):
    sha256 = write_base(tmp_path / "tiny")
    again = '\n[stages.again]\nkind = "nudge"\nbase = "tuned"\n'
    store = run_stages(tmp_path, table("tiny", sha256) + ROWS + TUNED + again, FILES, "")
    assert members_of(store, "again") == [(Channel.WEIGHTS, "tuned@1")]
    assert store.find("again").measures["started_from"] == {"tuned@1": store.find("tuned").digest}
    assert Auditor(store.root).run().findings == []
