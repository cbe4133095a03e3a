"""What a stage is: literals, declared uses, and a generator over record batches.

A stage never writes lineage. It says what it uses and through which channel (:class:`Uses`), and
tags each row with the position it came from; the executor composes nodes from that.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mashbill.core.artifact import NAME_PATTERN, ArtifactKind
from mashbill.core.base_model import FindBase, no_base
from mashbill.core.curves import Curves
from mashbill.core.errors import RecipeError
from mashbill.core.literals import Literals
from mashbill.core.looking import Looks, Unlooked
from mashbill.core.model import Predictor, Writer
from mashbill.core.record import columns_beside
from mashbill.core.samples import Sample
from mashbill.core.source import Channel, Purpose, Source, via
from mashbill.core.teacher import Asks, Choosing, TeacherSession
from mashbill.core.use import StudentKind
from mashbill.core.verifier import VerifierSession, VerifierSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa

    from mashbill.core.dataset import Dataset

WARNINGS = "warnings"
"""the measure that holds what a stage warned of, a list of sentences"""


_TURN = ""
"""key of the lock in a stage's memory"""
_OF_FIRST = ("text", "prompt", "messages_json", "gold", "part")
"""columns that a first stage may make of others, if it does not say which"""
Role = Literal["rows", "beside", "actor", "trained-on", "base"]


@dataclass(frozen=True)
class Uses:
    """One input of a stage.

    Roles: ``rows``, the records that the output rows are made of, by ``_from``, which counts over
    all inputs of this role in the order they are declared; ``beside``, records read as a whole
    beside them; ``actor``, a model, teacher or verifier that acts on them; ``trained-on``, records
    a model learns from; ``base``, a model whose weights it starts from or merges: a stage, or a
    ``[models.NAME]`` of the recipe (:mod:`mashbill.core.base_model`).
    """

    name: str
    role: Role
    channel: Channel
    is_teacher: bool = False
    purpose: Purpose = Purpose.MAKING
    is_verifier: bool = False
    asked_as: str = ""
    """what the recipe calls the teacher that this model of the recipe's own is asked as; set by
    :meth:`mashbill.core.recipe.Recipe.uses`, and by no stage"""
    is_source: bool = False
    """whether it is a base that comes from outside of the store; set likewise"""

    @property
    def teacher(self) -> str:
        """What the recipe calls the teacher that is asked; empty if none is."""
        return self.name if self.is_teacher else self.asked_as

    @property
    def is_artifact(self) -> bool:
        """Whether it names what the store has: a stage's artifact, or one by its address."""
        return not (self.is_teacher or self.is_verifier or self.is_source)

    @property
    def via(self) -> str:
        """Channel and purpose, as nodes and manifests write them."""
        return via(self.channel, self.purpose)


@dataclass(frozen=True)
class Glance:
    """What a look at a first stage's files tells of it, before anything runs."""

    rows: int
    """rows that the files have, those that will be rejected included"""
    is_exact: bool
    """whether they were counted, and not reckoned from the files' size"""
    columns: tuple[str, ...]
    """columns of the files"""
    sizes: Mapping[str, float]
    """mean bytes of a text, by column of what the stage makes"""


def _nothing_committed(shard: int) -> pa.Table | None:
    """Return no rows, where nothing was committed before."""
    del shard
    return None


def no_verifier(name: str) -> VerifierSession:
    """Refuse a verifier, where there are none."""
    msg = f"there is no verifier {name!r} here"
    raise RecipeError(msg)


@dataclass
class StageContext:
    """Where and how a stage runs. Nothing here bears identity (DESIGN.md section 6)."""

    name: str
    seed: int
    recipe_folder: Path
    cache: Path
    """where fetched and converted files are kept between runs"""
    work: Path
    """scratch of this stage, kept until it is committed: checkpoints"""
    threads: int
    input: Callable[[str], Dataset]
    teacher: Callable[[str], TeacherSession]
    predictor: Callable[[str], Predictor]
    progress: Callable[[int, int, str], None]
    """report (units done, units in all, note); units are rows, or steps of training"""
    verifier: Callable[[str], VerifierSession] = no_verifier
    base: FindBase = no_base
    """trainers: the weights to start from, by the name of a ``[models.NAME]`` or of a stage"""
    teacher_weights: FindBase = no_base
    """gives a teacher's weights, by its name, to those that read its logits and ask it nothing"""
    teacher_apart: Callable[[str], TeacherSession] | None = None
    """streaming stages: gives a teacher for questions that are no slice's own, such as negative
    controls: what a slice asks is then the same whether they were put in it or not"""
    measures: dict[str, Any] = field(default_factory=dict)
    """what the stage measured; becomes the manifest's ``measures``. A slice has its own: counts of
    all slices are summed, and of the rest the last one's stands"""
    overall: dict[str, Any] = field(default_factory=dict)
    """what it measured of a whole input, the same in every slice; goes into ``measures``, too"""
    before: Mapping[str, Any] = field(default_factory=dict)
    """what the slices before this one measured, where they come one after the other"""
    memory: dict[str, Any] = field(default_factory=dict)
    """see :meth:`once`"""
    origins: list[tuple[tuple[Channel, Source], ...]] = field(default_factory=list)
    """a first stage whose origins are in its data: what each kind of row came from; ``_bill`` of a
    row it yields counts the origins of ``sources()`` first, and then these"""
    look: Looks = field(default_factory=Unlooked)
    """first stages: looks at what they read, before anything of it is left out"""
    current: str = ""
    """streaming stages with several inputs: the one that the records at hand are from"""
    first: int = 0
    """streaming stages: position in that input of the first record at hand"""
    kept: int = 0
    """streaming stages that want so many rows: those that the slices before this one gave"""
    trial: int | None = None
    """stages that heed it: go through the first so many candidates alone, for the run to see what
    becomes of them before it buys the rest; None for all"""
    seen: dict[str, np.ndarray] = field(default_factory=dict)
    """trainers: dataset name -> times that each row was learned from, shape (rows,)"""
    loss_weight: dict[str, float | np.ndarray] = field(default_factory=dict)
    """trainers: dataset name -> by what the loss of its rows was multiplied, a number or one a row,
    shape (rows,); 1 where it is not set. Bills weigh by it: :mod:`mashbill.core.learning`"""
    tokens: dict[str, np.ndarray] = field(default_factory=dict)
    """trainers that count: dataset name -> tokens of each row that one pass learns from, shape
    (rows,); of all datasets or of none, and then words stand for them"""
    seen_tokens: dict[str, np.ndarray] = field(default_factory=dict)
    """trainers that count and learn from parts of a row: dataset name -> tokens of each row, each
    as often as it was learned from, shape (rows,); ``seen`` x ``tokens`` where it is not set"""
    trained: Predictor | Writer | None = None
    """trainers: the model as it stands in memory; what was written is held against it"""
    processes: int = 1
    """trainers that can: how many train together"""
    committed: Callable[[int], pa.Table | None] = _nothing_committed
    """stages that do not stream: the rows of a shard that is committed, by this run or one that was
    cut off, as the stage yielded them; None if there is no such shard"""
    samples: list[Sample] = field(default_factory=list)
    """trainers: what the base said and the trained model says to held-out prompts, a few of them"""
    curves: Curves = field(default_factory=Curves)
    """trainers: what is measured at each step, see :mod:`mashbill.core.curves`"""

    def once(self, key: str, compute: Callable[[], Any]) -> Any:
        """Return a value that all slices share, computed by the first that asks in this process.

        Slices that run side by side wait for it.

        Args:
            key: of the value, in this stage.
            compute: gives it; the same whichever slice asks.
        """
        if key not in self.memory:
            with self.memory.setdefault(_TURN, threading.RLock()):
                if key not in self.memory:
                    self.memory[key] = compute()
        return self.memory[key]

    def warn(self, text: str) -> None:
        """Tell the user what may be wrong with a result: on the line, and on the page.

        Args:
            text: a sentence; the same for the same input, since it is kept with the measures.
        """
        told: list[str] = self.measures.setdefault(WARNINGS, [])
        if text not in told:
            told.append(text)


class StageSpec(Literals):
    """The literals of one stage of a recipe: they are its identity.

    Subclasses add their keys as fields with a docstring each, say what they use, and either
    ``run`` (datasets) or ``train`` (models).
    """

    added: ClassVar[frozenset[str]] = frozenset({"seed"})

    output: ClassVar[ArtifactKind] = "dataset"
    streams: ClassVar[bool] = True
    """whether each slice of the input can be done alone, so that a resume starts at the next"""

    merges: ClassVar[bool] = False
    """whether an output row is made of several input rows at once; such a stage cannot stream"""
    repeats: ClassVar[bool] = False
    """whether its literals and inputs alone give the same rows on any machine, so that an audit may
    make them again; where it asks a verifier, if that repeats too"""
    tolerance: ClassVar[float | None] = None
    """how far its scores may lie apart on two machines; None where they may not"""
    asks_to_write: ClassVar[bool] = False
    """whether its teacher must be able to write"""
    looks_behind: ClassVar[bool] = False
    """whether it reads rows of what its inputs were made of, too, and not of these alone"""
    keeps_texts: ClassVar[bool] = False
    """whether its rows have the texts of its first input, so that plans know how long they are"""
    keeps_columns: ClassVar[bool] = False
    """whether its rows have no other columns than those of its first input"""
    redacts: ClassVar[bool] = False
    """whether it takes out what nobody is to read: pages show no text of what it was made of"""
    heeds_trial: ClassVar[bool] = False
    """whether it looks at ``ctx.trial``; another that streams is given fewer rows for a trial"""
    extras: ClassVar[tuple[str, ...]] = ()
    """extras of mashbill that making it, or using what it made, needs: told before anything runs"""
    student_kind: ClassVar[StudentKind] = "other"
    """what kind of model it makes, for terms that tell kinds apart"""
    can_label: ClassVar[bool] = True
    """trainers: whether the model is a :class:`mashbill.core.model.Predictor`"""
    can_write: ClassVar[bool] = False
    """trainers: whether it is a :class:`mashbill.core.model.Writer`"""
    knows_no_chat: ClassVar[bool] = False
    """trainers: whether the model has no chat template, whatever it learned from"""
    pace: ClassVar[float | None] = None
    """trainers: questions a second that a model which writes answers, for plans; None if it cannot
    be said"""
    draws: ClassVar[bool] = True
    """whether its seed may change what it makes; a trainer that does is made with each seed of
    ``[arms]``"""
    references: ClassVar[tuple[str, ...]] = ("input", "inputs", "teacher", "model", "by")
    """fields that name stages or teachers, by themselves, in a list or as values of a table"""

    kind: str
    """which stage this is"""
    version: str | None = Field(default=None, pattern=f"^{NAME_PATTERN}$")
    """version of the artifact; the recipe's if absent"""
    seed: int | None = Field(default=None, ge=0)
    """seed of this stage; the recipe's if absent"""
    shard_rows: int = Field(default=4096, gt=0)
    """input rows a shard: what is committed at once"""

    def made_as(self, name: str) -> dict[str, StageSpec]:
        """Return what it is made as, by name, in order: itself, but for what makes two artifacts.

        Args:
            name: what the recipe calls it.
        """
        return {name: self}

    def whole(self) -> StageSpec:
        """Return it as a recipe writes it, where it is one of the parts of :meth:`made_as`."""
        return self

    @property
    def hands_on(self) -> bool:
        """Whether its scratch is left to the stage that goes on from it."""
        return False

    @property
    def goes_on_from(self) -> str:
        """The stage whose scratch it takes over where that is still there; empty if none."""
        return ""

    def uses(self) -> tuple[Uses, ...]:
        """Return what this stage uses, rows first."""
        raise NotImplementedError

    def sources(self, folder: Path) -> tuple[Source, ...]:
        """Return the sources that this stage brings in itself; only a first stage has any."""
        del folder
        return ()

    def files(self) -> tuple[str, ...]:
        """Return the files beside the recipe whose bytes are part of the identity."""
        return ()

    def addresses(self) -> tuple[str, ...]:
        """Return the paths and addresses that its keys name: all that it opens beside the recipe.

        They are checked when the recipe is loaded: see :mod:`mashbill.core.folder`.
        """
        return self.files()

    def files_beside(self, folder: Path) -> tuple[str, ...]:
        """Return those files by name, where one of ``files()`` may be a folder or a glob.

        Raises:
            InputError: if it stands for no file.
        """
        del folder
        return self.files()

    @property
    def wanted(self) -> int | None:
        """How many rows to stop at; None to go through all of the input."""
        return None

    @classmethod
    def renamed(cls, table: dict[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
        """Return the keys of a recipe table with stages and teachers renamed, for a rebuild.

        Args:
            table: the keys, as written in the recipe.
            names: stage or teacher -> what stands in its place; None if nothing does, and then it
                is left out of lists and tables, or its key is.
        """
        new = dict(table)
        for key in cls.references:
            value = table.get(key)
            if isinstance(value, str) and value in names:
                new[key] = names[value]
            elif isinstance(value, list):
                changed = [names.get(item, item) for item in value]
                new[key] = [item for item in changed if item is not None]
            elif isinstance(value, dict):
                new[key] = _renamed(value, names)
        return {key: value for key, value in new.items() if value not in (None, [], {})}

    @property
    def rows_say_who_wrote(self) -> bool:
        """Whether who wrote its rows is in its data, so that plans do not know it; first stages."""
        return False

    def drops(self, source: Source) -> bool:
        """Return whether rows that rest on a source are rejected: plans leave them out."""
        del source
        return False

    def own_files(self) -> dict[str, Path]:
        """Return files that come with the package whose bytes are part of the identity, by name."""
        return {}

    def reads_bases(self, folder: Path) -> bool:
        """Return whether the weights of its bases are read, and not only named.

        Args:
            folder: that of the recipe.
        """
        del folder
        return True

    def check(self, folder: Path) -> None:
        """Raise RecipeError if the files beside the recipe cannot serve; nothing has run yet."""
        del folder

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """Raise RecipeError if it asks for a column that an input does not have.

        Args:
            folder: that of the recipe.
            columns: of each input of which they are known before anything runs.
        """
        del folder, columns

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Return the columns that its rows have at most; None if that cannot be said beforehand.

        Args:
            inputs: columns that the rows of its inputs may have, where they are known.
            files: columns of the files of a first stage, where these were seen whole.
        """
        if self.keeps_columns:
            return inputs.get(next(use.name for use in self.uses() if use.role == "rows"))
        return None if files is None else columns_beside(files, _OF_FIRST)

    def doubts(self, columns: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return sentences on what a run would warn of, as far as columns tell, for plans.

        Args:
            columns: that the rows of its inputs may have, where they are known.
        """
        del columns
        return ()

    def check_base(
        self, has_chat: bool | None, columns: Mapping[str, Sequence[str]]
    ) -> tuple[str, ...]:
        """Return sentences on what a run may end with, of the base that it starts from, for plans.

        Args:
            has_chat: whether it has a chat template; None if that is not known.
            columns: as :meth:`doubts` gets them.

        Raises:
            RecipeError: if no row can be learned on such a base.
        """
        del has_chat, columns
        return ()

    def with_verifiers(self, verifiers: Mapping[str, VerifierSpec]) -> StageSpec:
        """Return it as it stands in a recipe: what its verifiers ask of teachers, it does, too.

        Args:
            verifiers: those of the recipe, by name; one that is not there is told elsewhere.
        """
        del verifiers
        return self

    def check_verifiers(self, verifiers: Mapping[str, VerifierSpec]) -> None:
        """Raise RecipeError if a verifier of the recipe cannot be asked as its keys say.

        Args:
            verifiers: those of the recipe, by name.
        """
        del verifiers

    def glance(self, folder: Path) -> Glance | None:
        """Look at the files that it reads, if they are at hand; None if there is nothing to see.

        Raises:
            InputError: as a run would: a column that is not there, a file of another format.
        """
        del folder
        return None

    def choosings(self, folder: Path) -> tuple[Choosing, ...]:
        """Return the choices that it puts to teachers, for plans to look whether they go on."""
        del folder
        return ()

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """Return how many rows to expect, given those of the inputs; None if it cannot be said."""
        return next(iter(inputs.values()), None)

    def asks(self, rows: Mapping[str, int], data: Mapping[str, Dataset], folder: Path) -> Asks:
        """Return what it asks of its teachers: each once a row, unless a stage says otherwise.

        Where there are no rows to go through, nothing limits it.

        Args:
            rows: of each input that they are known of.
            data: those inputs that are made already.
            folder: that of the recipe.
        """
        del data, folder
        first = next((rows[use.name] for use in self.uses() if use.role == "rows"), None)
        teachers = tuple(dict.fromkeys(use.name for use in self.uses() if use.is_teacher))
        return Asks(first or 0, first or 0, teachers, None if first is None else teachers)

    def expected_seconds(self, rows: int | None) -> float | None:
        """Return how long to expect for this many rows, on two cores; None if it cannot be said."""
        return None if rows is None else rows / 10_000

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield output records, each with its ``_from``.

        For a streaming stage it counts rows within ``records``, from 0. Otherwise it counts over
        all inputs of role ``rows``, in order of ``uses()``; ``records`` are the rows of the first,
        the others are read by ``ctx.input``. It is an int64, or a list of them where ``merges``.
        """
        raise NotImplementedError

    def train(self, ctx: StageContext, out: Path) -> None:
        """Write a model's files into ``out``, and set ``ctx.seen`` and ``ctx.trained``.

        What was written is loaded and asked the same as ``ctx.trained`` before it is committed.
        """
        raise NotImplementedError


def _renamed(table: dict[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
    """Rename in a table that names stages by its values, or else by its keys."""
    if all(isinstance(value, str) for value in table.values()):
        values = {key: names.get(value, value) for key, value in table.items()}
        return {key: value for key, value in values.items() if value is not None}
    keys = {key: names.get(key, key) for key in table}
    return {new: table[key] for key, new in keys.items() if new is not None}
