"""Two tokenisations of one text, aligned by the bytes that their tokens stand for.

    student   | The| film| was|n't| go|od|.|<end>
    teacher   | The| fi|lm| wasn|'t| good|.|</s>
    groups      1:1  1:2    2:2      2:1  1:1 1:1

Both are cut into groups of tokens that cover the same bytes, at every place where both have a cut:
no group could be cut finer. Where a character's bytes are cut in one of them and not in the other
there is no cut in common within it, and one behind it. Tokens are never paired by their numbers.

A model is asked by its own chat template, so that prompts differ; answers alone are aligned. What
one template writes around an answer, such as a space, is in no group, and a token that holds some
of it stands for the part that is the answer's. Ends are aligned with ends, whatever they are
written as.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mashbill.models.byte_spans import BytesLostError, Span, TokenBytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.models.conversation_tokens import ConversationTokens, Encoded

_SHOWN = 40  # bytes that messages show
_NO_BYTES = "a tokenizer has no token for a part of it"
_OTHERWISE = "student and teacher do not write the same text"


class UnalignedError(Exception):
    """Two sequences are not aligned; the message says why."""

    def __init__(self, kind: str, message: str) -> None:
        """Keep what is counted, which is the same for many, and what is told of one."""
        super().__init__(message)
        self.kind = kind


class Group(NamedTuple):
    """Tokens of student and teacher that cover the same bytes, by their places in sequences."""

    student: Span
    teacher: Span
    bytes: int
    """how many they cover; 0 of ends"""
    is_exact: bool
    """whether it is one token each, of the same bytes: then distributions over the next token can
    be compared, and not only how likely the bytes are"""


class Answered(NamedTuple):
    """An answer in a sequence of tokens."""

    ids: Sequence[int]
    """of the whole sequence"""
    begin: int
    """where the answer begins"""
    end: int
    """where it ends: behind its last token"""
    text_from: int = -1
    """where its text begins, if that is before what is learned; -1 if it is not"""


class Reader:
    """How a model reads, as far as aligning needs it."""

    def __init__(self, encoder: ConversationTokens, title: str) -> None:
        """Read how its tokenizer writes bytes.

        Args:
            encoder: of the model.
            title: what messages call it.

        Raises:
            BytesLostError: if its tokens do not say their bytes.
        """
        self.encoder = encoder
        self.bytes = TokenBytes(encoder.tokenizer, title)
        self.title = title
        self.ends = frozenset(encoder.ends)

    def answers(self, sequences: Sequence[Encoded]) -> list[list[Answered]]:
        """Return the answers of each sequence: tokens that are learned one behind the other."""
        return [
            [Answered(each.ids, *span, each.text_from) for span in runs(each.learned)]
            for each in sequences
        ]


@dataclass(frozen=True)
class _Written:
    """An answer's tokens that hold text, and their bytes."""

    first: int
    """place of the first of them in the sequence"""
    pieces: list[bytes]
    end: int | None
    """place of the token that ends it; None if nothing does, as where it was cut"""

    @property
    def whole(self) -> bytes:
        return b"".join(self.pieces)


def runs(learned: Sequence[bool]) -> list[Span]:
    """Return where tokens that are learned stand one behind the other."""
    found: list[Span] = []
    begin = None
    for place, is_learned in enumerate((*learned, False)):
        if is_learned and begin is None:
            begin = place
        elif not is_learned and begin is not None:
            found.append((begin, place))
            begin = None
    return found


def common_groups(student: Sequence[Span], teacher: Sequence[Span]) -> list[tuple[Span, Span, int]]:
    """Return the finest groups: tokens of each side, by number, and how many bytes they cover.

    What is behind the last cut that both have is in no group. A token without bytes is in the group
    of the token behind it, or else of the one before.

    Args:
        student: where its tokens' bytes begin and end, one behind the other, from 0.
        teacher: the same of the other side.
    """
    found: list[tuple[Span, Span, int]] = []
    sides = (student, teacher)
    begin, at, covered = [0, 0], [0, 0], 0
    while at[0] < len(student) and at[1] < len(teacher):
        ends = [side[place][1] for side, place in zip(sides, at, strict=True)]
        if ends[0] == ends[1] > covered:
            at = [place + 1 for place in at]
            found.append(((begin[0], at[0]), (begin[1], at[1]), ends[0] - covered))
            covered, begin = ends[0], list(at)
        else:
            behind = 0 if ends[0] <= ends[1] else 1
            # Of two without bytes both go on; of others the one that is behind.
            at[behind] += 1
    if found:
        found[-1] = _with_empty(found[-1], sides, covered)
    return found


def _with_empty(
    last: tuple[Span, Span, int], sides: tuple[Sequence[Span], Sequence[Span]], covered: int
) -> tuple[Span, Span, int]:
    """Return the last group with tokens without bytes that end the text."""
    spans = []
    for (begin, end), side in zip(last[:2], sides, strict=True):
        upto = end
        while upto < len(side) and side[upto] == (covered, covered):
            upto += 1
        spans.append((begin, upto if upto == len(side) else end))
    return spans[0], spans[1], last[2]


def align(
    student: Reader, asked: Answered, teacher: Reader, told: Answered, *, context: int = 0
) -> list[Group]:
    """Return the groups of an answer of which both sides write the same text.

    A group that holds a sequence's first token is left out, since nothing tells that one.

    Args:
        student: how the student reads.
        asked: the answer among its tokens; one that was cut has no end.
        teacher: how the teacher reads.
        told: the same answer among the teacher's.
        context: tokens of a sequence that the teacher takes; any number if 0.

    Raises:
        UnalignedError: if they do not write the same text, or bytes cannot be had.
    """
    try:
        sides = [_written(student, asked), _written(teacher, told)]
    except BytesLostError as error:
        raise UnalignedError(_NO_BYTES, str(error)) from error
    offsets, size = _common_text(sides, (student, teacher))
    cuts = [_clipped(side, at, size) for side, at in zip(sides, offsets, strict=True)]
    found = []
    for own, theirs, many in common_groups(cuts[0].spans, cuts[1].spans):
        if cuts[0].holds_more(own) or cuts[1].holds_more(theirs):
            continue
        is_one = own[1] - own[0] == theirs[1] - theirs[0] == 1
        is_exact = is_one and cuts[0].is_whole(own[0]) and cuts[1].is_whole(theirs[0])
        found.append(Group(cuts[0].places(own), cuts[1].places(theirs), many, is_exact))
    ends = [side.end for side in sides]
    if ends[0] is not None and ends[1] is not None:
        found.append(Group((ends[0], ends[0] + 1), (ends[1], ends[1] + 1), 0, is_exact=True))
    return [
        group
        for group in found
        if group.student[0] > 0
        and group.teacher[0] > 0
        and not (context and group.teacher[1] > context)
    ]


class _Clipped(NamedTuple):
    """Tokens of an answer that hold some of its text, and which bytes of it each holds."""

    first: int
    spans: list[Span]
    sizes: list[int]
    """bytes of each token, before what is no text of the answer was left out"""
    more: frozenset[int]
    """tokens that hold other text, too, and not only spaces: they say nothing of this one"""

    def places(self, numbers: Span) -> Span:
        return self.first + numbers[0], self.first + numbers[1]

    def holds_more(self, numbers: Span) -> bool:
        return not self.more.isdisjoint(range(*numbers))

    def is_whole(self, number: int) -> bool:
        begin, end = self.spans[number]
        return end - begin == self.sizes[number]


def _written(reader: Reader, answer: Answered) -> _Written:
    ids = answer.ids[answer.begin : answer.end]
    end = answer.end - 1 if ids and ids[-1] in reader.ends else None
    first = answer.begin if answer.text_from < 0 else answer.text_from
    text = answer.ids[first : answer.end if end is None else end]
    return _Written(first, reader.bytes.of(text), end)


def _common_text(
    sides: Sequence[_Written], readers: tuple[Reader, Reader]
) -> tuple[tuple[int, int], int]:
    """Return where the text that both have begins in each, and how many bytes it is.

    Raises:
        UnalignedError: if one does not hold the other's.
    """
    own, theirs = (side.whole for side in sides)
    if not own.strip() and not theirs.strip():
        return (0, 0), 0  # both end at once
    if not own.strip() or not theirs.strip():
        msg = "an answer is empty"
        raise UnalignedError(msg, msg)
    markers = [reader.bytes.has_marker for reader in readers]
    for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)):
        if (i and not _leads(own, markers[0])) or (j and not _leads(theirs, markers[1])):
            continue
        if size := _same(sides, (own[i:], theirs[j:])):
            return (i, j), size
    # What templates write around an answer: spaces, or an empty place for reasoning before it.
    left = [len(each) - len(each.lstrip()) for each in (own, theirs)]
    cores = [each.strip() for each in (own, theirs)]
    if size := _same(sides, (own.lstrip(), theirs.lstrip())):
        return (left[0], left[1]), size
    size = min(map(len, cores))
    if cores[0][-size:] == cores[1][-size:]:
        return (left[0] + len(cores[0]) - size, left[1] + len(cores[1]) - size), size
    at = next((n for n, (a, b) in enumerate(zip(*cores, strict=False)) if a != b), size)
    here, there = (core[max(0, at - 8) : at + _SHOWN].decode(errors="replace") for core in cores)
    changes = [
        f"{reader.title} changes texts before it cuts them ({', '.join(reader.bytes.changes)})"
        for reader in readers
        if reader.bytes.changes
    ]
    why = (
        "; ".join(changes) or "templates may write reasoning and calls of tools each in its own way"
    )
    msg = f"{_OTHERWISE}: at byte {at:,} the one has {here!r} and the other {there!r} ({why})"
    raise UnalignedError(_OTHERWISE, msg)


def _same(sides: Sequence[_Written], texts: tuple[bytes, bytes]) -> int:
    """Return how many bytes of two texts are the same, one being the other's beginning; else 0.

    What the longer one has more has to be spaces, unless the shorter one was cut.
    """
    size = min(map(len, texts))
    if texts[0][:size] != texts[1][:size]:
        return 0
    for side, text, other in zip(sides, texts, reversed(texts), strict=True):
        if (
            len(other) > size
            and other[size:].strip()
            and side.end is not None
            and len(text) == size
        ):
            return 0
    return size


def _leads(text: bytes, has_marker: bool) -> bool:
    return has_marker and text.startswith(b" ")


def _clipped(side: _Written, at: int, size: int) -> _Clipped:
    """Return the tokens that hold bytes from ``at`` on, ``size`` of them."""
    spans: list[Span] = []
    sizes: list[int] = []
    first, place = side.first, 0
    more = set()
    for number, piece in enumerate(side.pieces):
        begin, end = place - at, place + len(piece) - at
        place += len(piece)
        if end <= 0 and not spans:
            first = side.first + number + 1  # what stands before the text
            continue
        if begin >= size and (piece or begin > size):
            break
        if piece[: max(-begin, 0)].strip() or piece[size - begin :].strip():
            more.add(len(spans))
        spans.append((max(begin, 0), min(end, size)))
        sizes.append(len(piece))
    return _Clipped(first, spans, sizes, frozenset(more))
