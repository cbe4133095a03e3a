"""What is said of language models and adapters, and that what is said of their use runs."""

import json
import re

import pytest

pytest.importorskip("torch")
from huggingface_hub import ModelCard
from tests_training import SFT, run

import mashbill as mb
from mashbill.lineage.described import describe
from mashbill.lineage.exports import export

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", params=["merged", "adapter"])
def made(request, tmp_path_factory):
    kept = SFT.replace("epochs = 6", "steps = 2")
    kept += "" if request.param == "merged" else "merge = false\n"
    store, _ = run(tmp_path_factory.mktemp(request.param), kept)
    return store, request.param


def test_a_student_is_told_by_its_own_files(made):
    store, how = made
    described = describe(store, store.find("student"))
    facts = dict(described.facts())
    built = described.built
    assert built is not None
    assert described.task == "text-generation"
    assert facts["architecture"].startswith("LlamaForCausalLM")
    assert facts["layers"] == "2"
    assert facts["chat template"] == "in chat_template.jinja"
    assert built.is_adapter is (how == "adapter")
    from transformers import AutoModelForCausalLM

    folder = store.folder("model", store.find("student").ref)
    real = AutoModelForCausalLM.from_pretrained(folder)
    adapted = {n: p.numel() for n, p in real.named_parameters() if "lora" in n.lower()}
    assert built.adapter_parameters == (sum(adapted.values()) if adapted else None)
    assert built.parameters == sum(p.numel() for p in real.parameters()) - sum(adapted.values())
    if how == "adapter":
        assert described.what().startswith("an adapter of ")
        assert "rank 16" in facts["is"]


def test_what_is_said_of_its_use_runs_and_each_export_holds(made, tmp_path, capsys):
    store, how = made
    to = tmp_path / "out"
    mb.open(store.root)["student"].publish(str(to))
    text = (to / "README.md").read_text()
    card = ModelCard(text).data
    assert card.pipeline_tag == "text-generation"
    relation = "adapter" if how == "adapter" else "finetune"
    assert card.to_dict().get("base_model_relation", relation) == relation
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    exec(code.replace("path/to/this/folder", str(to)), {})  # noqa: S102 - our card
    theirs = capsys.readouterr().out.strip()
    (ours,) = mb.load(to, max_tokens=64)(["a question"])
    assert theirs == ours.strip()
    assert ("peft" in text) is (how == "adapter")
    component = json.loads(export(store, store.find("student"), "cyclonedx"))["metadata"][
        "component"
    ]
    parameters = component["modelCard"]["modelParameters"]
    assert parameters["architectureFamily"] == "llama"
    assert parameters["task"] == "text-generation"
