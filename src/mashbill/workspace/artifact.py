"""An artifact of a store as a value: a dataset with its rows, or a model that can be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.core import registry
from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.core.model import labelling
from mashbill.core.record import user_columns
from mashbill.core.store import write_atomically
from mashbill.lineage.circuit.contradicted import told_of
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    import pyarrow as pa

    from mashbill.core.artifact import Manifest
    from mashbill.core.marks import Contradiction
    from mashbill.core.model import Predictor, Writer
    from mashbill.core.removals import Removal
    from mashbill.core.store import Store
    from mashbill.publish.model_files import ModelFile
    from mashbill.publish.publish import Published, Wish
    from mashbill.workspace.recipes import PathLike

_SHOWN = 8  # rows of a dataset in a notebook


@dataclass(frozen=True)
class Artifact:
    """One committed artifact."""

    store: Store
    manifest: Manifest

    @property
    def name(self) -> str:
        """Its address, NAME@VERSION."""
        return str(self.manifest.ref)

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.store.folder(self.manifest.kind, self.manifest.ref)

    @property
    def removal(self) -> Removal | None:
        """How its rows or weights were removed; None if they are there."""
        return self.store.removal(self.manifest.ref)

    @property
    def contradiction(self) -> Contradiction | None:
        """What speaks against the origin that was declared of it; None if nothing does."""
        return told_of(self.store, self.name)

    def __len__(self) -> int:
        """Rows of a dataset."""
        self._rows_only("has no rows")
        return self.manifest.rows

    def to_arrow(self, *, receipts: bool = False) -> pa.Table:
        """Return all rows as an Arrow table.

        Args:
            receipts: with ``_id``, ``_bill`` and ``_from``, too.

        Raises:
            InputError: if it is a model.
        """
        self._rows_only("has no rows; load() gives the model")
        data = self.store.dataset(self.manifest.ref)
        return data.read(0, data.num_rows, None if receipts else user_columns(data.columns))

    def to_pandas(self, *, receipts: bool = False) -> Any:
        """Return all rows as a pandas frame; see :meth:`to_arrow`.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        with needs("to_pandas()", "hub"):
            import pandas as pd  # noqa: F401 - Arrow asks for it, and says less well who needs it
        return self.to_arrow(receipts=receipts).to_pandas()

    def to_dataset(self, *, receipts: bool = False) -> Any:
        """Return all rows as a ``datasets.Dataset`` of Hugging Face; see :meth:`to_arrow`.

        Raises:
            MissingExtraError: if datasets is not installed.
        """
        with needs("to_dataset()", "hub"):
            from datasets import Dataset
        return Dataset(self.to_arrow(receipts=receipts))

    def model(self, threads: int = 1) -> Predictor | Writer:
        """Return the trained model, whichever it does: it has ``probabilities``, or ``answer``.

        Raises:
            InputError: if it is a dataset.
            MissingExtraError: if what it needs is not installed.
        """
        found: Predictor | Writer = self._loaded(threads, "output", "makes no model")
        return found

    def load(self, threads: int = 1) -> Predictor:
        """Return the trained model, which labels texts.

        Raises:
            InputError: if it is a dataset, or a model that only writes.
            MissingExtraError: if what it needs is not installed.
        """
        found = self._loaded(threads, "can_label", "does not label; writer() gives it")
        return labelling(found, self.name)

    def writer(self, threads: int = 1) -> Writer:
        """Return the trained model, which writes.

        Raises:
            InputError: if it is a dataset, or a model that only labels.
            MissingExtraError: if what it needs is not installed.
        """
        writes: Writer = self._loaded(threads, "can_write", "does not write; load() gives it")
        return writes

    def _loaded(self, threads: int, what: str, lacks: str) -> Any:
        if self.manifest.kind != "model":
            msg = f"{self.name} is a dataset; to_arrow() and to_pandas() give its rows"
            raise InputError(msg)
        self.store.check_there(self.manifest.ref, "its weights")
        kind = self.manifest.stage["kind"]
        with registry.telling("loading a model of", kind, registry.TRAINERS):
            trainer: Any = registry.find(kind, registry.TRAINERS)
            if not getattr(trainer, what):
                msg = f"{self.name} is a model of kind {kind!r}, which {lacks}"
                raise InputError(msg)
            return trainer.load(self.folder, threads)

    def export(self, format: str) -> str:  # noqa: A002 - the word for it
        """Return its bill in a standard's own form; see :mod:`mashbill.lineage.exports`.

        Raises:
            InputError: if there is no such format.
        """
        from mashbill.lineage.exports import export

        return export(self.store, self.manifest, format)

    def write_export(self, format: str, to: PathLike) -> list[Path]:  # noqa: A002
        """Write what :meth:`export` gives; beside a card, the bill that it points to.

        Args:
            format: as above.
            to: file to write.
        """
        text, target = self.export(format), Path(to)
        write_atomically(target, text.encode())
        if format != "card":
            return [target]
        from mashbill.lineage.exports import gather
        from mashbill.lineage.exports.bill_file import BILL_FILE, bill_text

        beside = target.parent / BILL_FILE  # the card has its name and its digest
        write_atomically(beside, bill_text(gather(self.store, self.manifest)).encode())
        return [target, beside]

    def write_model(
        self,
        format: str,  # noqa: A002 - the option's name
        to: PathLike,
        quantise: str | None = None,
    ) -> ModelFile:
        """Write a model as one file of another program, and its bill beside it.

        Args:
            format: of :data:`mashbill.publish.model_files.MODEL_FORMATS`, such as ``gguf``.
            to: file to write.
            quantise: of a GGUF file's matrices: ``f32``, ``f16``, ``q8_0``, ``q4_0``.

        Raises:
            InputError: if it cannot be written so, and what to do.
        """
        from mashbill.publish.model_files import write_model

        return write_model(self.store, self.manifest, format, Path(to), quantise)

    def publish(self, to: str, wish: Wish | None = None) -> Published:
        """Write it to an address, with a card, the bill and digests.

        Args:
            to: a folder, an address of fsspec, or ``hf:OWNER/NAME``.
            wish: format and form of the rows, and what comes with them.
        """
        from mashbill.publish.publish import Wish, publish

        return publish(self.store, self.manifest, to, wish or Wish())

    def _rows_only(self, why: str) -> None:
        if self.manifest.kind != "dataset":
            msg = f"{self.name} is a model and {why}"
            raise InputError(msg)

    def _facts(self) -> list[tuple[str, Any]]:
        item = self.manifest
        facts: list[tuple[str, Any]] = [("kind", item.kind), ("digest", item.digest)]
        if item.kind == "dataset":
            facts += [("rows", item.rows), ("rejected rows", item.rejected_rows)]
        facts += [("tokens", item.tokens), ("made by", item.stage.get("kind"))]
        return [*facts, *([("rows and weights", str(self.removal))] if self.removal else [])]

    def __str__(self) -> str:
        return text_table(self.name, ("", ""), self._facts())

    def _repr_html_(self) -> str:
        facts = html_table(self.name, ("", ""), self._facts())
        if self.manifest.kind != "dataset" or self.removal is not None:
            return facts
        data = self.store.dataset(self.manifest.ref)
        names = user_columns(data.columns)
        rows = data.read(0, min(_SHOWN, data.num_rows), names).to_pylist()
        cells = [[row[name] for name in names] for row in rows]
        return facts + html_table(f"its first {len(cells)} rows", names, cells)
