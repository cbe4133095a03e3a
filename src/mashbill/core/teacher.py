"""What a teacher is: what it is asked, what it answers, and the keys that recipes give it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from mashbill.core.chat import NOTHING_SAID, Conversation, Opaque, Tool, ToolCall, Turn
from mashbill.core.errors import TeacherError
from mashbill.core.literals import Literals
from mashbill.core.schema import Schema
from mashbill.core.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.base_model import BaseWeights


ENDS = ("finish", "finish_reason", "stop_reason", "finish_reasons")
"""columns that say how outputs ended, as rollouts, OpenAI, Anthropic and lists call them"""
CUT_OFF = "it was cut off at the teacher's max_tokens"
"""in the reason of a row whose answer was: a run looks for it before it buys many such answers"""


@dataclass(frozen=True)
class Question:
    """Which of these continuations is likelier after this text? The text is prefix + body.

    The prefix is what many questions share, so that a teacher may compute it once. Without
    choices the teacher is asked to write the continuation, or its turn of a conversation.
    """

    prefix: str
    body: str
    choices: tuple[str, ...] = ()
    system: str = ""
    """what a chat's system turn says"""
    turns: Conversation = NOTHING_SAID
    """the conversation so far, where it is more than one prompt"""
    schema: Schema | None = None
    """that the answer must satisfy"""
    tools: tuple[Tool, ...] = ()
    """tools that the teacher may call"""
    sample: int = 0
    """which of several answers to the same question"""

    @property
    def conversation(self) -> Conversation:
        """All that is said to the teacher: system text, the turns so far, and what is asked now."""
        told = (Turn("system", self.system),) if self.system else ()
        asked = self.prefix + self.body
        return Conversation((*told, *self.turns, *((Turn("user", asked),) if asked else ())))


@dataclass(frozen=True)
class Answer:
    """Log-probability (natural log) of each choice, and the tokens read and written for it."""

    logprobs: tuple[float, ...]
    tokens: int
    text: str = ""
    """what the teacher wrote; empty where it had choices"""
    failed: str = ""
    """why there is no answer that could be used, in a line; what rests on it is rejected"""
    finish: str = ""
    """why the teacher stopped: stop, length, tool_calls, content_filter, other; empty if it does
    not say"""
    tool_calls: tuple[ToolCall, ...] = ()
    """the calls that it wants made"""
    reasoning: str = ""
    """reasoning or its summary, where the provider documents a field for it"""
    opaque: Opaque | None = None
    """what the provider wants back with this turn, and whom it may go to"""

    def unfinished(self, *, keep_cut: bool = False) -> str:
        """Return why it is no whole answer, empty if it is one.

        Args:
            keep_cut: whether one that was cut off counts as whole.
        """
        if self.failed:
            return self.failed
        if self.finish == "length" and not keep_cut:
            return CUT_OFF
        if self.finish in {"other", "content_filter"}:
            return f"the teacher stopped for another reason than its end ({self.finish})"
        return ""

    @property
    def turn(self) -> Turn:
        """The answer as a turn of the conversation."""
        return Turn("assistant", self.text, self.tool_calls, self.opaque, reasoning=self.reasoning)

    @property
    def says_whole(self) -> bool:
        """Whether the teacher said that it came to its end: only then may its JSON be mended."""
        return self.finish in {"stop", "tool_calls"}


@dataclass(frozen=True)
class Asks:
    """What a stage asks of its teachers for one after another of its candidates.

    At least: each candidate goes through, and nothing is asked again. At most: everything is asked
    again that may be. What falls out on the way, and what the journal holds, comes off both.
    """

    least: int
    """candidates"""
    most: int
    once: tuple[str, ...]
    """who is asked for a candidate that goes through, in order; a teacher as often as it is"""
    worst: tuple[str, ...] | None
    """the same where everything is asked again; None where nothing limits it"""


@dataclass(frozen=True)
class Choosing:
    """A choice that a stage puts to a teacher, as far as the recipe says it."""

    teacher: str
    file: str
    """the prompt, as the recipe names it"""
    before: str
    """the prompt's text up to where a choice goes on, a word in place of each row's text"""
    choices: Mapping[str, str]
    """key of the recipe, such as ``labels.good`` -> the words"""


class TeacherSession(Protocol):
    """A loaded teacher behind its journal: what was answered before is not asked again."""

    source: Source

    def ask(self, questions: Sequence[Question]) -> list[tuple[str, Answer]]:
        """Return (digest of the call, answer) for each question, in order."""
        ...


class TeacherSpec(Literals):
    """The literals of one teacher of a recipe. Subclasses say which source it is, and load it."""

    can_be_asked: ClassVar[bool] = True
    """False for a teacher that can be planned with only"""
    is_remote: ClassVar[bool] = False
    """whether it is asked through the run's client, many questions at once"""
    context: ClassVar[frozenset[str]] = frozenset()
    """fields that say where and how it is asked, and bear no identity"""
    can_write: ClassVar[bool] = False
    """whether it writes texts of its own, beside choosing among given ones"""
    pace: ClassVar[float | None] = None
    """questions a second to expect, for plans; None if it cannot be said"""
    writing_pace: ClassVar[float | None] = None
    """the same where a stage asks it to write; ``pace`` if it is None"""
    price: ClassVar[float | None] = None
    """US dollars a question; None if it cannot be said"""

    kind: str
    """which teacher this is"""

    @property
    def made_by(self) -> str:
        """Return the stage, or the address, whose model it is; empty if it comes from elsewhere.

        Such a teacher is no source of its own: on the bill stands the model, with its own bill.
        """
        return ""

    @property
    def made_in(self) -> tuple[str, str]:
        """Return the folder of the store that has that model, and its digest; each may be empty.

        Only where ``made_by`` is an address, ``NAME@VERSION``, and no stage.
        """
        return "", ""

    def as_made(self, manifest: Manifest, folder: Path) -> TeacherSpec:
        """Return the teacher that the model of ``made_by`` is, once it is made.

        Args:
            manifest: of the model.
            folder: where its files lie.
        """
        del manifest, folder
        return self

    @property
    def extras(self) -> tuple[str, ...]:
        """Return the extras of mashbill that asking it needs: told before anything runs."""
        return ()

    @property
    def identity(self) -> dict[str, Any]:
        """What makes its answers what they are: part of every call's digest."""
        raise NotImplementedError

    @property
    def source(self) -> Source:
        """The source that this teacher is, known without loading it."""
        raise NotImplementedError

    def addresses(self) -> tuple[str, ...]:
        """Return the paths and addresses that its keys name: all that it opens beside the recipe.

        They are checked when the recipe is loaded: see :mod:`mashbill.core.folder`.
        """
        return ()

    def weights_here(self, folder: Path, cache: Path) -> BaseWeights:
        """Return its weights, to those that read its logits and ask it nothing.

        Args:
            folder: that of the recipe, from which relative paths start.
            cache: where fetched and converted files are kept.

        Raises:
            TeacherError: if they are not here.
        """
        del folder, cache
        msg = (
            f"a teacher of kind {self.kind!r} gives no logits over its whole vocabulary; name one "
            "whose weights are here, of kind 'embedded', 'transformers' or 'student'"
        )
        raise TeacherError(msg)

    def load(self, folder: Path, cache: Path, threads: int) -> Any:
        """Load the teacher; a relative path starts from ``folder``, that of the recipe.

        Raises:
            TeacherError: if it cannot be loaded here.
        """
        raise NotImplementedError


class Teacher(Protocol):
    """What a teacher kind implements (CONTRIBUTING.md shows one).

    One that answers questions without choices too has ``can_write = True``.
    """

    identity: Mapping[str, Any]
    """JSON: whatever changes the answers, such as the digest of the weights and the engine"""
    batch: int
    """questions a call"""

    def sizes(self, questions: Sequence[Question]) -> list[int]:
        """Return how much each question costs to compute: batches are of like sizes."""
        ...

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer a batch of questions, in order."""
        ...
