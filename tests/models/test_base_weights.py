"""A GGUF file as a folder: the same tokens and the same numbers as the engine over the file."""

import json
import re

import numpy as np
import pytest

from mashbill import InputError
from mashbill.core.base_model import FolderModel, GgufModel
from mashbill.core.canonical import digest_file
from mashbill.core.teacher import Question
from mashbill.models.base_weights import weights_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
gguf = pytest.importorskip("gguf")

WIDTH, HEADS, LAYERS, CONTEXT = 32, 4, 2, 64
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_gguf(path, *, tied=True, architecture="llama", pre="smollm", kind="F16", more=None):
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters, "th", "the"]
    draw = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3, *[1] * (len(tokens) - 3)])
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)
    writer.add_vocab_size(len(tokens))
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(WIDTH * 2)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS // 2)
    writer.add_context_length(CONTEXT)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    if more is not None:
        key, value = f"{architecture}.{more[0]}", more[1]
        writer.kv_data[0].pop(key, None)
        add_value = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32}
        add_value[type(value)](key, value)
    kept = getattr(gguf.GGMLQuantizationType, kind)

    def add(name, *shape):
        values = (draw.normal(size=shape) * 0.3 + (len(shape) == 1)).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quantize(values, kept), raw_dtype=kept)

    add("token_embd.weight", len(tokens), WIDTH)
    add("output_norm.weight", WIDTH)
    if not tied:
        add("output.weight", len(tokens), WIDTH)
    for layer in range(LAYERS):
        for name, shape in {
            "attn_norm": (WIDTH,), "ffn_norm": (WIDTH,), "attn_q": (WIDTH, WIDTH),
            "attn_k": (WIDTH // 2, WIDTH), "attn_v": (WIDTH // 2, WIDTH),
            "attn_output": (WIDTH, WIDTH), "ffn_gate": (WIDTH * 2, WIDTH),
            "ffn_up": (WIDTH * 2, WIDTH), "ffn_down": (WIDTH, WIDTH * 2),
        }.items():  # fmt: skip
            add(f"blk.{layer}.{name}.weight", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return digest_file(path)


def spec_of(path, **keys):
    table = {"name": "tiny", "file": path.name, "sha256": digest_file(path), **keys}
    return GgufModel.model_validate(table)


TEXTS = ["the 12 thes", "你好 été 🙂 e\u0301", "  two  spaces\n\ttabs", "<|im_end|> as text", ""]


@pytest.mark.parametrize(("tied", "kind"), [(True, "F16"), (False, "Q8_0"), (True, "Q4_1")])
def test_a_gguf_file_is_a_folder_of_the_same_tokens_and_numbers(tmp_path, tied, kind):
    from mashbill.models.torch_gguf import TorchTeacher

    write_gguf(tmp_path / "tiny.gguf", tied=tied, kind=kind)
    spec = spec_of(tmp_path / "tiny.gguf")
    weights = weights_of("tiny", spec, tmp_path, tmp_path / "cache")
    assert weights.digest == spec.sha256
    assert {file.name for file in weights.folder.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "generation_config.json",
    }  # fmt: skip
    tokenizer = transformers.AutoTokenizer.from_pretrained(weights.folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(weights.folder).eval()
    assert model.dtype == torch.float32
    assert model.config.tie_word_embeddings == tied
    assert (tokenizer.pad_token, tokenizer.eos_token, tokenizer.bos_token) == (
        "<|im_end|>", "<|im_end|>", "<|im_start|>"
    )  # fmt: skip
    assert model.generation_config.eos_token_id == 2
    engine = TorchTeacher(
        tmp_path / "tiny.gguf", identity={}, precision="f32", batch=4,
        cache=tmp_path / "cache", threads=1,
        writing={"max_tokens": 4, "temperature": 0.0, "top_p": 1.0, "seed": 0},
    )  # fmt: skip
    for text in TEXTS[:3]:
        said = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
        )
        assert said == engine._chat.ids(Question("", text))
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    with torch.inference_mode():
        ids = torch.tensor([tokenizer("the 12")["input_ids"]])
        assert torch.equal(model(ids).logits, engine._model(ids).logits)
    again = weights_of("tiny", spec, tmp_path, tmp_path / "cache")
    assert again == weights


def test_a_gguf_that_is_not_read_is_told(tmp_path):
    wrong = []
    for keys, told in [
        ({"architecture": "gpt2"}, "has architecture and tokenizer ('gpt2', 'gpt2')"),
        ({"pre": "tekken"}, "wants the pre-tokenizer 'tekken'"),
        ({"architecture": "qwen2"}, "a qwen2 of its sizes has a tensor 'blk.0.attn_q.bias'"),
        ({"more": ("attention.sliding_window", 8)}, "its attention looks 8 tokens back"),
        ({"more": ("expert_count", 4)}, "it has 4 experts"),
        ({"more": ("rope.dimension_count", 2)}, "only a part of its heads is turned"),
        ({"more": ("rope.scaling.type", "yarn")}, "its positions are scaled in a way"),
        ({"more": ("logit_scale", 2.0)}, "it scales what a llama does not"),
        ({"more": ("block_count", 1)}, "its tensor 'blk.1"),
        ({"more": ("block_count", 3)}, "a llama of its sizes has a tensor 'blk.2"),
        ({"more": ("embedding_length", 64)}, "of shape (261, 64), it one of shape (261, 32)"),
        ({"more": ("vocab_size", 10**9)}, "vocab_size is 1000000000"),
        ({"more": ("attention.head_count", 0)}, "of a language model"),
    ]:
        write_gguf(tmp_path / "other.gguf", **keys)
        try:
            weights_of("b", spec_of(tmp_path / "other.gguf"), tmp_path, tmp_path / "cache")
            wrong.append(f"{keys}: taken")
        except InputError as error:
            if told not in str(error) or not str(error).startswith("models.b: "):
                wrong.append(f"{keys}: {error}")
        assert not list((tmp_path / "cache" / "bases").iterdir())
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", ["llama", "llama-biased", "qwen2", "qwen3", "olmo2", "granite"])
def test_what_is_written_as_gguf_is_read_as_it_was(tmp_path, kind):
    from tests_causal import save

    from mashbill.models import gguf_writing

    keys = {
        "llama-biased": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
        "qwen3": {"head_dim": 16},
        "granite": {
            "embedding_multiplier": 2.0, "logits_scaling": 3.0, "residual_multiplier": 0.5,
            "attention_multiplier": 0.2,
        },
        "llama": {"rope_parameters": {"rope_type": "linear", "rope_theta": 9e3, "factor": 4.0}},
    }.get(kind, {})  # fmt: skip
    pre = "qwen2" if kind.startswith("qwen") else "smollm"
    save(tmp_path / "made", kind.partition("-")[0], pre=pre, **keys)
    gguf_writing.write_gguf(tmp_path / "made", tmp_path / "made.gguf", "f32", {})
    read = weights_of("b", spec_of(tmp_path / "made.gguf"), tmp_path, tmp_path / "cache").folder
    before, after = (
        transformers.AutoModelForCausalLM.from_pretrained(one, dtype=torch.float32).eval()
        for one in (tmp_path / "made", read)
    )
    tokens, again = (
        transformers.AutoTokenizer.from_pretrained(one) for one in (tmp_path / "made", read)
    )
    for text in TEXTS:
        ids = tokens(text, add_special_tokens=False)["input_ids"]
        assert again(text, add_special_tokens=False)["input_ids"] == ids
    assert type(before) is type(after)
    with torch.inference_mode():
        ids = torch.tensor([tokens("the 12 bees")["input_ids"]])
        assert torch.equal(before(ids).logits, after(ids).logits)


def test_a_gguf_without_a_pin_or_of_other_bytes_is_told(tmp_path):
    found = write_gguf(tmp_path / "tiny.gguf")
    with pytest.raises(InputError, match=f"pin sha256.*sha256 = '{found}'"):
        weights_of("b", spec_of(tmp_path / "tiny.gguf", sha256=""), tmp_path, tmp_path / "cache")
    spec = spec_of(tmp_path / "tiny.gguf", sha256="0" * 64)
    with pytest.raises(InputError, match=rf"models\.b: tiny\.gguf: its SHA-256 is {found}"):
        weights_of("b", spec, tmp_path, tmp_path / "cache")


def test_the_packaged_model_is_the_one_of_the_recipe_that_teaches(tmp_path):
    import tomllib
    from pathlib import Path

    path = Path(__file__).parents[2] / "recipes" / "grey_area.toml"
    teacher = tomllib.loads(path.read_text())["teachers"]["smollm2"]
    alone = GgufModel.model_validate({"kind": "gguf"})
    for key in ("name", "provider", "license", "file", "member", "sha256"):
        assert getattr(alone, key) == teacher[key], key
    with pytest.raises(ValueError, match="member is set and file is not"):
        GgufModel.model_validate({"member": "x.gguf"})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"model_type": "lama"}, "transformers has; did you mean 'llama'?; name another model"),
        ({"model_type": "mine", "auto_map": {"AutoModel": "m.Mine"}},
         "which is no architecture that transformers has; code that a folder brings"),
        ({"model_type": None}, "model_type = None"),
        ({"model_type": ["llama"]}, "model_type = ['llama']"),
        ({"model_type": "llama", "hidden_size": 10**9}, "hidden_size is 1000000000"),
    ],
)  # fmt: skip
def test_what_transformers_does_not_know_is_told(tmp_path, config, told):
    from tests_bases import pin, write_base

    write_base(tmp_path / "some")
    (tmp_path / "some" / "config.json").write_text(json.dumps(config))
    spec = FolderModel(name="some", folder="some", sha256=pin(tmp_path / "some"))
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        weights_of("b", spec, tmp_path, tmp_path / "cache")
    assert str(caught.value).startswith("models.b: some")


def test_a_folder_without_weights_and_one_of_an_adapter_are_told(tmp_path):
    from tests_bases import pin, write_base

    write_base(tmp_path / "some")
    (tmp_path / "some" / "adapter_config.json").write_text("{}")
    spec = FolderModel(name="some", folder="some", sha256=pin(tmp_path / "some"))
    with pytest.raises(InputError, match=r"models\.b: some: an adapter rests on weights"):
        weights_of("b", spec, tmp_path, tmp_path / "cache")
    (tmp_path / "some" / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"models\.b: some: has no \*\.safetensors"):
        weights_of("b", spec, tmp_path, tmp_path / "cache")
    gone = FolderModel(name="gone", folder="gone", sha256="0" * 64)
    with pytest.raises(InputError, match=r"models\.b: gone"):
        weights_of("b", gone, tmp_path, tmp_path / "cache")
