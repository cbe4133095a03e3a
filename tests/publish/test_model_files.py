"""A trained model as one file of another program: what is in it, beside it, and who may have it."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("gguf")

from tests_bases import FILES, ROWS, pin, table  # noqa: E402
from tests_causal import save, tuning  # noqa: E402, F401
from tests_support import run_stages  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

import mashbill as mb  # noqa: E402
from mashbill import InputError, StoreError  # noqa: E402
from mashbill.cli import app  # noqa: E402
from mashbill.core.canonical import digest_bytes  # noqa: E402
from mashbill.core.model import Decoding  # noqa: E402
from mashbill.core.shown import json_text  # noqa: E402
from mashbill.core.teacher import Question  # noqa: E402
from mashbill.models.causal_writer import CausalWriter  # noqa: E402
from mashbill.models.gguf_file import GgufFile  # noqa: E402
from mashbill.models.gguf_folder import write_folder  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("tuning")]
TUNED = '\n[stages.tuned]\nkind = "tuned"\ninput = "rows"\nbase = "tiny"\n'
ASKED = [Question("", body) for body in ("Name a colour.", "Why?", "日本語")]


@pytest.fixture
def made(tmp_path):
    save(tmp_path / "tiny")
    stages = table("tiny", pin(tmp_path / "tiny")) + ROWS + TUNED
    return mb.open(run_stages(tmp_path, stages, FILES, "").root)


def test_a_gguf_file_says_whose_it_is_by_the_bill_beside_it(made, tmp_path):
    done = made["tuned"].write_model("gguf", tmp_path / "out" / "small.gguf", "f32")
    file, beside = done.paths
    assert beside == tmp_path / "out" / "bill.json"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"small.gguf", "bill.json"}
    assert "architecture llama, 39,264 parameters, matrices: 16 as f32" in done.told
    read = GgufFile(file)
    manifest, bill = made["tuned"].manifest, beside.read_bytes()
    said = {
        "mashbill.artifact": "tuned@1",
        "mashbill.artifact.sha256": manifest.digest,
        "mashbill.bill": "bill.json",
        "mashbill.bill.sha256": digest_bytes(bill),
        "mashbill.verdicts.sha256": digest_bytes(json_text(json.loads(bill)["verdicts"]).encode()),
        "general.name": "tuned@1",
        "general.base_model.count": 1,
        "general.base_model.0.name": "Tiny",
        "general.base_model.0.organization": "Tinies",
    }
    assert {key: read.value(key) for key in said} == said
    again = made["tuned"].write_model("gguf", tmp_path / "again.gguf", "f32")
    assert again.paths[0].read_bytes() == file.read_bytes()


def test_a_student_read_back_from_gguf_answers_as_it_did(made, tmp_path):
    file = made["tuned"].write_model("gguf", tmp_path / "small.gguf", "f32").paths[0]
    (tmp_path / "back").mkdir()
    write_folder(file, tmp_path / "back")
    own, back = made["tuned"].writer(), CausalWriter.load(tmp_path / "back", 1)
    assert back.answer(ASKED, Decoding(12)) == own.answer(ASKED, Decoding(12))


def test_the_command_writes_the_file_and_says_what_is_in_it(made, tmp_path):
    runner, store = CliRunner(), str(made["tuned"].store.root)
    to = tmp_path / "small.gguf"
    call = ["export", "tuned", "--store", store, "--format", "gguf"]
    done = runner.invoke(app, [*call, "--to", str(to), "--quantise", "q8_0"])
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(to), str(to.parent / "bill.json")]
    assert "matrices: 16 as q8_0" in done.stderr
    for more, said in (
        ([], "add --to FILE.gguf"),
        (["--to", str(to), "--quantise", "q4_1"], "choose of f32, f16, q8_0, q4_0"),
        (["--to", str(tmp_path)], "is a folder"),
    ):
        failed = runner.invoke(app, [*call, *more])
        assert failed.exit_code, more
        assert said in str(failed.exception or failed.output), more
    card = ["export", "tuned", "--store", store, "--format", "card", "--quantise", "f16"]
    failed = runner.invoke(app, card)
    assert "--quantise goes with --format gguf" in str(failed.exception or failed.output)


def test_what_is_no_model_that_writes_is_told_what_to_do(made, tmp_path):
    with pytest.raises(InputError, match="rows@1 is a dataset, and gguf holds a model"):
        made["rows"].write_model("gguf", tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()


def test_files_that_are_not_those_committed_are_not_written_on(made, tmp_path):
    config = made["tuned"].folder / "config.json"
    config.chmod(0o644)
    config.write_text(config.read_text().replace("silu", "gelu"))
    with pytest.raises(StoreError, match=r"config\.json is not what was committed"):
        made["tuned"].write_model("gguf", tmp_path / "x.gguf")
    assert list(tmp_path.glob("*.gguf*")) == []
