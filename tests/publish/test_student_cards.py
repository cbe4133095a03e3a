"""A published student: plain transformers loads the folder, by the words of its own card."""

import json
import re
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
hub = pytest.importorskip("huggingface_hub")

from tests_bases import FILES, ROWS, pin, table  # noqa: E402
from tests_causal import save, tuning  # noqa: E402, F401
from tests_support import run_stages  # noqa: E402

import mashbill as mb  # noqa: E402
from mashbill.core.canonical import digest_bytes  # noqa: E402
from mashbill.core.model import Decoding  # noqa: E402
from mashbill.core.teacher import Question  # noqa: E402
from mashbill.lineage.exports import card, gather  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("tuning")]
TUNED = '\n[stages.tuned]\nkind = "tuned"\ninput = "rows"\nbase = "tiny"\n'


def made(folder, *, chat=True, **keys):
    save(folder / "tiny", chat=chat)
    told = table("tiny", pin(folder / "tiny"), license="Apache-2.0", **keys)
    stages = told.replace('name = "Tiny"', 'name = "tinies/Tiny-1"') + ROWS + TUNED
    return mb.open(run_stages(folder, stages, FILES, "").root)


@pytest.mark.parametrize("chat", [True, False])
def test_what_the_card_says_of_its_use_gives_what_the_student_says(tmp_path, chat, capsys):
    ws = made(tmp_path, chat=chat)
    ws["tuned"].publish(str(tmp_path / "out"))
    text = (tmp_path / "out" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(code.replace("path/to/this/folder", str(tmp_path / "out")), {})  # noqa: S102 - our card
    asked = Question("", "a question" if chat else "a text")
    (answer,) = ws["tuned"].writer().answer([asked], Decoding(64))
    assert capsys.readouterr().out.strip() == answer.text.strip()


def test_the_card_names_the_base_the_task_and_the_duties(tmp_path):
    ws = made(tmp_path)
    ws["tuned"].publish(str(tmp_path / "out"))
    text = (tmp_path / "out" / "README.md").read_text()
    data = hub.ModelCard(text).data
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "text-generation"
    assert data.base_model == ["tinies/Tiny-1"]
    assert data.to_dict()["base_model_relation"] == "finetune"
    block = data.to_dict()["x-mashbill"]
    assert block["sha256"] == digest_bytes((tmp_path / "out" / "bill.json").read_bytes())
    duties = text.partition("## Licence and duties")[2].partition("\n## ")[0]
    assert "Apache" in duties
    assert "Duties that reach it" in duties
    assert "Tiny-1" in duties
    weights = text.partition("## Training data")[2].partition("\n## ")[0]
    assert "weights" in weights


def test_an_adapter_is_told_as_one(tmp_path):
    ws = made(tmp_path)
    account = gather(ws["tuned"].store, ws["tuned"].manifest)
    first = account.manifest.files[0]
    files = (*account.manifest.files, first.model_copy(update={"file": "adapter_config.json"}))
    told = card.write(
        replace(account, manifest=account.manifest.model_copy(update={"files": files}))
    )
    assert hub.ModelCard(told).data.to_dict()["base_model_relation"] == "adapter"
    assert "install `peft`" in told


def test_publishing_twice_changes_nothing_and_the_bill_is_beside(tmp_path):
    ws = made(tmp_path)
    first = ws["tuned"].publish(str(tmp_path / "out"))
    again = ws["tuned"].publish(str(tmp_path / "out"))
    assert again.written == ()
    assert set(again.unchanged) == {*first.sums, "SHA256SUMS"}
    assert json.loads((tmp_path / "out" / "bill.json").read_text())["artifact"] == "tuned@1"
