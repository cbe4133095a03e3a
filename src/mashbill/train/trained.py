"""``trained``: a model that was trained elsewhere, taken in with its bill.

Its files are copied and kept as those of a model that was trained here. What it learned from is
what the recipe says, or what the record says that its trainer left beside it (``mashbill.json``,
see docs/trained.md); both must agree. Nothing of it is counted here, so an audit tells it as said.
What is not said of a dataset is an interval on the bill.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from mashbill.core.errors import InputError, RecipeError, StoreError
from mashbill.core.explaining import near
from mashbill.core.extras import needs
from mashbill.core.given import is_whole_address
from mashbill.core.said_learning import MOST_EPOCHS, MOST_TOKENS, SAID
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.training_record import RECORD, Record, read_record
from mashbill.core.use import StudentKind
from mashbill.lineage.circuit.nodes import CONTENT, NodeTable
from mashbill.lineage.circuit.said_model import UNNAMED
from mashbill.train.outside_data import (
    BILL,
    SUMS,
    OutsideData,
    check_published,
    of_store,
    published,
)
from mashbill.train.said_by import Known, agreed, check_base, known_of
from mashbill.train.taken_files import (
    check_files,
    copy_base,
    copy_files,
    is_adapter,
    is_quantised,
    taken,
    weights_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.artifact import ArtifactKind, Manifest
    from mashbill.core.base_model import ModelSpec
    from mashbill.core.said_learning import SaidDataset
    from mashbill.core.stage import StageContext
    from mashbill.lineage.circuit.composer import Actor

Method = Literal["full", "lora", "merge", "quantise"]
_FROM_WEIGHTS = ("merge", "quantise")
"""methods that learn from no text"""
_Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
_Epochs = Annotated[float, Field(ge=0, le=MOST_EPOCHS, allow_inf_nan=False)]
_Loss = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
_Part = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


@dataclass(frozen=True)
class Taken:
    """A model that was taken in, and what is said of it."""

    said: tuple[SaidDataset, ...]
    outside: dict[str, NodeTable]
    """nodes of the datasets that are not in the store, by address"""


class TrainedSpec(StageSpec):
    """``kind = "trained"``."""

    output: ClassVar[ArtifactKind] = "model"
    draws: ClassVar[bool] = False
    student_kind: ClassVar[StudentKind] = "language-model"
    can_label: ClassVar[bool] = False
    can_write: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = (
        "inputs", "base", "parents", "tokens", "epochs", "weights",
    )  # fmt: skip

    kind: Literal["trained"] = "trained"
    folder: str = Field(min_length=1)
    """where the model lies beside the recipe: a folder as save_pretrained of transformers or peft
    writes it, or a GGUF file"""
    base: str = ""
    """which of [models.*], or of the stages above, its weights started from; none if they were
    drawn at random"""
    parents: dict[str, _Part] | tuple[str, ...] = ()
    """method = "merge": the models that were merged, each with its part, or a list of them where
    parts are not known"""
    inputs: tuple[str, ...] = ()
    """datasets that it learned from: stages above, NAME@VERSION of this store or of one of stores,
    and folders that `mashbill publish` wrote, with a slash: ./FOLDER"""
    stores: dict[str, str] = Field(default_factory=dict)
    """NAME@VERSION -> folder of another store that has it"""
    tokens: dict[str, _Tokens] = Field(default_factory=dict)
    """dataset -> tokens of it that were seen in all, each as often as it was"""
    epochs: dict[str, _Epochs] = Field(default_factory=dict)
    """dataset -> times that each of its rows was seen"""
    weights: dict[str, _Loss] = Field(default_factory=dict)
    """dataset -> weight of its tokens in the loss; 1 where nothing is said"""
    unnamed: bool = False
    """whether it also learned from data that are named nowhere: of unknown origin on its bill"""
    method: Method = "full"
    """how it was made: all of the weights, or adapters (lora), trained on text; or from weights
    alone"""
    trainer: str = Field(default="", max_length=300)
    """program that trained it"""
    trainer_version: str = Field(default="", max_length=300)
    """its version"""
    with_base: bool = True
    """whether the weights that adapters need are kept beside them, so that the model answers"""

    @field_validator("inputs")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            msg = f"inputs names {twice!r} twice; say how often it was seen by epochs or tokens"
            raise ValueError(msg)
        return names

    @model_validator(mode="after")
    def _fits(self) -> TrainedSpec:
        for key in ("tokens", "epochs", "weights"):
            strange = sorted(getattr(self, key).keys() - set(self.inputs))
            if strange:
                hint = near(strange[0], self.inputs) or f"; inputs has {', '.join(self.inputs)}"
                msg = f"{key} names {strange[0]!r}, which is none of inputs{hint}"
                raise ValueError(msg)
        for name in self.stores:
            if name not in self.inputs or not is_whole_address(name):
                msg = f"stores names {name!r}, which is no NAME@VERSION of inputs"
                raise ValueError(msg)
        if self.method in _FROM_WEIGHTS and (self.inputs or self.unnamed):
            msg = (
                f"method = {self.method!r} learns from no text; take inputs and unnamed out, or "
                "say how it was trained"
            )
            raise ValueError(msg)
        if self.method not in _FROM_WEIGHTS and not (self.inputs or self.unnamed):
            msg = (
                "inputs is empty, and a model that was trained learned from something: name the "
                "datasets, or set unnamed = true"
            )
            raise ValueError(msg)
        self._check_parents()
        return self

    def _check_parents(self) -> None:
        if self.method == "merge":
            if self.base or len(self.parents) < 2:
                msg = "method = 'merge' takes parents = {...}, at least two, and no base"
                raise ValueError(msg)
        elif self.parents:
            msg = f"parents is for method = 'merge', and method is {self.method!r}; name a base"
            raise ValueError(msg)
        elif self.method in ("lora", "quantise") and not self.base:
            msg = f"method = {self.method!r} needs the base that it was made from: base = NAME"
            raise ValueError(msg)

    @property
    def parent_names(self) -> tuple[str, ...]:
        """What its weights were made from."""
        return (self.base,) if self.base else tuple(self.parents)

    def parts(self) -> dict[str, float]:
        """Return the part of each parent of a merge, of one in all, where they are known."""
        if not isinstance(self.parents, dict):
            return {}
        total = sum(self.parents.values())
        return {name: part / total for name, part in self.parents.items()}

    def is_outside(self, name: str) -> bool:
        """Return whether a dataset is no artifact of the run's store."""
        return name in self.stores or is_folder(name)

    def uses(self) -> tuple[Uses, ...]:
        """The datasets that the store has, and what the weights were made from."""
        return (
            *(
                Uses(name, "trained-on", Channel.CONTENT)
                for name in self.inputs
                if not self.is_outside(name)
            ),
            *(Uses(name, "base", Channel.WEIGHTS) for name in self.parent_names),
        )

    def addresses(self) -> tuple[str, ...]:
        """The model, and what lies elsewhere."""
        return (self.folder, *filter(is_folder, self.inputs), *self.stores.values())

    def files_beside(self, folder: Path) -> tuple[str, ...]:
        """The files of the model that are taken, and those that say what published data are.

        Raises:
            InputError: if there are none.
        """
        path = folder / self.folder
        names = taken(path, self.folder)
        own = [self.folder] if path.is_file() else [f"{self.folder}/{name}" for name in names]
        data = [f"{name.rstrip('/')}/{file}" for name in self.inputs if is_folder(name)
                for file in (BILL, SUMS)]  # fmt: skip
        other = [
            f"{store.rstrip('/')}/datasets/{name}/manifest.json"
            for name, store in self.stores.items()
        ]
        return (*own, *data, *other)

    def reads_bases(self, folder: Path) -> bool:
        """Only where adapters are kept with the weights that they need."""
        return self.with_base and is_adapter(folder / self.folder)

    def check(self, folder: Path) -> None:
        """See that the model is what the recipe says, and that its record says the same."""
        path = folder / self.folder
        try:
            names = taken(path, self.folder)
            check_files(path, names, self.folder)
            record = self.record(folder)
            adapters, in_few_bits = is_adapter(path), is_quantised(path)
            self.outside(folder)
        except (InputError, StoreError) as error:
            raise RecipeError(str(error)) from error
        if adapters and self.method != "lora":
            msg = (
                f"method = {self.method!r}, and {self.folder} holds adapters "
                "(adapter_config.json); write method = 'lora' and the base that they are for"
            )
            raise RecipeError(msg)
        if self.method == "quantise" and not in_few_bits:
            msg = (
                f"method = 'quantise', and {self.folder} has no GGUF file and no "
                "quantization_config in config.json; correct method, or name the folder"
            )
            raise RecipeError(msg)
        if record is not None:
            self._check_record(record)

    def _check_record(self, record: Record) -> None:
        """Raise RecipeError if the record says else of the training than the recipe."""
        where = f"{self.folder}/{RECORD}"
        said = [("trainer", self.trainer, record.trainer.name)]
        said.append(("trainer_version", self.trainer_version, record.trainer.version))
        if self.method in _FROM_WEIGHTS:
            return  # made of weights that a trainer left, whose record came along
        if "method" in self.model_fields_set:
            said.append(("method", self.method, record.method))
        for key, mine, theirs in said:
            if mine and theirs and mine.lower() != theirs.lower():
                msg = (
                    f"{key} = {mine!r}, and {where} says {theirs!r}; correct the recipe, or name "
                    "the folder of the other training"
                )
                raise RecipeError(msg)

    def counted_by(self, path: Path, where: str) -> Record | None:
        """Return the record that says what the model learned from; None where there is none.

        What was made of weights alone may have that of the training before it beside it.

        Args:
            path: of the record.
            where: what messages call it.

        Raises:
            InputError: if it is no such record.
        """
        if self.method in _FROM_WEIGHTS or not path.is_file():
            return None
        return read_record(path, where)

    def record(self, folder: Path) -> Record | None:
        """Return what the trainer left beside the model; None where it left nothing.

        Raises:
            InputError: if it is no such record.
        """
        path = folder / self.folder / RECORD if (folder / self.folder).is_dir() else None
        if path is None or not path.is_file():
            return None
        return read_record(path, f"{self.folder}/{RECORD}")

    def outside(self, folder: Path) -> dict[str, OutsideData]:
        """Return the datasets that are not in the run's store, by what inputs calls them.

        Raises:
            InputError: if one of them is not there, or is none.
            StoreError: if another store's is not as it was committed.
        """
        found = {}
        for name in self.inputs:
            if is_folder(name):
                found[name] = published(folder / name, name)
            elif name in self.stores:
                key = f"stores.{name}"
                found[name] = of_store(name, self.stores[name], key, folder)
        return found

    def learned_outside(self, folder: Path) -> tuple[Actor, ...]:
        """Return what it learned from beside the store's datasets, for plans.

        Raises:
            InputError: as :meth:`outside`.
        """
        unnamed: tuple[Actor, ...] = ((CONTENT, UNNAMED),) if self.unnamed else ()
        tables = [
            NodeTable(one.table.bodies, root=origin.node)
            for one in self.outside(folder).values()
            for origin in one.origins
        ]
        return (*((CONTENT, table) for table in tables), *unnamed)

    def expected_seconds(self, rows: int | None) -> float | None:
        """As long as copying takes."""
        del rows
        return 0.1

    def train(self, ctx: StageContext, out: Path) -> None:
        """Copy the files; :meth:`take` says what is said of them."""
        path = ctx.recipe_folder / self.folder
        names = taken(path, self.folder)
        check_files(path, names, self.folder)
        copy_files(path, names, out)
        if self.reads_bases(ctx.recipe_folder):
            copy_base(ctx.base(self.base).folder, out)
        ctx.progress(1, 1, f"{len(names)} files taken in")

    def take(
        self, ctx: StageContext, models: Mapping[str, ModelSpec], made: Mapping[str, Manifest]
    ) -> Taken:
        """Return what is said of the model, and put it among the measures.

        Args:
            ctx: where it is taken in.
            models: the bases from outside that it started from, by name.
            made: what the store has of its inputs and bases, as inputs, base and parents call it.

        Raises:
            InputError: if recipe and record disagree, naming both.
        """
        outside = self.outside(ctx.recipe_folder)
        for name in filter(is_folder, outside):
            check_published(ctx.recipe_folder / name, name)
        known = {
            name: Known.outside(outside[name]) if name in outside else known_of(made[name])
            for name in self.inputs
        }
        record, where = self.record(ctx.recipe_folder), f"{self.folder}/{RECORD}"
        counts = self.counted_by(ctx.recipe_folder / self.folder / RECORD, where)
        said = agreed(self, known, counts, where)
        if counts is not None:
            check_base(self.base, models, made, counts, where)
        titles = {
            name: str(made[name].ref) if name in made else models[name].source.title
            for name in self.parent_names
        }
        ctx.measures[SAID] = {
            "by": "recipe" if counts is None else "record",
            "method": self.method,
            "trainer": [self.trainer, self.trainer_version]
            if record is None
            else [record.trainer.name, record.trainer.version],
            "counted": "" if counts is None else counts.counted,
            "datasets": [one.as_json() for one in said],
            "parents": {titles[name]: part for name, part in self.parts().items()},
            "unnamed": self.unnamed,
            "weights": weights_of(ctx.recipe_folder / self.folder),
            "at_the_end": {} if record is None else record.weights,
        }
        return Taken(said, {one.name: one.table for one in outside.values()})

    @staticmethod
    def load(folder: Path, threads: int) -> Any:
        """Load the model, which writes.

        Raises:
            StoreError: if its files are none that are loaded here.
        """
        with needs("using a language model", "students"):
            from mashbill.models.causal_writer import CausalWriter
            from mashbill.models.gguf_folder import write_folder
        files = sorted(item for item in folder.iterdir() if item.suffix == ".gguf")
        if (folder / "config.json").is_file() or not files:
            return CausalWriter.load(folder, threads)
        with tempfile.TemporaryDirectory(prefix="mashbill-gguf-") as scratch:
            write_folder(files[0], Path(scratch))
            return CausalWriter.load(Path(scratch), threads)


def is_folder(name: str) -> bool:
    """Return whether an input is a folder, by its slash, and no stage or address."""
    return "/" in name
