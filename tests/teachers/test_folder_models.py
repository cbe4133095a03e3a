"""Teachers over a folder of safetensors: transformers on a tiny model, vLLM by a stand-in."""

import json
import math
import shutil
import sys
import types

import numpy as np
import pytest
from tests_chat import said

from mashbill import InputError, MissingExtraError, TeacherError
from mashbill.calls.paid_call import request_digest
from mashbill.core import registry
from mashbill.core.schema import Schema
from mashbill.core.teacher import Question

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% endif %}"
)
ASKED = [Question("", body) for body in ("Name a colour.", "What do bees make?", "Why?")]


def save(folder):
    """A model of random weights over bytes, with a tokenizer that begins each text with <s>."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    tokens.add_special_tokens(["<s>", "<|im_start|>", "<|im_end|>"])
    tokens.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokens.token_to_id("<s>"))]
    )
    marks = {"bos_token": "<s>", "eos_token": "<|im_end|>"}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, chat_template=TEMPLATE, **marks
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=tokens.get_vocab_size(),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.5,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id,
        )
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("folder")
    save(home / "tiny")
    return home


def spec_of(home, kind="transformers", **keys):
    model = registry.find(kind, registry.TEACHERS)
    table = {"name": "tiny", "provider": "mashbill", "folder": "tiny", "sha256": "0" * 64}
    if "sha256" not in keys:
        with pytest.raises(InputError) as caught:
            model.model_validate({**table, **keys}).weights(home, home / "cache")
        keys["sha256"] = str(caught.value).split(" files is ")[1][:64]
    return model.model_validate({**table, **keys})


def load(home, kind="transformers", **keys):
    return spec_of(home, kind, **keys).load(home, home / "cache", 2)


@pytest.fixture(scope="module")
def greedy(home):
    return load(home, max_tokens=12)


def whole(home, text):
    """Log-probabilities after a text, by transformers alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(home / "tiny")
    model = transformers.AutoModelForCausalLM.from_pretrained(home / "tiny")
    with torch.inference_mode():
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0, -1]
    return tokenizer, torch.log_softmax(logits, -1).numpy()


def test_the_pinned_files_and_no_others_are_what_an_engine_sees(home):
    (home / "tiny" / "notes.md").write_text("not of the model")
    seen = spec_of(home).weights(home, home / "cache")
    assert {item.name for item in seen.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json", "chat_template.jinja",
    }  # fmt: skip


def test_a_folder_that_is_not_the_pinned_one_or_no_model_is_refused(home):
    with pytest.raises(InputError, match="the recipe pins 0000"):
        load(home, sha256="0" * 64)
    (home / "empty").mkdir(exist_ok=True)
    (home / "empty" / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"has no tokenizer.json, \*.safetensors"):
        load(home, folder="empty", sha256="0" * 64)
    with pytest.raises(InputError, match="name the folder that holds"):
        load(home, folder="tiny/config.json", sha256=digest(home / "tiny" / "config.json"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_told_in_plain_words(home):
    with pytest.raises(TeacherError, match="cannot load tiny on device 'cuda'"):
        load(home, device="cuda")


def test_what_does_not_fit_into_memory_is_told_with_what_to_set(home, monkeypatch):
    teacher = load(home, batch=4)

    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(teacher, "_compute_logits", full)
    with pytest.raises(TeacherError, match="memory for 1 questions together; set batch below 4"):
        teacher.answer([Question("a", "b", ("x", "y"))])


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_act": "zzz"}, {"num_attention_heads": 0}, {"rope_scaling": {"rope_type": "zzz"}},
        {"num_hidden_layers": 10**7}, "cut",
        {"model_type": "zzz"}, {"vocab_size": "a"},
    ],
)  # fmt: skip
def test_a_stranger_s_folder_that_cannot_be_loaded_is_told(home, tmp_path, changes):
    folder = tmp_path / "tiny"
    shutil.copytree(home / "tiny", folder)
    if changes == "cut":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))
    spec = spec_of(tmp_path)
    with pytest.raises(TeacherError, match="tiny"):
        spec.load(tmp_path, tmp_path / "cache", 2)


def test_a_tokenizer_that_would_fill_the_memory_is_not_loaded_at_plan(home, tmp_path):
    shutil.copytree(home / "tiny", tmp_path / "tiny")
    file = tmp_path / "tiny" / "tokenizer.json"
    steps = [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}] * 6
    made = json.loads(file.read_text())
    made["normalizer"] = {"type": "Sequence", "normalizers": steps}
    file.write_text(json.dumps(made))
    spec = spec_of(tmp_path, sha256="0" * 64)
    assert spec.tokenizer_at_hand(tmp_path, tmp_path / "cache") is None
    with pytest.raises(TeacherError, match=r"tiny/tokenizer\.json: its normalizer has a Replace"):
        spec_of(tmp_path).weights(tmp_path, tmp_path / "cache")


def digest(path):
    from mashbill.core.canonical import digest_file

    return digest_file(path)


def test_choices_weigh_what_transformers_says_itself(home, greedy):
    tokenizer, expected = whole(home, "Good or bad? good")
    question = Question("Good or bad?", " good", (" x", "y", "z"))
    (answer,) = greedy.answer([question])
    first = [tokenizer(c, add_special_tokens=False).input_ids[0] for c in question.choices]
    assert np.allclose(answer.logprobs, expected[first], atol=1e-4)


def test_choices_of_unlike_lengths_weigh_the_same_in_a_batch(greedy):
    asked = [Question("Say:", body, ("x", "y")) for body in (" a", " a longer text", " b c")]
    batch = [answer.logprobs for answer in greedy.answer(asked)]
    alone = [greedy.answer([question])[0].logprobs for question in asked]
    assert np.allclose(batch, alone, atol=1e-4)


def test_the_chat_template_reads_as_transformers_reads_it(home, greedy):
    greedy.answer(ASKED[:1])
    tokenizer = transformers.AutoTokenizer.from_pretrained(home / "tiny")
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Name a fruit."},
        {"role": "assistant", "content": "Fig"},
        {"role": "user", "content": "Now, its colour?"},
    ]
    question = Question("Now, ", "its colour?", system="Be brief.", turns=said(turns[1:3]))
    expected = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert greedy._chat.ids(question) == expected


def test_greedy_texts_are_those_of_transformers_in_any_batch(home, greedy):
    tokenizer = transformers.AutoTokenizer.from_pretrained(home / "tiny")
    model = transformers.AutoModelForCausalLM.from_pretrained(home / "tiny")
    batch = greedy.answer(ASKED)
    for question, answer in zip(ASKED, batch, strict=True):
        ids = torch.tensor([greedy._chat.ids(question)])
        made = model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
        assert answer.text == tokenizer.decode(made, skip_special_tokens=True)
        assert answer.tokens == ids.shape[1] + len(made)
        assert answer.finish == ("stop" if made[-1] == tokenizer.eos_token_id else "length")
        assert greedy.answer([question]) == [answer]


def test_samples_differ_and_do_not_depend_on_their_batch(home):
    warm = load(home, max_tokens=8, temperature=1.0, seed=3)
    asked = [Question("", "Go on.", sample=n) for n in range(4)]
    answers = warm.answer(asked)
    assert len({answer.text for answer in answers}) > 1
    assert warm.answer(asked[::-1])[::-1] == answers
    assert warm.answer(asked[2:3]) == answers[2:3]
    other = load(home, max_tokens=8, temperature=1.0, seed=4)
    assert [a.text for a in other.answer(asked)] != [a.text for a in answers]


def test_what_is_wrong_with_one_question_fails_it_alone(greedy):
    first, long, empty = greedy.answer([ASKED[0], Question("", "x" * 300), Question("", "")])
    assert first.text
    assert "the 256 that the model was made for" in long.failed
    assert "nothing is asked" in empty.failed


def test_a_schema_is_refused_with_who_can(greedy):
    with pytest.raises(TeacherError, match="'embedded' or 'vllm'"):
        greedy.answer([Question("", "x", schema=Schema({}))])


def test_a_folder_without_a_template_weighs_and_does_not_write(home):
    shutil.copytree(home / "tiny", home / "bare", dirs_exist_ok=True)
    (home / "bare" / "chat_template.jinja").unlink()
    teacher = load(home, folder="bare")
    assert len(teacher.answer([Question("a", "b", ("x", "y"))])[0].logprobs) == 2
    with pytest.raises(TeacherError, match="has no chat template"):
        teacher.answer(ASKED[:1])


def test_where_it_runs_bears_no_identity(home):
    here, there = spec_of(home), spec_of(home, device="cuda:0")
    assert here.identity == there.identity
    assert "device" in there.context
    assert here.identity != spec_of(home, seed=5).identity
    question = ASKED[0]
    assert request_digest(here.identity, question) == request_digest(there.identity, question)


# ---- vLLM: never run against it; this stands in for the interface that it documents ----


class Params(types.SimpleNamespace):
    pass


class Engine:
    """Answers ``LLM.generate`` with what it was asked: the real one was not to be had."""

    def __init__(self, **keys):
        self.keys = keys
        self.calls = []

    def generate(self, prompts, sampling_params, *, use_tqdm):
        assert use_tqdm is False
        many = isinstance(sampling_params, list)
        params = sampling_params if many else [sampling_params] * len(prompts)
        self.calls.append((prompts, params))
        if any(len(p["prompt_token_ids"]) > 120 for p in prompts):
            msg = "The decoder prompt is longer than the maximum model length"
            raise ValueError(msg)
        return [
            self._one(p["prompt_token_ids"], one) for p, one in zip(prompts, params, strict=True)
        ]

    def _one(self, ids, params):
        last = None
        if getattr(params, "prompt_logprobs", None) is not None:
            chance = types.SimpleNamespace(logprob=math.log(1 / (1 + ids[-1])))
            last = [None, *({i: None} for i in ids[1:-1]), {ids[-1]: chance}]
        made = types.SimpleNamespace(token_ids=[*ids[-3:]], finish_reason="length")
        return types.SimpleNamespace(prompt_token_ids=ids, prompt_logprobs=last, outputs=[made])


@pytest.fixture
def vllm(monkeypatch):
    module, sampling = types.ModuleType("vllm"), types.ModuleType("vllm.sampling_params")
    module.LLM, module.SamplingParams = Engine, Params
    sampling.StructuredOutputsParams = Params
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", sampling)


def test_without_vllm_the_error_names_the_extra(home):
    if "vllm" in sys.modules:
        pytest.skip("vllm is installed here")
    with pytest.raises(MissingExtraError, match="extra 'vllm'"):
        load(home, "vllm")


@pytest.mark.usefixtures("vllm")
def test_vllm_is_asked_by_token_ids_with_a_schema_and_a_seed_each(home):
    schema = Schema({"type": "object"})
    teacher = load(home, "vllm", max_tokens=20, temperature=0.5, top_p=0.9, seed=2)
    asked = [ASKED[0], Question("", "x", schema=schema), Question("", "x", schema=schema, sample=1)]
    answers = teacher.answer(asked)
    assert teacher._engine.keys["trust_remote_code"] is False
    ((prompts, params),) = teacher._engine.calls
    assert prompts[0] == {"prompt_token_ids": teacher._chat.ids(ASKED[0])}
    assert not hasattr(params[0], "structured_outputs")
    assert params[1].structured_outputs.json == schema.to_json()
    assert len({one.seed for one in params}) == 3
    assert (params[0].max_tokens, params[0].temperature, params[0].top_p) == (20, 0.5, 0.9)
    assert params[0].stop_token_ids == list(teacher._chat.ends)
    assert [answer.finish for answer in answers] == ["length"] * 3
    assert answers[0].tokens == len(prompts[0]["prompt_token_ids"]) + 3


@pytest.mark.usefixtures("vllm")
def test_vllm_weighs_choices_in_the_order_of_the_questions(home):
    teacher = load(home, "vllm", max_tokens=20)
    asked = [Question("a", "b", ("x", "y", "z")), ASKED[0], Question("a", "c", ("z", "x"))]
    first, written, last = teacher.answer(asked)
    chances = dict(zip("xyz", first.logprobs, strict=True))
    assert last.logprobs == (chances["z"], chances["x"])
    assert written.text
    prompts, params = teacher._engine.calls[0]
    assert len(prompts) == 5
    assert (params[0].max_tokens, params[0].prompt_logprobs) == (1, 0)
    with pytest.raises(TeacherError, match="share a first token"):
        teacher.answer([Question("a", "b", ("x", "xy"))])


@pytest.mark.usefixtures("vllm")
def test_vllm_refusing_one_question_loses_no_other(home):
    teacher = load(home, "vllm", max_tokens=20)
    first, long = teacher.answer([ASKED[0], Question("", "x" * 130)])
    assert first.text
    assert "vLLM refuses it: The decoder prompt" in long.failed


@pytest.mark.usefixtures("vllm")
@pytest.mark.parametrize("schema", [{"properties": 3}, {"type": "nonsense"}])
def test_vllm_is_not_asked_by_a_schema_that_is_none(home, schema):
    teacher = load(home, "vllm")
    with pytest.raises(TeacherError, match="is no JSON Schema"):
        teacher.answer([Question("", "x", schema=Schema(schema))])
