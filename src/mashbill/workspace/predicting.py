"""A trained model, asked: by a list of texts, or by a file of rows.

What it says here has no receipts. An ``apply`` or ``generate`` stage of a recipe asks it so that
its answers are in the store, with what they rest on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import InputError
from mashbill.core.explaining import near
from mashbill.core.model import Decoding, Predictor
from mashbill.core.naming import free_names
from mashbill.core.plain import listed
from mashbill.core.shown import shown
from mashbill.core.teacher import Question
from mashbill.files.rows.chunks import read_chunks
from mashbill.workspace.own_file import manner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mashbill.core.model import Writer
    from mashbill.files.rows.chunks import Manner
    from mashbill.workspace.artifact import Artifact
    from mashbill.workspace.published import PublishedModel
    from mashbill.workspace.recipes import PathLike

_AT_ONCE = 1024
_NAMED, _LETTERS = 8, 200  # labels that a line names, and letters of them all
LABEL, CONFIDENCE, ANSWER, FAILED = "label", "confidence", "answer", "failed"
"""columns that are added to the rows of a file"""


@dataclass(frozen=True, repr=False)
class Model:
    """A trained model of a store, or of a published folder, which answers lists of texts."""

    artifact: Artifact | PublishedModel
    """which it is"""
    labeller: Predictor | None
    """None of a model that writes"""
    writer: Writer | None
    """None of a model that labels"""
    decoding: Decoding = field(default_factory=Decoding)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that it tells apart; none of a model that writes."""
        return self.labeller.labels if self.labeller is not None else ()

    @property
    def added(self) -> tuple[str, ...]:
        """Columns that rows have in addition; one that could not be asked about has the last."""
        if self.labeller is None:
            return (ANSWER, FAILED)
        return (LABEL, CONFIDENCE, *(f"p_{name}" for name in self.labels), FAILED)

    def __repr__(self) -> str:
        """Say in one line which it is, what made it, and its labels."""
        kind = shown(str(self.artifact.manifest.stage.get("kind", "model")))
        what = "writes"
        if self.labeller is not None:
            named = shown(listed(self.labels, _NAMED))
            cut = named if len(named) <= _LETTERS else f"{named[: _LETTERS - 1]}…"
            what = f"labels {cut}"
        return f"<mashbill model {self.artifact.name}: {kind}, {what}>"

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Return the likeliest label of each text, or what the model writes to it.

        Raises:
            InputError: if it is given one text and no list, a text that is empty or blank, or one
                that could not be answered.
        """
        _check(texts)
        if self.labeller is not None:
            return [self.labels[at] for at in self.probabilities(texts).argmax(axis=1).tolist()]
        answers = self._answers(texts)
        for number, (_, failed) in enumerate(answers):
            if failed:
                msg = f"text {number} was not answered: {failed}"
                raise InputError(msg)
        return [text for text, _ in answers]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return calibrated probabilities, float64, shape (texts, labels).

        Raises:
            InputError: if it writes, and has no labels, or a text is empty or blank.
        """
        _check(texts)
        if self.labeller is None:
            msg = f"{self.artifact.name} writes, and has no labels; call it with texts"
            raise InputError(msg)
        if not len(texts):
            return np.zeros((0, len(self.labels)))
        return np.asarray(self.labeller.probabilities(texts), np.float64)

    def rows(
        self,
        path: PathLike,
        *,
        text: str = "text",
        manner: Manner | None = None,
        on_kept: Callable[[str, str], None] | None = None,
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows of a file, some at a time, each with what the model says of its text.

        Of a model that labels they have ``label``, ``confidence`` and ``p_LABEL`` in addition, and
        of one that writes ``answer``; where there is none, ``failed`` says why. A column of the
        file that is called so is kept as ``original_NAME``.

        Args:
            path: JSON lines, CSV, TSV, Parquet, Arrow or text, packed or not.
            text: column of the text.
            manner: how the file is read; what divides its fields and its encoding are found if
                absent.
            on_kept: called once for each column that is kept under another name, with both.

        Raises:
            InputError: if it cannot be read, or has no such column.
        """
        where = Path(path)
        if not where.is_file():
            msg = f"{where} is no file; name a file of rows (.csv, .jsonl, .parquet, .txt)"
            raise InputError(msg)
        kept = dict[str, str]()
        for chunk in read_chunks(where, str(where), manner or manner_of(where)):
            if chunk.rows and text not in chunk.columns:
                there = list(chunk.columns)
                msg = (
                    f"{where} has no column {text!r}; it has {', '.join(there[:20])}"
                    f"{near(text, there)}. Name the column of the text: --text COLUMN"
                )
                raise InputError(msg)
            late = [name for name in chunk.columns if name not in kept]
            for name, new in free_names(late, {*self.added, *kept.values()}).items():
                kept[name] = new
                if name != new and on_kept is not None:
                    on_kept(name, new)
            columns = {kept[name]: cells.values() for name, cells in chunk.columns.items()}
            for begin in range(0, chunk.rows, _AT_ONCE):
                places = range(begin, min(chunk.rows, begin + _AT_ONCE))
                given = [{name: each[at] for name, each in columns.items()} for at in places]
                bad = {at - begin: chunk.bad[at][1] for at in places if at in chunk.bad}
                yield self.said(given, kept.get(text, text), bad)

    def said(
        self, rows: list[dict[str, Any]], column: str, bad: Mapping[int, str] | None = None
    ) -> list[dict[str, Any]]:
        """Return rows with what the model says of them.

        Args:
            rows: they, without a column of :attr:`added`.
            column: of the text.
            bad: place -> why a row is none.
        """
        texts = [row.get(column) for row in rows]
        for at, (row, value) in enumerate(zip(rows, texts, strict=True)):
            if bad and at in bad:
                row[FAILED] = bad[at]
            if not isinstance(value, str) or not value.strip():
                row.setdefault(FAILED, f"column {column} has no text")
        asked = [at for at, row in enumerate(rows) if FAILED not in row]
        good = [str(texts[at]) for at in asked]
        if self.labeller is not None and asked:
            for at, shares in zip(asked, self.probabilities(good), strict=True):
                best = int(shares.argmax())
                rows[at] |= {LABEL: self.labels[best], CONFIDENCE: float(shares[best])}
                rows[at] |= {
                    f"p_{name}": float(share)
                    for name, share in zip(self.labels, shares, strict=True)
                }
        elif asked:
            for at, (answer, failed) in zip(asked, self._answers(good), strict=True):
                rows[at] |= {FAILED: failed} if failed else {ANSWER: answer}
        return rows

    def _answers(self, texts: Sequence[str]) -> list[tuple[str, str]]:
        assert self.writer is not None  # noqa: S101 - it labels or writes
        said = self.writer.answer([Question("", text) for text in texts], self.decoding)
        return [(one.text, one.failed) for one in said]


def _check(texts: object) -> None:
    if not isinstance(texts, (list, tuple)):
        msg = "give a list of texts, even of one: model([text])"
        raise InputError(msg)
    for number, one in enumerate(texts):
        if not isinstance(one, str):
            msg = f"text {number} is {type(one).__name__} ({one!r:.60}) and no str"
            raise InputError(msg)
        if not one.strip():
            msg = f"text {number} is empty or blank ({one!r:.60}), so nothing can be said of it"
            raise InputError(msg)


def load(
    name: PathLike,
    store: PathLike = "store",
    *,
    threads: int = 1,
    max_tokens: int = 256,
    temperature: float = 0.0,
) -> Model:
    """Return a trained model of a store, or of a folder, which answers lists of texts.

        model = mashbill.load("classifier")
        model(["It broke after a day."])            # ["angry"]
        model.probabilities(["It broke after a day."])
        mashbill.load("some/folder")                # what `mashbill publish` wrote

    Args:
        name: NAME, its newest version, or NAME@VERSION; or a path, with a ``/`` in it, of a folder
            that was published.
        store: folder of the store.
        threads: that it may use.
        max_tokens: of an answer, at most, of a model that writes.
        temperature: 0 writes what is likeliest.

    Raises:
        InputError: if it is a dataset, or the folder was not published.
        StoreError: if there is none of that name, or a file is not the one that was published.
        MissingExtraError: if what it needs is not installed.
    """
    from mashbill.workspace.published import PublishedModel, is_a_folder
    from mashbill.workspace.space import open_workspace

    artifact: Artifact | PublishedModel
    if is_a_folder(name):
        artifact = PublishedModel.of(Path(name))
    else:
        artifact = open_workspace(store)[str(name)]
        if artifact.manifest.kind != "model":
            msg = f"{artifact.name} is a dataset; `mashbill show {artifact.name}` shows its rows"
            raise InputError(msg)
    decoding = Decoding(max_tokens=max_tokens, temperature=temperature)
    found = artifact.model(threads)
    if isinstance(found, Predictor):
        return Model(artifact, found, None, decoding)
    return Model(artifact, None, found, decoding)
