"""Two tokenisations of one text are cut wherever both are, and never paired by number."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_cross import KINDS, TURNS, WORDS, bytes_bpe, named_bytes, save_base, unigram
from tests_laws import law
from tests_tiny_base import CHATML
from tokenizers import normalizers

from mashbill.core.chat import Conversation, Turn
from mashbill.models.common_tokens import END, common_tokens
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.token_alignment import (
    Answered,
    Reader,
    UnalignedError,
    align,
    common_groups,
    runs,
)

CUTS = st.lists(st.integers(0, 12), max_size=8)


def spans_of(cuts, size):
    places = [0, *sorted(min(cut, size) for cut in cuts), size]
    return list(pairwise(places))


@law(200)
@given(size=st.integers(1, 12), one=CUTS, other=CUTS)
def test_groups_are_the_finest_that_both_have(size, one, other):
    sides = spans_of(one, size), spans_of(other, size)
    groups = common_groups(*sides)
    ends = [{end for _, end in side if end} for side in sides]
    assert [sum(many for *_, many in groups[: n + 1]) for n in range(len(groups))] == sorted(
        ends[0] & ends[1]
    )
    for place, side in enumerate(sides):  # each token is in one group, in order
        held = [number for group in groups for number in range(*group[place])]
        assert held == list(range(len(side)))
        for group in groups:
            begin, end = group[place]
            assert side[end - 1][1] - side[begin][0] == group[2]


def test_all_kinds_of_merges_are_groups_of_their_own():
    student = [(0, 3), (3, 8), (8, 11), (11, 14), (14, 16), (16, 18)]
    teacher = [(0, 3), (3, 6), (6, 8), (8, 12), (12, 14), (14, 18)]
    assert common_groups(student, teacher) == [
        ((0, 1), (0, 1), 3), ((1, 2), (1, 3), 5), ((2, 4), (3, 5), 6), ((4, 6), (5, 6), 4),
    ]  # fmt: skip


def test_what_is_behind_the_last_common_cut_is_in_no_group():
    assert common_groups([(0, 2), (2, 4)], [(0, 2), (2, 5)]) == [((0, 1), (0, 1), 2)]
    assert common_groups([], [(0, 2)]) == []


def reader(tmp_path, tokens, name="base", **keys):
    return Reader(ConversationTokens(save_base(tmp_path / name, tokens, **keys)), name)


def text_groups(own, theirs, text):
    asked = [side.answers([side.encoder.text(text)])[0][0] for side in (own, theirs)]
    return align(own, asked[0], theirs, asked[1]), asked


def ends_of(side, text):
    """Where tokens of a text end, each tokenizer by itself."""
    ids = side.encoder.tokenizer.encode(text, add_special_tokens=False).ids
    return [end for _, end in side.bytes.spans(ids, text)]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"gpt-2"}))
@pytest.mark.parametrize("begin", ["", "<s>"], ids=["no begin", "begin"])
def test_a_text_is_aligned_by_its_bytes_whatever_begins_it(tmp_path, kind, begin):
    """trl#4392, #4393, PR #5885, #6388: a one-sided BOS, SentencePiece, a character cut in two."""
    own = reader(tmp_path, bytes_bpe(), "own")
    tokens = KINDS[kind]()
    end = "</s>" if tokens.token_to_id("</s>") is not None else "<|im_end|>"
    theirs = reader(tmp_path, tokens, "theirs", begin=begin, end=end)
    text = "The red fox \U0001f9ec and the bird: \u65e5\u672c, caf\u00e9."
    groups, asked = text_groups(own, theirs, text)
    assert len(groups) > 12
    *inner, last = groups
    assert (last.student, last.teacher) == tuple((a.end - 1, a.end) for a in asked)
    # All that a student without a begin can learn: what is behind the group of its first token.
    size = len(text.encode())
    cuts = set(ends_of(own, text)) & set(ends_of(theirs, text)) - {0}
    assert sum(each.bytes for each in inner) == size - min(cuts)
    assert len(inner) == len(cuts) - 1
    for group in inner:
        said = [
            b"".join(r.bytes.of(a.ids[slice(*span)]))
            for r, a, span in zip((own, theirs), asked, group[:2], strict=True)
        ]
        assert said[0] == said[1]
        assert len(said[0]) == group.bytes


def conversation(*turns):
    roles = ("user", "assistant")
    return Conversation(tuple(Turn(roles[n % 2], text) for n, text in enumerate(turns)))


def answers(side, said):
    return [each for found in side.answers(side.encoder.conversation(said)) for each in found]


def test_each_side_is_asked_by_its_own_template_and_answers_alone_are_aligned(tmp_path):
    """trl#4390, #5152, PR #5905: the first token is taught, and what is behind the end is not."""
    own_tokens = bytes_bpe()
    own_tokens.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    own = reader(tmp_path, own_tokens, "own", template=CHATML, end="<|im_end|>")
    theirs = reader(tmp_path, named_bytes(), "theirs", template=TURNS, begin="<s>")
    said = conversation("what is it?", "It is good", "and why?", "no name")
    ours, told = answers(own, said), answers(theirs, said)
    assert len(ours) == len(told) == 2
    for answer, other, text in zip(ours, told, (b"It is good", b"no name"), strict=True):
        groups = align(own, answer, theirs, other)
        *inner, last = groups
        assert sum(each.bytes for each in inner) == len(text)
        assert inner[0].student[0] == answer.begin
        assert inner[-1].student[1] == last.student[0] == answer.end - 1
        assert last.student[1] == answer.end
        assert last.teacher == (other.end - 1, other.end)
        covered = [n for group in groups for n in range(*group.student)]
        assert covered == list(range(answer.begin, answer.end))
        # The space that the teacher's template writes before an answer is no part of it: where a
        # token holds both, distributions over what comes next are not compared.
        for group in inner:
            whole = [
                side.bytes.of(each.ids[slice(*span)])
                for side, each, span in zip((own, theirs), (answer, other), group[:2], strict=True)
            ]
            assert group.is_exact == (whole[0] == whole[1] and len(whole[0]) == 1)


def test_an_answer_that_was_cut_is_aligned_as_far_as_it_goes(tmp_path):
    own = reader(tmp_path, bytes_bpe(), "own")
    theirs = reader(tmp_path, unigram(), "theirs", begin="<s>")
    ids, told = (r.encoder.text(WORDS).ids for r in (own, theirs))
    for size in range(2, 20):
        cut = Answered(ids[:size], 1, size, 0)
        groups = align(own, cut, theirs, Answered(told, 1, len(told)))
        covered = sum(each.bytes for each in groups)
        first = len(own.bytes.of(ids[:1])[0])
        assert covered <= len(b"".join(own.bytes.of(ids[:size]))) - first
        assert all(group.bytes for group in groups)  # no end
    whole = align(
        own, Answered(ids, 1, len(ids), 0), theirs, Answered(told, 1, len(told)), context=9
    )
    assert whole
    assert max(group.teacher[1] for group in whole) <= 9


def test_what_is_not_the_same_text_is_refused(tmp_path):
    own = reader(tmp_path, bytes_bpe(), "own")
    lower = reader(tmp_path, bytes_bpe(normaliser=normalizers.Lowercase()), "lower")
    with pytest.raises(UnalignedError, match=r"lower changes texts.*Lowercase"):
        text_groups(own, lower, "Is The fox red?")
    assert text_groups(own, lower, "is the fox red?")[0]
    one, other = (own.answers([own.encoder.text(each)])[0][0] for each in ("yes", "yes, it is"))
    with pytest.raises(UnalignedError, match="do not write the same text"):
        align(own, one, own, other)  # an answer that has ended is not the beginning of another
    with pytest.raises(UnalignedError, match="an answer is empty"):
        align(own, Answered([5, own.encoder.ends[0]], 1, 2), own, one)


def test_two_that_end_at_once_are_aligned_by_their_ends(tmp_path):
    own = reader(tmp_path, bytes_bpe(), "own")
    end = own.encoder.ends[0]
    (group,) = align(own, Answered([7, end], 1, 2), own, Answered([8, 9, end], 2, 3))
    assert (group.student, group.teacher, group.is_exact) == ((1, 2), (2, 3), True)


def test_common_tokens_are_those_of_the_same_bytes(tmp_path):
    own = reader(tmp_path, bytes_bpe(), "own")
    theirs = reader(tmp_path, unigram(), "theirs")
    rows = (len(own.bytes.all) + 5, len(theirs.bytes.all))
    found = common_tokens(own, theirs, rows)
    for i, outcome in enumerate(found.student_v[:-5]):
        text = own.bytes.all[i]
        partners = {theirs.bytes.all[j] for j in (found.teacher_v == outcome).nonzero()[0]}
        if i in own.ends:
            assert outcome == END
        elif outcome < found.outcomes - 1:
            assert partners == {text}
        else:
            assert i in own.bytes.marks or text not in theirs.bytes.all
    assert (found.student_v[-5:] == found.outcomes - 1).all()  # rows of the head that are no token
    assert found.shared > 256


def test_tokens_without_a_partner_are_of_the_longest_that_they_begin_with(tmp_path):
    own = reader(tmp_path, bytes_bpe("201 " * 40 + WORDS, 320), "own")
    theirs = reader(tmp_path, bytes_bpe(WORDS, 280), "theirs")
    found = common_tokens(own, theirs, (len(own.bytes.all), len(theirs.bytes.all)), prefixes=True)
    number = own.bytes.all.index(b"201")
    assert b"201" not in theirs.bytes.all
    partner = theirs.bytes.all.index(b"20" if b"20" in theirs.bytes.all else b"2")
    assert found.student_v[number] == found.teacher_v[partner]
    rest = [i for i, outcome in enumerate(found.student_v) if outcome == found.outcomes - 1]
    assert set(rest) <= own.bytes.marks


def test_runs_are_what_is_learned_one_behind_the_other():
    assert runs([False, True, True, False, True]) == [(1, 3), (4, 5)]
    assert runs([]) == runs([False]) == []
