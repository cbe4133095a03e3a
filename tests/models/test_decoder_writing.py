"""A decoder that writes: what it keeps of what it read changes nothing of what it says next."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mashbill import Conversation, Decoding, Question, Turn
from mashbill.models.decoder import Decoder
from mashbill.models.decoder_model import DecoderModel
from mashbill.train.decoder import _train_tokenizer

CONTEXT = 40
LABELS = ["bad", "good"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    texts = ["the film was good and kind", "a dull day of rain", "Grüße, 42 Züge", "<end> it is"]
    tokenizer = _train_tokenizer(texts * 9, LABELS, 512)
    decoder = Decoder(tokenizer.get_vocab_size(), 32, 2, 4, CONTEXT)
    with torch.no_grad():
        for weights in decoder.parameters():
            torch.nn.init.normal_(weights, std=0.2)
    return DecoderModel(LABELS, CONTEXT, tokenizer, decoder)


def slowly(model, text, label, most):
    """Write greedily by reading all of it again for each token: what the fast way has to give."""
    writing, ids, new = model._writing, model._writing._ids(text), []
    asked = [2 + LABELS.index(label), *ids]
    while len(new) < min(most, CONTEXT - len(asked)):
        logits = model._model(torch.tensor([[*asked, *new]]))[0, -1].detach().double().numpy()
        logits[[0, 2, 3]] = -np.inf
        if (token := int(logits.argmax())) == 1:
            return writing._text(new), "stop"
        new.append(token)
    return writing._text(new), "length"


words = st.lists(
    st.sampled_from(["the film", "was", "good", "kind", "a dull", "day", "42", "Züge"]), max_size=14
)


@given(texts=st.lists(words.map(" ".join), min_size=1, max_size=6), most=st.integers(1, 12))
def test_what_is_kept_of_what_was_read_gives_the_same_as_reading_it_again(model, texts, most):
    texts = [text for text in texts if len(model._writing._ids(text)) + 1 < CONTEXT]
    asked = [Question("", f"<good>{text}") for text in texts]
    found = model.answer(asked, Decoding(max_tokens=most))
    assert [(a.text, a.finish) for a in found] == [
        slowly(model, text, "good", most) for text in texts
    ]


@given(
    texts=st.lists(words.map(" ".join), min_size=2, max_size=6),
    temperature=st.sampled_from([0.0, 0.5, 1.5]),
    seed=st.integers(0, 3),
)
def test_what_stands_beside_it_changes_no_answer(model, texts, temperature, seed):
    decoding = Decoding(max_tokens=6, temperature=temperature, top_p=0.9, seed=seed)
    asked = [Question("", text, sample=at % 2) for at, text in enumerate(texts)]
    together = model.answer(asked, decoding)
    assert together == [model.answer([question], decoding)[0] for question in asked]


def test_what_is_drawn_follows_from_seed_question_and_sample(model):
    def drawn(seed=1, sample=0, top_p=1.0, temperature=1.0):
        decoding = Decoding(12, temperature, top_p, seed)
        return model.answer([Question("", "the film", sample=sample)], decoding)[0].text

    assert drawn() == drawn()
    assert len({drawn(), drawn(seed=2), drawn(sample=1)}) == 3
    greedy = drawn(temperature=0.0)
    assert drawn(top_p=1e-9) == greedy == drawn(temperature=1e-6)


def test_a_choice_is_as_likely_as_its_tokens_in_turn(model):
    question = Question("Is it good? ", "<bad>the film", (" good", " kind and good", " 42"))
    (answer,) = model.answer([question], Decoding())
    told = model.answer([Question("<bad>", "the film", question.choices)], Decoding())[0]
    for choice, found in zip(question.choices, told.logprobs, strict=True):
        ids = model._writing._ids(choice)
        read = [2, *model._writing._ids("the film"), *ids]
        logits = model._model(torch.tensor([read])).detach().double()[0].log_softmax(-1)
        rows = range(len(read) - len(ids) - 1, len(read) - 1)
        assert found == pytest.approx(
            sum(float(logits[r, t]) for r, t in zip(rows, ids, strict=True))
        )
    assert len(answer.logprobs) == 3


def test_a_control_token_is_one_at_the_beginning_alone(model):
    texts = ["<good> the film", "<bad> the film", "the <bad> film", "<good"]
    with torch.inference_mode():
        read = model._writing._read(texts)
        scores = model._writing._logprobs([[2], [3]], [read[2][1:]] * 2)
    assert [ids[0] for ids in read[:2]] == [3, 2]
    assert all(2 not in ids[1:] and 1 not in ids[1:] for ids in read)
    assert read[2][0] == 2 + int(np.argmax(scores))


def test_no_special_token_is_written_and_no_context_is_left(model):
    decoding = Decoding(max_tokens=1000, temperature=3.0)
    asked = [Question("", "the film", sample=at) for at in range(12)]
    for answer in model.answer(asked, decoding):
        assert answer.tokens <= CONTEXT
        assert "<bad>" not in answer.text
        assert "<pad>" not in answer.text
    long = "film " * CONTEXT
    failed, chosen, fine = model.answer(
        [Question("", long), Question("", long, (" a", " b")), Question("", "a")], Decoding(4)
    )
    assert "and the model reads and writes 39 in all" in failed.failed
    assert chosen.failed
    assert not fine.failed


def test_a_conversation_is_one_text(model):
    turns = Conversation((Turn("user", "the film"), Turn("assistant", "was good")))
    said = Question("", "a day", system="kind", turns=turns)
    plain = Question("", "kind\n\nthe film\n\nwas good\n\na day")
    first, second = model.answer([said, plain], Decoding(5))
    assert first == second


def test_the_number_of_threads_changes_no_answer(model):
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(model.answer([Question("", "the film was")], Decoding(8)))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert found[0] == found[1]
