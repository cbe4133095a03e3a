"""A trained student that writes: held to plain transformers on tiny models made on the spot."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests_causal import save  # noqa: E402
from tests_chat import said  # noqa: E402

from mashbill import StoreError  # noqa: E402
from mashbill.core.model import Decoding  # noqa: E402
from mashbill.core.schema import Schema  # noqa: E402
from mashbill.core.teacher import Question  # noqa: E402
from mashbill.models.causal_writer import CausalWriter  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

KINDS = ("llama", "qwen2", "gpt2")
BODIES = (
    "Name a colour.",
    "What do bees make?",
    "Why?",
    "日本語の文",
    "🙂 e\u0301",
    "<|im_end|> is a mark",
)
ASKED = [Question("", body) for body in BODIES]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("causal")
    for kind in KINDS:
        save(home / kind, kind)
    save(home / "text", chat=False, begins=False)
    return home


def plain(folder):
    return (
        # AutoTokenizer makes Qwen's own of any folder of its architecture
        transformers.PreTrainedTokenizerFast.from_pretrained(folder),
        transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(),
    )


def logprob(model, ids, start):
    """Natural log-probability of ids[start:] by a loop of our own over plain logits."""
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0].double()
    found = torch.log_softmax(logits, -1)
    return sum(float(found[at - 1, ids[at]]) for at in range(start, len(ids)))


def chat_ids(tokenizer, question):
    turns = question.conversation.value()
    return tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_answers_are_those_of_plain_transformers_in_any_batch(home, kind):
    tokenizer, model = plain(home / kind)
    writer = CausalWriter.load(home / kind, 1)
    decoding = Decoding(max_tokens=12)
    answers = writer.answer(ASKED, decoding)
    for question, answer in zip(ASKED[:-1], answers, strict=False):
        ids = torch.tensor([chat_ids(tokenizer, question)])
        made = model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
        assert answer.text == tokenizer.decode(made, skip_special_tokens=True)
        assert answer.tokens == ids.shape[1] + len(made)
        assert answer.finish == ("stop" if made[-1] == tokenizer.eos_token_id else "length")
    for question, answer in zip(ASKED, answers, strict=True):
        assert writer.answer([question], decoding) == [answer]
    assert CausalWriter(model, home / kind, batch=2).answer(ASKED[::-1], decoding)[::-1] == answers


def test_samples_differ_by_sample_and_seed_and_depend_on_nothing_beside_them(home):
    writer = CausalWriter.load(home / "llama", 1)
    asked = [Question("", "Go on.", sample=n) for n in range(4)]
    for top_p in (1.0, 0.8):
        warm = Decoding(8, temperature=1.0, top_p=top_p, seed=3)
        answers = writer.answer(asked, warm)
        assert len({answer.text for answer in answers}) > 1
        assert writer.answer(asked[::-1], warm)[::-1] == answers
        assert writer.answer(asked[2:3], warm) == answers[2:3]
        other = Decoding(8, temperature=1.0, top_p=top_p, seed=4)
        assert [a.text for a in writer.answer(asked, other)] != [a.text for a in answers]


def test_what_is_drawn_is_as_often_as_it_is_likely(home):
    tokenizer, model = plain(home / "text")
    writer = CausalWriter(model, home / "text", batch=500)
    with torch.inference_mode():
        logits = model(torch.tensor([tokenizer("ab").input_ids])).logits[0, -1].double()
    shares = torch.softmax(logits / 2, -1)
    top = int(shares.argmax())
    asked = [Question("", "ab", sample=n) for n in range(1000)]
    made = writer.answer(asked, Decoding(1, temperature=2.0))
    seen = sum(answer.text == tokenizer.decode([top]) for answer in made) / len(made)
    expected = float(shares[top])
    assert abs(seen - expected) < 5 * (expected * (1 - expected) / len(made)) ** 0.5


def test_a_choice_of_a_chat_is_weighed_whole_with_the_token_that_ends_it(home):
    tokenizer, model = plain(home / "llama")
    choices = (" 1", " 10", " good", " gold")
    question = Question("Pick: ", "which?", choices, system="Be brief.", turns=said([
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]))  # fmt: skip
    (answer,) = CausalWriter.load(home / "llama", 1).answer([question], Decoding())
    asked = chat_ids(tokenizer, question)
    for choice, found in zip(choices, answer.logprobs, strict=True):
        ids = tokenizer(choice.strip(), add_special_tokens=False).input_ids
        whole = [*asked, *ids, tokenizer.eos_token_id]
        assert found == pytest.approx(logprob(model, whole, len(asked)), abs=1e-4)


def test_without_a_template_text_is_gone_on_from_and_choices_go_on(home):
    tokenizer, model = plain(home / "text")
    writer = CausalWriter.load(home / "text", 1)
    question = Question("The film was", " not bad. It was", (" good", " goodness", " bad"))
    (answer,) = writer.answer([question], Decoding())
    asked = tokenizer(question.prefix + question.body).input_ids
    for choice, found in zip(question.choices, answer.logprobs, strict=True):
        whole = [*asked, *tokenizer(choice).input_ids]
        assert found == pytest.approx(logprob(model, whole, len(asked)), abs=1e-4)
    (goes_on,) = writer.answer([Question("", "The film")], Decoding(9))
    ids = torch.tensor([tokenizer("The film").input_ids])
    made = model.generate(ids, max_new_tokens=9, do_sample=False)[0, ids.shape[1] :]
    assert goes_on.text == tokenizer.decode(made, skip_special_tokens=True)
    empty, near, long = writer.answer(
        [Question("", ""), Question("", "x" * 250), Question("", "x" * 256)], Decoding(20)
    )
    assert empty.text  # from the token that ends texts, which stands between them
    assert (near.finish, near.tokens) == ("length", 256)
    assert "reads and writes 256 in all" in long.failed


def test_what_cannot_be_answered_fails_alone_with_a_reason(home):
    writer = CausalWriter.load(home / "llama", 1)
    first, long, empty, held = writer.answer(
        [ASKED[0], Question("", "x" * 300), Question("", ""), Question("", "x", schema=Schema({}))],
        Decoding(12),
    )
    assert first.text
    assert "the 256 that the model was made for" in long.failed
    assert "nothing is asked" in empty.failed
    assert "set engine = 'openvino'" in held.failed


@pytest.mark.parametrize(("kind", "begins"), [("llama", True), ("text", False)])
def test_texts_weigh_what_transformers_says_and_long_ones_in_pieces(home, kind, begins):
    tokenizer, model = plain(home / kind)
    writer = CausalWriter.load(home / kind, 1)
    texts = ["", "a", "ab", "The film was not bad.", "日本語", "x" * 700]
    found = writer.logprobs(texts)
    for text, weighed in zip(texts[:-1], found, strict=False):
        ids = tokenizer(text).input_ids
        assert weighed.tokens == max(len(ids) - 1, 0)
        assert weighed.nats == pytest.approx(-logprob(model, ids, 1) if ids else 0, abs=1e-3)
    ids = tokenizer(texts[-1]).input_ids
    by_hand, at = 0.0, 0
    while at < len(ids) - 1:
        by_hand -= logprob(model, ids[at : at + 256], 1)
        at += 255
    assert found[-1].tokens == len(ids) - 1
    assert found[-1].nats == pytest.approx(by_hand, rel=1e-5)
    again = CausalWriter(model, home / kind, batch=1).logprobs(texts[::-1])[::-1]
    assert np.allclose([w.nats for w in again], [w.nats for w in found], atol=1e-4)


def test_of_a_conversation_the_learned_tokens_are_weighed(home):
    _, model = plain(home / "llama")
    ids = list(range(20, 40))
    learned = [at in {0, 5, 6, 19} for at in range(20)]
    (found,) = CausalWriter.load(home / "llama", 1).logprobs(
        [SimpleNamespace(ids=ids, learned=learned)]
    )
    by_hand = sum(logprob(model, ids[: at + 1], at) for at in (5, 6, 19))
    assert (found.tokens, found.nats) == (3, pytest.approx(-by_hand, abs=1e-3))


def test_a_model_in_training_is_put_back_as_it_was(home):
    _, model = plain(home / "llama")
    model.train()
    settings = transformers.GenerationConfig(repetition_penalty=9.0, do_sample=True)
    model.generation_config = settings
    writer = CausalWriter(model, home / "llama")
    loaded = CausalWriter.load(home / "llama", 1)
    assert writer.answer(ASKED, Decoding(8)) == loaded.answer(ASKED, Decoding(8))
    assert writer.logprobs(BODIES) == loaded.logprobs(BODIES)
    assert model.training
    assert model.generation_config is settings


def test_weights_in_bfloat16_answer_as_the_files_do(home, tmp_path):
    model = plain(home / "llama")[1].to(torch.bfloat16)
    shutil.copytree(home / "llama", tmp_path / "half")
    model.save_pretrained(tmp_path / "half")
    writer = CausalWriter(model, tmp_path / "half")
    assert model.dtype == torch.bfloat16
    decoding = Decoding(12)
    assert CausalWriter.load(tmp_path / "half", 1).answer(ASKED, decoding) == writer.answer(
        ASKED, decoding
    )


def adapted(home):
    peft = pytest.importorskip("peft")
    _, model = plain(home / "llama")
    torch.manual_seed(1)
    return peft.get_peft_model(
        model,
        peft.LoraConfig(
            r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
        ),
    )


def test_an_adapter_is_loaded_upon_its_base(home, tmp_path):
    model = adapted(home)
    beside, apart = tmp_path / "beside", tmp_path / "apart"
    shutil.copytree(home / "llama", beside)
    for folder in (beside, apart):
        model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(home / "llama" / name, apart / name)
    shutil.copytree(home / "llama", apart / "base")
    named = json.loads((apart / "adapter_config.json").read_text())
    (apart / "adapter_config.json").write_text(
        json.dumps({**named, "base_model_name_or_path": "base"})
    )
    in_memory = CausalWriter(model, home / "llama").answer(ASKED, Decoding(12))
    assert in_memory != CausalWriter.load(home / "llama", 1).answer(ASKED, Decoding(12))
    for folder in (beside, apart):
        loaded = CausalWriter.load(folder, 1)
        assert loaded.answer(ASKED, Decoding(12)) == in_memory
    assert model.get_base_model().generation_config.eos_token_id is not None
    merged = model.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(home / "llama" / name, tmp_path / "merged" / name)
    found = CausalWriter.load(tmp_path / "merged", 1).logprobs(BODIES)
    expected = CausalWriter.load(beside, 1).logprobs(BODIES)
    assert np.allclose([w.nats for w in found], [w.nats for w in expected], atol=1e-3)


def test_an_adapter_without_its_base_or_weights_is_told(home, tmp_path):
    adapted(home).save_pretrained(tmp_path / "alone")
    path = tmp_path / "alone" / "adapter_config.json"
    named = json.loads(path.read_text())
    for base in ("somebody/some-model", None, "../nowhere"):
        path.write_text(json.dumps({**named, "base_model_name_or_path": base}))
        with pytest.raises(StoreError, match="put the base's files beside the adapter's"):
            CausalWriter.load(tmp_path / "alone", 1)
    path.write_text(json.dumps({**named, "base_model_name_or_path": str(home / "llama")}))
    (tmp_path / "alone" / "adapter_model.safetensors").unlink()
    with pytest.raises(StoreError, match=r"no adapter_model\.safetensors"):
        CausalWriter.load(tmp_path / "alone", 1)


def test_a_folder_that_is_no_model_is_told(home, tmp_path):
    shutil.copytree(home / "llama", tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(StoreError, match="not a language model, or not a whole one"):
        CausalWriter.load(tmp_path / "broken", 1)
