"""Folders written as GGUF: what llama.cpp, OpenVINO and gguf's own reader find in them."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
gguf = pytest.importorskip("gguf")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tests_causal import TEXTS, letters, save  # noqa: E402
from tests_llama_cpp import llama_cpp  # noqa: E402

from mashbill import InputError  # noqa: E402
from mashbill.models.gguf_architectures import ARCHITECTURES  # noqa: E402
from mashbill.models.gguf_file import GgufFile  # noqa: E402
from mashbill.models.gguf_pre_tokenizers import PRE_TOKENIZERS, pre_tokenizer, steps  # noqa: E402
from mashbill.models.gguf_writing import write_gguf  # noqa: E402
from mashbill.models.quantisations import QUANTISATIONS  # noqa: E402
from mashbill.models.torch_gguf import llama_of  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

KEYS = {
    "llama": {},
    "mistral": {"sliding_window": None},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "olmo2": {},
    "granite": {
        "embedding_multiplier": 2.0, "logits_scaling": 3.0, "residual_multiplier": 0.5,
        "attention_multiplier": 0.2,
    },
}  # fmt: skip
MORE = {
    "llama-tied": {"kind": "llama", "tie_word_embeddings": True},
    "llama-biased": {"kind": "llama", "attention_bias": True, "mlp_bias": True},
    "llama-3": {
        "kind": "llama",
        "pre": "llama-bpe",
        "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        },
    },
    "llama-linear": {
        "kind": "llama",
        "pre": "gpt-2",
        "rope_parameters": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0},
    },
}  # fmt: skip
PROMPT = "What do bees make? 1 2024 日本語 Grüße"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("gguf")
    for kind, keys in KEYS.items():
        save(home / kind, kind, pre="qwen2" if kind.startswith("qwen") else "smollm", **keys)
    for name, keys in MORE.items():
        save(home / name, **{"kind": "llama", **keys})
    return home


def written(home, name, quantise="f32", **facts):
    to = home / f"{name}-{quantise}.gguf"
    if not to.exists():
        write_gguf(home / name, to, quantise, facts)
    return to


def weights(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_every_architecture_of_the_table_is_tried_here():
    assert KEYS.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("name", ["llama", "llama-tied"])
def test_what_is_read_back_is_what_was_written_to_the_bit(home, name):
    found = llama_of(GgufFile(written(home, name))).state_dict()
    own = weights(home / name).state_dict()
    assert found.keys() == own.keys()
    assert all(torch.equal(found[key], own[key]) for key in own)


@pytest.mark.parametrize("quantise", QUANTISATIONS)
def test_matrices_are_of_the_type_asked_for_and_near_what_they_were(home, quantise):
    reader = gguf.GGUFReader(written(home, "llama", quantise))
    plain = {t.name: t for t in gguf.GGUFReader(written(home, "llama", "f32")).tensors}
    most = {"f32": 0, "f16": 6e-4, "q8_0": 5e-3, "q4_0": 0.13}[quantise]
    for tensor in reader.tensors:
        outer = tensor.name in ("token_embd.weight", "output.weight")
        expected = "q8_0" if quantise == "q4_0" and outer else quantise
        expected = "f32" if len(tensor.shape) < 2 else expected
        assert tensor.tensor_type.name.lower() == expected
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        own = np.array(plain[tensor.name].data)
        assert np.abs(values - own).max() <= most * np.abs(own).max()


@pytest.mark.parametrize(("name", "composes"), [("qwen2", True), ("qwen3", True), ("llama", False)])
def test_letters_are_composed_as_the_name_of_a_tokenizer_implies(home, name, composes):
    """Qwen's tokenizers read texts in NFC, which GGUF does not say."""
    tokenizer = GgufFile(written(home, name)).tokenizer()
    apart, together = (tokenizer.encode(text).ids for text in ("cafe\u0301", "caf\u00e9"))
    assert (apart == together) is composes


def test_the_file_says_whose_it_is_and_is_the_same_each_time(home, tmp_path):
    facts = {"mashbill.artifact": "small@1", "mashbill.bill.sha256": "ab" * 32}
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    for to in (first, second):
        done = write_gguf(home / "llama", to, "q8_0", facts)
    assert first.read_bytes() == second.read_bytes()
    assert done.architecture == "llama"
    assert done.matrices == {"q8_0": 16}
    assert done.parameters == sum(p.numel() for p in weights(home / "llama").parameters())
    file = GgufFile(first)
    assert {key: file.value(key) for key in facts} == facts
    assert file.value("general.file_type") == gguf.LlamaFileType.MOSTLY_Q8_0
    template = (home / "llama" / "chat_template.jinja").read_text()
    assert file.value("tokenizer.chat_template") == template


def test_rows_that_are_no_blocks_of_32_stay_float16(home, tmp_path):
    save(tmp_path / "odd", hidden_size=48, num_attention_heads=3, num_key_value_heads=3)
    done = write_gguf(tmp_path / "odd", tmp_path / "odd.gguf", "q4_0", {})
    assert done.matrices == {"f16": 14, "q4_0": 2}  # of 64 numbers a row there are two
    assert done.told == "14 as f16, 2 as q4_0"


def test_weights_in_several_files_and_an_adapter_are_written_as_one(home, tmp_path):
    peft = pytest.importorskip("peft")
    model = weights(home / "llama")
    shutil.copytree(home / "llama", tmp_path / "parts")
    (tmp_path / "parts" / "model.safetensors").unlink()
    model.save_pretrained(tmp_path / "parts", max_shard_size="40KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    write_gguf(tmp_path / "parts", tmp_path / "parts.gguf", "f32", {})
    assert (tmp_path / "parts.gguf").read_bytes() == written(home, "llama").read_bytes()
    torch.manual_seed(3)
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(model, config)
    shutil.copytree(home / "llama", tmp_path / "lora")
    adapted.save_pretrained(tmp_path / "lora")
    write_gguf(tmp_path / "lora", tmp_path / "lora.gguf", "f32", {})
    own = adapted.merge_and_unload().state_dict()
    found = llama_of(GgufFile(tmp_path / "lora.gguf")).state_dict()
    assert all(torch.allclose(found[key], own[key], atol=1e-6) for key in own)
    plain = weights(home / "llama").state_dict()
    assert not all(torch.equal(own[key], plain[key]) for key in plain)


REFUSED = {
    "another architecture": (
        {"config.json": {"model_type": "gpt2"}}, "model_type is 'gpt2', and GGUF is written of",
    ),
    "no architecture": ({"config.json": {"model_type": "x"}}, "has no architecture 'x'"),
    "another activation": ({"config.json": {"hidden_act": "gelu"}}, "hidden_act is 'gelu'"),
    "positions scaled otherwise": (
        {"config.json": {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4,
                                             "factor": 2.0}}},
        "rope_type is 'dynamic'",
    ),
    "a window": (
        {"config.json": {"model_type": "mistral", "sliding_window": 16}}, "sliding_window is 16",
    ),
    "more tokens than rows": (
        {"tokenizer.json": {"added_tokens": [{"id": 5000, "content": "x", "special": True}]}},
        "a token 5,000, and the model's embedding has 323 rows",
    ),
    "letters changed": (
        {"tokenizer.json": {"normalizer": {"type": "Lowercase"}}}, "changes texts before it cuts",
    ),
    "another cut": (
        {"tokenizer.json": {"pre_tokenizer": {"type": "Whitespace"}}}, "for here (Whitespace)",
    ),
}  # fmt: skip


def test_what_has_no_word_in_gguf_is_refused_by_name_with_what_to_do(home, tmp_path):
    for number, (name, (changes, said)) in enumerate(REFUSED.items()):
        folder = tmp_path / str(number)
        shutil.copytree(home / "llama", folder)
        for file, keys in changes.items():
            data = json.loads((folder / file).read_text())
            (folder / file).write_text(json.dumps({**data, **keys}))
        with pytest.raises(InputError) as caught:
            write_gguf(folder, tmp_path / "x.gguf", "f16", {})
        assert said in str(caught.value), name
        assert str(folder) in str(caught.value), name


def test_a_tensor_without_a_place_and_numbers_beyond_float16_are_refused(home, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "more"
    shutil.copytree(home / "llama", folder)
    tensors = load_file(folder / "model.safetensors")
    extra = {**tensors, "model.layers.0.novelty.weight": torch.zeros(2, 2)}
    save_file(extra, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"'model\.layers\.0\.novelty\.weight' has no place"):
        write_gguf(folder, tmp_path / "x.gguf", "f16", {})
    tensors["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e6
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InputError, match="beyond those of float16; write it with f32 or q8_0"):
        write_gguf(folder, tmp_path / "x.gguf", "f16", {})


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_a_name_of_a_way_to_cut_leads_to_its_steps_and_back(pre, tmp_path):
    made = letters(pre=pre)
    data = json.loads(made.to_str())
    assert steps(data["pre_tokenizer"]) == PRE_TOKENIZERS[pre]
    save(tmp_path / "m", pre=pre)
    write_gguf(tmp_path / "m", tmp_path / "m.gguf", "f16", {})
    read = GgufFile(tmp_path / "m.gguf").tokenizer()
    made.post_processor = None
    for text in (*TEXTS, PROMPT):
        assert read.encode(text).ids == made.encode(text, add_special_tokens=False).ids
    assert pre_tokenizer("deepseek-llm") is None


# ---- llama.cpp ----


def compared(ask, folder, prompt=PROMPT, most=16):
    """Greedy tokens of both, the tokens of a text, and the largest gap of log-probabilities."""
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    ids = tokenizer(prompt).input_ids
    found = ask("/tokenize", content=prompt, add_special=True, parse_special=False)["tokens"]
    assert found == ids
    model = weights(folder)
    made = model.generate(torch.tensor([ids]), max_new_tokens=most, do_sample=False)[0].tolist()
    answer = ask(
        "/completion", prompt=ids, n_predict=most, temperature=0, return_tokens=True, n_probs=8,
        cache_prompt=False,
    )  # fmt: skip
    with torch.inference_mode():
        after = torch.log_softmax(model(torch.tensor([ids + answer["tokens"]])).logits[0], -1)
    gaps, at = [], len(ids) - 1
    told = [entry for entry in answer["completion_probabilities"] if entry["id"] >= 0]
    for place, token in enumerate(answer["tokens"]):
        # tokens that are no whole letter yet are told of with the next one
        if told and told[0]["id"] == token:
            likely = told.pop(0)["top_logprobs"]
            gaps += [abs(e["logprob"] - float(after[at + place, e["id"]])) for e in likely]
    assert gaps
    return answer["tokens"], made[len(ids) :], max(gaps)


@pytest.mark.engines
@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("name", [*KEYS, *MORE])
def test_llama_cpp_writes_what_transformers_writes(home, name):
    with llama_cpp(written(home, name)) as ask:
        found, own, gap = compared(ask, home / name)
    assert found == own
    assert gap < 0.005


@pytest.mark.engines
@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(("quantise", "most"), [("f16", 0.05), ("q8_0", 0.3), ("q4_0", 4.0)])
def test_of_smaller_files_llama_cpp_says_about_the_same(home, quantise, most):
    with llama_cpp(written(home, "llama", quantise)) as ask:
        found, own, gap = compared(ask, home / "llama", most=1)
    assert gap < most
    assert found == own or quantise == "q4_0"


@given(st.text(max_size=30))
def test_of_any_text_the_tokens_are_those_of_the_folder(home, text):
    folder = home / "llama"
    read = GgufFile(written(home, "llama")).tokenizer()
    own = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    plain = own._tokenizer
    plain.encode_special_tokens = True
    assert read.encode(text).ids == plain.encode(text, add_special_tokens=False).ids
