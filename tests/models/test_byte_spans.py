"""The bytes of tokens, one behind the other, are those of the text; or the text is refused."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_cross import ENDS, KINDS, bytes_bpe, unigram, wordpiece
from tests_laws import law
from tokenizers import AddedToken, Tokenizer, models, normalizers

from mashbill.models.byte_spans import BytesLostError, TokenBytes

ODD = (
    "\U0001f469\u200d\U0001f4bb", "e\u0301\u0302", "\u65e5\u672c", "\u0000", "\x7f\x1b", "\u00a0",
    "  ", "\r\n", "\t", "\u0627\u0644", "\uac00", "\ufeff", "<s>", "</s>", "The red fox", " was",
)  # fmt: skip
TEXT = st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=6)), max_size=6).map("".join)


@cache
def made(kind: str) -> tuple[Tokenizer, TokenBytes]:
    tokens = KINDS[kind]()
    tokens.encode_special_tokens = True
    return tokens, TokenBytes(tokens, kind)


def unlike_itself(kind: str, text: str) -> bool:
    """Whether a tokenizer of this kind takes a text for another one."""
    normalised = made(kind)[0].normalizer
    changed = normalised.normalize_str(text) if normalised and "composed" in kind else text
    marker = "\u2581" in text or "<0x" in text
    return changed != text or (marker and ("unigram" in kind or "names" in kind))


@law(60)
@given(text=TEXT, kind=st.sampled_from(sorted(KINDS)))
@example(text="\U0001f642", kind="byte-level")
@example(text=" ", kind="names of bytes")
@example(text="  a", kind="unigram")
def test_bytes_of_tokens_are_those_of_the_text(text, kind):
    tokens, read = made(kind)
    ids = tokens.encode(text, add_special_tokens=False).ids
    try:
        spans = read.spans(ids, text)
    except BytesLostError:
        assert unlike_itself(kind, text)
        return
    whole = text.encode()
    assert b"".join(whole[begin:end] for begin, end in spans) == whole
    assert [0, *(end for _, end in spans)] == [*(begin for begin, _ in spans), len(whole)]
    for token, (begin, end) in zip(read.of(ids), spans, strict=True):
        assert token.removeprefix(b" ") == whole[begin:end].removeprefix(b" ")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_character_may_be_cut_in_two(kind):
    tokens, read = made(kind)
    text = "a\U0001f9ec"
    spans = read.spans(tokens.encode(text, add_special_tokens=False).ids, text)
    assert sum(end > begin for begin, end in spans) >= 5  # of four bytes that no tokenizer learned
    assert spans[-1] == (4, 5)


def test_marks_have_no_bytes_but_where_the_text_spells_them():
    tokens, read = made("gpt-2")
    begin, end = (tokens.token_to_id(mark) for mark in ENDS)
    text = "<s>a</s>"
    plain = tokens.encode(text, add_special_tokens=False).ids
    assert begin not in plain
    assert read.spans([begin, *plain, end], text)[0] == (0, 0)
    middle = tokens.encode("a", add_special_tokens=False).ids
    assert read.spans([begin, *middle, end], text) == [(0, 3), (3, 4), (4, 8)]
    assert read.spans([begin, begin, *middle, end], text) == [(0, 0), (0, 3), (3, 4), (4, 8)]
    assert read.spans([begin, *middle, end], "a") == [(0, 0), (0, 1), (1, 1)]


def test_a_marker_behind_a_mark_is_no_space_of_the_text():
    """One-sided BOS: what is put before a text's first word is put behind what begins it, too."""
    tokens, read = made("unigram")
    begin = tokens.token_to_id("<s>")
    ids = tokens.encode("The fox", add_special_tokens=False).ids
    spans = read.spans([begin, *ids], "The fox")
    assert spans[0] == (0, 0)
    assert spans[1][0] == 0
    assert spans[-1][1] == 7


def test_a_tokenizer_that_changes_texts_serves_for_those_that_it_leaves():
    tokens = bytes_bpe(normaliser=normalizers.Lowercase())
    read = TokenBytes(tokens, "this one")
    plain = tokens.encode("the fox").ids
    assert read.spans(plain, "the fox")[-1] == (3, 7) or read.spans(plain, "the fox")
    with pytest.raises(BytesLostError, match=r"at byte 0 of 7 the text has 'The fox'.*Lowercase"):
        read.spans(tokens.encode("The fox").ids, "The fox")


def test_a_tokenizer_without_bytes_is_refused():
    with pytest.raises(BytesLostError, match="is a WordPiece tokenizer, whose tokens leave out"):
        TokenBytes(wordpiece(), "this one")
    parts = Tokenizer(models.BPE({"a</w>": 0}, [], end_of_word_suffix="</w>"))
    with pytest.raises(BytesLostError, match="marks parts of words"):
        TokenBytes(parts)


def test_a_text_of_which_a_part_is_unknown_is_refused():
    plain = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, "[UNK]"))
    with pytest.raises(BytesLostError, match=r"has no token for a part of the text.*'\[UNK\]'"):
        TokenBytes(plain).spans(plain.encode("b").ids, "b")


@pytest.mark.parametrize("i", [-1, 100_000])
def test_an_id_of_another_tokenizer_is_told(i):
    _, read = made("unigram")
    with pytest.raises(BytesLostError, match="is none of them"):
        read.of([i])


def test_another_text_is_refused_where_they_part():
    tokens, read = made("byte-level")
    ids = tokens.encode("The film was", add_special_tokens=False).ids
    for text in ("The film", "The film was good", "The flim was", ""):
        with pytest.raises(BytesLostError, match="are not the text: at byte"):
            read.spans(ids, text)


def test_tokens_that_were_added_stand_for_what_they_are():
    tokens = unigram()
    tokens.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    tokens.encode_special_tokens = True
    ids = tokens.encode("<think>so", add_special_tokens=False).ids
    assert tokens.token_to_id("<think>") in ids
    assert TokenBytes(tokens).spans(ids, "<think>so")[-1][1] == 9
