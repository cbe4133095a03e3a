"""Looking at the first answers of a stage before the rest is bought.

Where services are asked, a stage first goes through so many of its candidates that 20 answers are
there, and then 50, in the order of its rows. What came is looked at, and given away: the answers
are in the journal, so that the stage, which then begins anew, has them for nothing. A run that is
started again looks at the same answers, and stops at once without buying any. Where a teacher runs
in this process, the first shard is looked at, since its batches must not be cut otherwise.
"""

from __future__ import annotations

import copy
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.errors import LosingError
from mashbill.core.reasons import Reasons, plain
from mashbill.core.record import CALL, REASON, REJECTED_BY, is_beyond
from mashbill.core.teacher import CUT_OFF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from mashbill.calls.journal import Journal
    from mashbill.core.artifact import Shard
    from mashbill.core.stage import StageContext, StageSpec
    from mashbill.core.teacher import TeacherSpec
    from mashbill.run.display import Display

FIRST = 20
"""answers that are all rejected: the run stops"""
ENOUGH = 50
"""answers after which it is settled: where they are mostly cut off, the run asks"""
_NEARLY_ALL = 0.9
_EXAMPLE = 160  # characters
_TOGETHER = 32  # small slices that are tried at once


@dataclass(frozen=True)
class Piece:
    """Rows that the stage is given together."""

    of: str
    """the input that they are from"""
    batches: Sequence[pa.RecordBatch]


@dataclass(slots=True)
class _Seen:
    """What became of one answer: rejected unless a row of it was kept."""

    call: bytes
    reason: str | None


@dataclass
class Opening:
    """The first answers of one stage; see the module."""

    spec: StageSpec
    teachers: Mapping[str, TeacherSpec]
    """those that it asks"""
    context: StageContext
    journal: Journal
    display: Display
    interrupt: Callable[[], None] = lambda: None
    """lets nothing more be asked of services"""
    is_open: bool = True
    """whether more answers are to be looked at"""
    _seen: dict[bytes, _Seen] = field(default_factory=dict)
    _recalled: int = 0

    @property
    def tries(self) -> bool:
        """Whether a trial is made; else what was made is looked at."""
        return any(teacher.is_remote for teacher in self.teachers.values())

    def recall(self, folder: Path, kept: Sequence[Shard], rejected: Sequence[Shard]) -> None:
        """Count what was committed before: a shard with rows settles it."""
        if any(shard.rows for shard in kept):
            self.is_open = False
        for shard in rejected[self._recalled :]:
            self._count(pq.read_table(folder / shard.file, columns=None).to_batches())
        self._recalled = len(rejected)

    def look(self, pieces: Sequence[Piece], rows: int) -> None:
        """Let the stage go through the first candidates of some rows, and look what becomes of it.

        Args:
            pieces: the rows, by slice; a slice is tried beside the others.
            rows: how many there are from these on, with those of later slices.

        Raises:
            LosingError: if nearly nothing of it can be used, and nobody says to go on.
        """
        if not self.tries:
            self._judge(rows)
            return
        before = dict(self._seen)
        # A batch endpoint is not waited for twice.
        batched = any(getattr(teacher, "batch", None) is True for teacher in self.teachers.values())
        here = sum(map(self.candidates, pieces))
        for enough in (ENOUGH,) if batched else (FIRST, ENOUGH):
            window = max(enough - len(before), 0)
            while window and self.is_open:
                self._seen = dict(before)
                for made in self._tried(pieces, window):
                    self._count(made)
                if len(self._seen) >= enough or window >= here:
                    break
                window *= 2
            if self.is_open:
                self._judge(rows * self._each - min(window, here))

    @property
    def _each(self) -> int:
        samples: int = getattr(self.spec, "samples", 1)
        return samples

    def candidates(self, piece: Piece) -> int:
        """Return how many candidates a slice has."""
        return self._each * sum(int(batch.num_rows) for batch in piece.batches)

    def see(self, batches: Iterable[pa.RecordBatch], rows: int) -> None:
        """Look at what was made, where no trial is.

        Args:
            batches: what was made.
            rows: those of the input that are to come.

        Raises:
            LosingError: as above.
        """
        if self.is_open and not self.tries:
            self._count(batches)
            self._judge(rows)
            self.is_open = self.is_open and len(self._seen) < ENOUGH

    def _tried(self, pieces: Sequence[Piece], window: int) -> list[list[pa.RecordBatch]]:
        """Return what the stage makes of the first candidates of these slices, in order."""
        todo = []
        for piece in pieces:
            if window > 0:
                todo.append((piece, min(window, self.candidates(piece))))
            window -= self.candidates(piece)
        for name in self.teachers:
            self.context.teacher(name)  # one session each, made before threads could make two
        pool = ThreadPoolExecutor(_TOGETHER, thread_name_prefix="trial")
        try:
            made = [future.result() for future in [pool.submit(self._of_one, *it) for it in todo]]
        except BaseException:
            # As where slices are made: what is in flight is waited for, and a second Ctrl-C ends
            # that wait.
            self.interrupt()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        pool.shutdown()
        return made

    def _of_one(self, piece: Piece, window: int) -> list[pa.RecordBatch]:
        own = replace(
            self.context,
            current=piece.of,
            trial=window,
            measures={},
            overall={},
            before=copy.deepcopy(self.context.measures),
            origins=[],
            progress=lambda *_: None,
        )
        heeds = self.spec.heeds_trial
        rows = piece.batches if heeds else list(_first(piece.batches, window))
        return list(self.spec.run(iter(rows), own))

    def _count(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Count answers by call; rows that nobody was asked about are none."""
        for batch in batches:
            if CALL not in batch.schema.names:
                continue
            turned_down = REJECTED_BY in batch.schema.names
            for row in batch.select([CALL, *([REASON] if turned_down else [])]).to_pylist():
                call, reason = row[CALL], row.get(REASON)
                if call is None:
                    continue
                if reason is not None and is_beyond(reason):
                    reason = None
                seen = self._seen.setdefault(call, _Seen(call, reason))
                seen.reason = seen.reason and reason

    def _judge(self, left: int) -> None:
        """Settle it, if what was seen does.

        Args:
            left: candidates that were not looked at.
        """
        seen = list(self._seen.values())
        if not self.is_open or left <= 0:
            return
        first = seen[:FIRST]
        nothing = len(first) == FIRST and all(each.reason for each in first)
        if nothing and not _mostly_cut_off(first):
            self._stop(first, seen, left)
        if len(seen) < ENOUGH:
            return
        self.is_open = False
        if _mostly_cut_off(seen):
            self._ask(seen, left)
        elif sum(bool(each.reason) for each in seen) >= _NEARLY_ALL * len(seen):
            self._stop(seen, seen, left)

    def _stop(self, why: list[_Seen], seen: list[_Seen], left: int) -> None:
        raise LosingError(f"{self._found(why, seen, left)} {_GO_ON}")

    def _ask(self, seen: list[_Seen], left: int) -> None:
        """Go on if somebody says so, who is there."""
        found = self._found(seen, seen, left)
        said = self.display.ask(found)
        if not said:
            gone = "Nobody is here to say whether to go on." if said is None else "Not gone on."
            raise LosingError(f"{found} {gone} {_GO_ON}", wants_review=True)

    def _found(self, why: list[_Seen], seen: list[_Seen], left: int) -> str:
        """Say what was found, with an example, what may be the cause, and what was paid."""
        rejected = [each for each in why if each.reason]
        reasons = Reasons(each.reason for each in rejected if each.reason)
        all_of = "all" if len(rejected) == len(why) else f"{len(rejected)}"
        asked = " and ".join(f"{name} ({_model(t)})" for name, t in self.teachers.items())
        lines = [
            (
                f"stages.{self.context.name}: {all_of} of the first {len(why)} answers of {asked} "
                f"were rejected, so nothing more was asked; about {left:,} more would be. "
                f"Why: {reasons.told(3)}."
            ),
            self._example(rejected),
            *(f"What to do: {cure}" for cure in self._cures(rejected)),
            self._paid(len(seen)),
        ]
        return "\n  ".join(line for line in lines if line)

    def _example(self, rejected: list[_Seen]) -> str:
        """Show one answer, that of the commonest reason."""
        commonest = Reasons(each.reason for each in rejected if each.reason).commonest(1)[0].reason
        chosen = next(
            (each for each in rejected if plain(each.reason or "") == commonest), rejected[0]
        )
        call = chosen.call.hex()
        known = {**self.journal.answered([call]), **self.journal.answers([call])}
        answer = known.get(call)
        text = plain(answer.text, _EXAMPLE) if answer is not None else ""
        said = f"the answer was {text!r}" if text else "the answer had no text"
        return f"For example: {said}, rejected since {plain(chosen.reason or '')}."

    def _paid(self, answers: int) -> str:
        spent = self.display.spend.spent.get(self.context.name)
        now = f"{spent.told()} were bought now" if spent is not None else "none was bought now"
        return (
            f"Of these {answers} answers {now}; all are in the journal, and are not bought again "
            "as long as the question and the teacher stay the same."
        )

    def _weighs(self) -> bool:
        """Return whether a teacher is not told yet to go without log-probabilities."""
        return any(getattr(each, "logprobs", None) is not False for each in self.teachers.values())

    def _cures(self, rejected: list[_Seen]) -> list[str]:
        told = " ".join({each.reason or "" for each in rejected})
        names = " and ".join(f"[teachers.{name}]" for name in self.teachers)
        found = [cure for pattern, cure in _CURES if pattern.search(told)]
        if _NO_CHOICE.search(told):
            wires = {_wire(teacher) for teacher in self.teachers.values()}
            chat = _CHAT + (_UNWEIGHED if self._weighs() else _THINKS)
            found = [_COMPLETIONS if wires == {"openai-completions"} else chat, *found]
        if not found:
            found = [
                (
                    "look at the rejected answers; correct the prompt, or the conditions in "
                    f"[stages.{self.context.name}]"
                )
            ]
        return [cure.format(stage=f"[stages.{self.context.name}]", teacher=names) for cure in found]


_GO_ON = "To buy the rest all the same, run with --go-on-rejected."
_NO_CHOICE = re.compile(r"which (?:is|begins) none of|none of its choices")
_CHAT = (
    "the teacher writes something else than one of the choices. A chat model does not go on from "
    'the end of a few-shot prompt, it answers it: set wire = "openai-completions" in {teacher}, '
    "so that the prompt goes as it is (llama.cpp, vLLM, SGLang and Ollama have it); or write the "
    "prompt of {stage} as an instruction that names the choices and ends with a question. "
)
_UNWEIGHED = (
    "Or the service gives no log-probabilities that can be used, or the model thinks first: set "
    "logprobs = false in {teacher}, and max_tokens so high that it comes to its answer"
)
_THINKS = (
    "Or the model thinks first: set max_tokens in {teacher} so high that it comes to its answer"
)
_COMPLETIONS = (
    "the teacher goes on with something else than one of the choices: let the prompt of {stage} "
    "show each of them in an example, in just these words, and end where the next one would stand"
)
_CURES = [
    (
        re.compile(r"cut off|stopped for: length"),
        (
            "raise max_tokens in {teacher} (reasoning counts too), or ask for less in the "
            "prompt of "
            "{stage}; keep_cut = true in {stage} keeps what was cut off, where the stage has "
            "that key"
        ),
    ),
    (
        re.compile(r"does not fit the schema"),
        (
            "show the form that is wanted in the prompt of {stage}; try the other value of "
            "structured "
            'in {teacher} ("native" or "prompt"), or a teacher that keeps to a schema'
        ),
    ),
    (
        re.compile(r"characters, (?:below|above)|does not match|which is refused|right at"),
        (
            "loosen the conditions of {stage} (min_chars, max_answer_chars, match, refuse, "
            "threshold), "
            "or correct its prompt"
        ),
    ),
    (
        re.compile("no known end of a whole answer"),
        (
            "the service behind {teacher} ends its answers with a word that is not known here, so "
            "nobody can say that they are whole: ask one that says stop or length, or report it"
        ),
    ),
    (
        re.compile("no log-probabilities came with"),
        (
            "the service gives no log-probabilities any more: set logprobs = false in {teacher}, "
            "then it answers choices by structured output, or ask the server that gave them"
        ),
    ),
    (
        re.compile(r"wrote nothing \(it stopped for: (?!length)|the teacher wrote nothing$"),
        (
            "the model ends at once: a prompt that ends with a space or a blank line does "
            "that, and so "
            "does a prompt of the wrong format; look at wire in {teacher}"
        ),
    ),
    (
        re.compile(
            r"(?:completion|message|response|answer|choice) without |answer that is no JSON"
        ),
        (
            "what answers there is not the wire that {teacher} names: does base_url end in /v1? Is "
            "it the right port?"
        ),
    ),
    (
        re.compile(r"refused it|withheld it"),
        (
            "read what the service says: a key of the request that it does not know (logprobs, "
            "temperature, extra), or prompts that it does not answer"
        ),
    ),
]


def _mostly_cut_off(seen: Sequence[_Seen]) -> bool:
    cut = sum(CUT_OFF in (each.reason or "") for each in seen)
    return cut > len(seen) / 2


def _first(batches: Sequence[pa.RecordBatch], rows: int) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        if rows <= 0:
            return
        yield batch.slice(0, rows)
        rows -= batch.num_rows


def _model(teacher: TeacherSpec) -> str:
    return plain(str(getattr(teacher, "model", "") or teacher.source.title), 60)


def _wire(teacher: Any) -> str:
    service = getattr(teacher, "service", None)
    return str(getattr(teacher, "wire", None) or getattr(service, "wire", "") or "")
