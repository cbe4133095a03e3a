"""What columns say against a declared origin: receipts of ours, and names of models.

Names of columns are those that NVIDIA's, distilabel's, UltraFeedback's, Nectar's, Magpie's and
OpenHermes' sets have (docs/sources.md has where each was read). A column of another name counts by
what stands in it, if most of it are names of public models.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.marks import Mark, MarkKind
from mashbill.core.nothing import is_nothing
from mashbill.core.record import BILL, CALL, FROM, ID
from mashbill.files.rows.cells import as_text, texts_of
from mashbill.files.rows.forms import GENERATORS, column_of, within
from mashbill.stages.giving import bare_name
from mashbill.stages.marks.call_ids import ids_in
from mashbill.stages.marks.flags import FLAGS, said_yes, whole_numbers
from mashbill.stages.marks.model_names import (
    family_name,
    is_in_full,
    is_machine,
    known_name,
    looks_like_a_model,
)
from mashbill.stages.marks.named_in import names_apart, names_in, names_of_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mashbill.files.rows.cells import Cells
    from mashbill.stages.imported import ImportSpec

WRITERS = frozenset(
    ["generator", "generators", "generated_by", "generation_model", "generation_models",
     "grouped_model_name", "input_generator", "output_generator", "chosen_model", "rejected_model",
     "completion_model", "response_model", "teacher_model"]
)  # fmt: skip
"""keys that say who wrote a row, whatever stands in them; ``-`` counts as ``_``"""
MAY_BE = frozenset(["model_name", "model_names", "model", "models", "teacher", "llm", "engine"])
"""keys that may say it: if what stands in them looks like the name of a model"""
_OF_MODELS = frozenset(["model", "models", "llm", "llms", "generator", "generators", "chatbot"])
"""words of a name of a column that say that it names models: full names and makers' own words for
their models count there; a word of several meanings (Claude, Gemini) only if all else does"""
LIBRARIES = {
    "distilabel_metadata": "distilabel",
    "gen_input_configs": "Magpie",
    "gen_response_configs": "Magpie",
}
"""column that a library which has models write leaves in the rows -> library"""
_OWN = ("model", "chosen-model", "chosen_model", "rejected-model", "rejected_model",
        "generation_models", "model_names", "grouped_model_name", "generation_model")  # fmt: skip
"""columns that an import reads for texts of some columns, before others"""
_WHENCE = frozenset(
    ["source", "sources", "src", "origin", "author", "authors", "writer", "creator", "created",
     "written", "generated", "synthesized", "synthesizer", "synthetic", "provenance", "provider",
     "annotator", "responder", "respondent", "answerer", "assistant", "bot", "agent", "by", "from",
     "role", "speaker"]
)  # fmt: skip
"""words of a name of a column that say whence a row is: rows that name a model in full count there,
however few they are; elsewhere most rows must, for texts may be about models"""
_PEOPLE = frozenset(["human", "humans", "people", "person", "user", "annotator", "crowd"])
_RECEIPTS = frozenset([BILL, ID, FROM, CALL])
_HEX = {BILL: 64, ID: 32, CALL: 64}
"""characters that our own digests have as text"""
_BYTES = {ID: 16, CALL: 32}
REQUEST = "request"
"""column of a journal's export that holds the digest of a call, as ``_call`` does"""
_OF_A_CALL = frozenset(["teacher", "prefix", "choices", "logprobs"])
"""other columns of that export; with none of them a request may be anybody's"""
_WITHIN = {
    BILL: (rf'"{BILL}"\s*:\s*"[0-9a-f]{{64}}"',),
    CALL: (rf'"{CALL}"\s*:\s*"[0-9a-f]{{64}}"',),
    REQUEST: (rf'"{REQUEST}"\s*:\s*"[0-9a-f]{{64}}"', f'"({"|".join(sorted(_OF_A_CALL))})"'),
}
"""key -> what a cell has in it within which a receipt stands"""
_SHORT = 500
"""bytes of a list or an object that may be a name or some"""
_DISTINCT = 1_000
"""values of a column that are counted; of one with more those that name models"""
_COLUMNS = 5_000
"""columns, and keys within them, whose texts are counted"""
_DEEPEST = 6
_WORTH = re.compile(
    r'"[^"]{0,60}(model|llm|engine|teacher|generat|bot|sour|src|origin|author|writ|creat|synth|prov'
    r'|annotator|respon|answerer|assistant|agent|by|from|role|speaker)[^"]{0,60}"\s*:'
)
"""what a cell with a key that says who wrote something, or whence it is, has in it"""


def plain(name: str) -> str:
    """Return the name of a model as it is compared with those that a recipe or a bill tells of."""
    return bare_name(name).lower()


def plain_name(column: str) -> str:
    """Return a column's name as it is compared: as it was before another one took it."""
    name = column.strip().lower()
    while match := re.match(r"original_(\d+_)?(?=.)", name):
        name = name[match.end() :]
    return name.replace("-", "_")


class Columns:
    """Looks at columns, some rows at a time, and tells their marks at the end."""

    def __init__(self, generator: str = "") -> None:
        """Begin; ``generator``: column, or path, that a recipe says names who wrote a row."""
        self.rows = 0
        self._generator = generator
        self._values: dict[str, Counter[str]] = {}
        """column, or key within one -> its texts, with the rows that have each"""
        self._retired: set[str] = set()
        """columns with too many values to be names, of which the models' alone are counted"""
        self._receipts: dict[str, Counter[str]] = {}
        """column of receipts -> digests, with rows; "" for those that are numbers"""
        self._digests: dict[str, Counter[str]] = {}
        """column of another name -> what has the form of our nodes' digests, with rows"""
        self._alone: Counter[str] = Counter()
        """column of numbers that has a name of ours, without another one of ours -> rows"""
        self._calls: dict[str, Counter[str]] = {}
        """column -> whose API gave ids that stand in it, with rows"""
        self._flagged: Counter[str] = Counter()
        """column that says yes or no to whether a machine wrote a row -> rows of a yes"""
        self._filled: Counter[str] = Counter()
        """column of a library -> rows that have something in it"""

    def see(self, columns: Mapping[str, Cells], rows: int) -> None:
        """Look at some rows."""
        self.rows += rows
        names = {column: plain_name(column) for column in columns}
        for column, cells in columns.items():
            name = names[column]
            if name in (BILL, FROM) and not set(names.values()) & _RECEIPTS - {name}:
                self._alone[column] += whole_numbers(cells.array)
            if name == REQUEST and _OF_A_CALL & set(names.values()):
                self._receipt(column, CALL, cells, beside=set())
            elif name in (BILL, ID, CALL):
                self._receipt(column, name, cells, beside=set(names.values()))
            elif name in FLAGS:
                self._flagged[column] += said_yes(cells.array)
            elif name in LIBRARIES:
                self._filled[column] += len(cells.array) - cells.array.null_count
            elif cells.is_json or "nested" in cells.kinds.names:
                self._nested(column, cells)
            elif cells.kinds.names == {"str"}:
                self._texts(column, cells.array)

    def _receipt(self, column: str, name: str, cells: Cells, beside: set[str]) -> None:
        found = self._receipts.setdefault(column, Counter())
        kind = cells.array.type
        if pa.types.is_integer(kind) and name == BILL and beside & {ID, FROM}:
            found[""] += len(cells.array) - cells.array.null_count
        elif pa.types.is_binary(kind):
            fits = pc.equal(pc.binary_length(cells.array), _BYTES.get(name, -1))
            found[""] += pc.sum(fits).as_py() or 0
        elif pa.types.is_string(kind):
            fits = pc.match_substring_regex(cells.array, f"^[0-9a-fA-F]{{{_HEX[name]}}}$")
            texts = pc.utf8_lower(cells.array.filter(pc.fill_null(fits, fill_value=False)))
            if name != BILL:
                found[""] += len(texts)
                return
            for item in pc.value_counts(texts).to_pylist():
                key = item["values"] if len(found) < _DISTINCT else ""
                found[key] += item["counts"]

    def _digest(self, column: str, texts: pa.Array) -> None:
        """Count what may be digests of nodes, in a column of any name: few are distinct."""
        fits = pc.match_substring_regex(texts, f"^[0-9a-fA-F]{{{_HEX[BILL]}}}$")
        texts = texts.filter(pc.fill_null(fits, fill_value=False))
        found = self._digests.setdefault(column, Counter())
        for item in pc.value_counts(pc.utf8_lower(texts)).to_pylist() if len(texts) else ():
            if item["values"] in found or len(found) < _DISTINCT:
                found[item["values"]] += item["counts"]

    def _texts(self, column: str, texts: pa.Array) -> None:
        self._digest(column, texts)
        self._calls.setdefault(column, Counter()).update(ids_in(texts))
        if pc.any(pc.match_substring_regex(texts, r"^\s*[\[{]")).as_py():
            self._nested_texts(column, texts)
        if column in self._retired:
            # Most of it are no names: those that were met are counted on.
            met = self._values.get(column, Counter())
            texts = texts.filter(pc.is_in(texts, pa.array(list(met), texts.type)))
        self._count(column, texts)

    def _count(self, column: str, texts: pa.Array) -> None:
        """Count what texts name, until there is too much of it for names."""
        counts = self._values.setdefault(column, Counter())
        for item in pc.value_counts(texts).to_pylist():
            text = item["values"]
            if text is not None and text.strip():
                for name in names_of_text(text):
                    counts[name] += item["counts"]
        if len(counts) > _DISTINCT:
            key = plain_name(column)
            is_worth = _says_models(key) or _says_whence(key)
            known = [name for name in counts if is_worth and known_name(name)]
            self._values[column] = Counter({name: counts[name] for name in known})
            self._retired.add(column)

    def _nested(self, column: str, cells: Cells) -> None:
        if not cells.is_json:
            return
        if column not in self._retired and not _says_models(plain_name(column)):
            short = pc.less_equal(pc.binary_length(cells.array), _SHORT)
            self._count(column, cells.array.filter(pc.fill_null(short, fill_value=False)))
        self._nested_texts(column, cells.array, is_json=True)

    def _nested_texts(self, column: str, texts: pa.Array, *, is_json: bool = False) -> None:
        """Look for keys that name models in cells that hold, or write, lists and objects."""
        self._calls.setdefault(column, Counter()).update(ids_in(texts, within=True))
        self._receipts_within(column, texts)
        worth = pc.match_substring_regex(texts, f"(?i){_WORTH.pattern}")
        own = column_of(self._generator, [column]) if self._generator else None
        named = _says_models(plain_name(column)) or own is not None
        for text in texts.filter(
            pc.fill_null(worth, fill_value=False) if not named else pc.is_valid(texts)
        ).to_pylist():
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                continue
            told: set[tuple[str, str]] = set()
            if named and is_json:
                told |= {(column, name) for name in names_in(value)}
            told |= set(_named_within(value, column))
            if own is not None:
                names = texts_of(within(value, own[1]) if own[1] else value)
                told |= {(self._generator, name) for name in names or ()}
            for said in told:
                # Half of a surrogate pair has no canonical form, so no place in a ledger.
                key, name = map(as_text, said)
                if key not in self._values and len(self._values) >= _COLUMNS:
                    continue
                counts = self._values.setdefault(key, Counter())
                if len(counts) < _DISTINCT:
                    counts[name] += 1

    def _receipts_within(self, column: str, texts: pa.Array) -> None:
        """Count cells within which receipts of ours stand, or a call of a journal."""
        for key, patterns in _WITHIN.items():
            fits = [pc.match_substring_regex(texts, pattern) for pattern in patterns]
            there = fits[0] if len(fits) == 1 else pc.and_(*fits)
            if count := pc.sum(there).as_py():
                self._receipts.setdefault(f"{column}.{key}", Counter())[""] += count

    def told_by(self, spec: ImportSpec) -> set[str]:
        """Return the names, in small letters, that an import will find itself.

        Where a row's first column of generators names nobody it goes on to the next.
        """
        if spec.generator == "none":
            return set()
        ways = (spec.generator,) if spec.generator else (*_OWN, *GENERATORS)
        found: set[str] = set()
        for way in ways:
            for column, counts in self._values.items():
                if column == way or (not spec.generator and column.endswith(f".{way}")):
                    names = {n: rows for n, rows in counts.items() if not is_nothing(n)}
                    found |= {plain(name) for name in names}
                    if column in GENERATORS and sum(names.values()) >= self.rows:
                        return found
        return found

    def receipts(self) -> Iterator[tuple[str, Counter[str]]]:
        """Yield column and digests of those that hold our receipts."""
        for column, found in self._receipts.items():
            if sum(found.values()):
                yield column, found

    def digests(self) -> Iterator[tuple[str, Counter[str]]]:
        """Yield columns of other names, with what may be digests of nodes."""
        yield from self._digests.items()

    def alone(self) -> Iterator[Mark]:
        """Yield marks of columns that have a name of ours and hold numbers, as ours do."""
        for column, rows in self._alone.items():
            if rows:
                yield Mark("column", column, (), rows, self.rows)

    def calls(self) -> Iterator[Mark]:
        """Yield marks of columns that hold ids of models' answers."""
        for column, found in self._calls.items():
            if found:
                rows = min(sum(found.values()), self.rows)
                yield Mark("call", column, tuple(sorted(found)), rows, self.rows)

    def named(
        self, is_told: Callable[[str], bool], is_renamed: Callable[[str], bool]
    ) -> Iterator[tuple[Mark, dict[str, int]]]:
        """Yield marks of columns that name models, with rows by name.

        Args:
            is_told: whether the declared origin tells of a name itself.
            is_renamed: whether it tells of a name as another one, which counts in any column.
        """
        for column, rows in self._filled.items():
            if rows:
                name = LIBRARIES[plain_name(column)]
                yield Mark("generator", column, (name,), rows, self.rows), {}
        for column, rows in self._flagged.items():
            if rows:
                yield Mark("generator", column, ("a machine",), rows, self.rows), {}
        for column, counts in self._values.items():
            key = plain_name(column.rsplit(".", 1)[-1])
            total = self.rows if column in self._retired else sum(counts.values())
            is_whence = _says_whence(key)
            apart = names_apart(counts, partly=is_whence or _says_models(key))
            says_so = _says_models(key) or any(map(is_renamed, apart))
            others = {n: rows for n, rows in apart.items() if not _is_nobody(n) and not is_told(n)}
            fits = {
                name: rows
                for name, rows in others.items()
                if is_renamed(name) or _counts(key, name)
            }
            is_of_models = bool(fits) or not _OF_MODELS.isdisjoint(key.split("_"))
            if says_so and is_of_models and all(n in fits or family_name(n) for n in others):
                fits = others
            if not says_so and 2 * sum(fits.values()) < total:
                fits = {
                    name: rows
                    for name, rows in fits.items()
                    if is_whence and (is_in_full(name) or is_machine(name))
                }
            if not fits:
                continue
            rows = min(sum(fits.values()), self.rows)
            names = tuple(sorted(fits, key=lambda name: (-fits[name], name)))
            kind: MarkKind = "generator" if says_so else "named"
            yield Mark(kind, column, names, rows, self.rows), fits if says_so else {}


def _says_models(key: str) -> bool:
    """Return whether a column's name says, or may say, that it names models."""
    return key in WRITERS or key in MAY_BE or not _OF_MODELS.isdisjoint(key.split("_"))


def _says_whence(key: str) -> bool:
    return not _WHENCE.isdisjoint(key.split("_"))


def _counts(key: str, name: str) -> bool:
    """Return whether a name counts in a column, whatever else stands there."""
    if key in WRITERS or (is_machine(name) and (_says_whence(key) or _says_models(key))):
        return True
    if known_name(name) is not None or (key in MAY_BE and looks_like_a_model(name)):
        return True
    if _says_whence(key) and (met := family_name(name)):
        return not met[1] and name.strip().lower() != "gpt"  # which is a role in ShareGPT's chats
    found = family_name(name) if _says_models(key) else None
    return found is not None and (not found[1] or "llm" in key.split("_"))


def _is_nobody(name: str) -> bool:
    return is_nothing(name) or name.strip().lower() in _PEOPLE


def _named_within(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path of a key, name) of keys in a value that say who wrote something."""
    waiting = [(value, path, 0)]
    while waiting:
        item, place, depth = waiting.pop()
        if depth > _DEEPEST:
            continue
        if isinstance(item, list):
            waiting += [(each, place, depth + 1) for each in item]
        elif isinstance(item, dict):
            for key, each in item.items():
                name = plain_name(str(key))
                if _says_models(name) or _says_whence(name):
                    for text in names_in(each):
                        yield f"{place}.{key}", text
                if isinstance(each, list | dict):
                    waiting.append((each, f"{place}.{key}", depth + 1))
