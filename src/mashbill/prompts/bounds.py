"""Jinja's sandbox, bounded: what a prompt of a stranger's recipe may make, and in what size.

Jinja's own refuses what is unsafe and bounds one range. Here nothing is called but ``range``,
nothing is drawn at random, nothing is worked out while a template is read, and whatever a template
works through while it is filled (turns of loops, what is put together, cut out, compared or looked
up, what filters and tests are given) is counted: past a bound it stops. What is null is written as
nothing, lists and objects as JSON, and what has no text of its own is refused: a teacher would be
sent Python's spelling of it. Behind the dot of an object stands a key of it, never a method.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.visitor import NodeTransformer

from mashbill.core.cells import is_missing
from mashbill.prompts.nested import Cell, CellMissing, lacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LONGEST = 1_000_000
"""characters that a prompt comes to at most, and characters or items that a product may have"""
_MOST = 4 * LONGEST  # characters and items that filling one prompt may work through
_LARGEST = 4096  # bits of a whole number
_WITHOUT = (
    "batch", "center", "format", "indent", "pprint", "random", "round", "slice", "urlize",
    "wordwrap", "xmlattr",
)  # fmt: skip
_OF_TEXT = frozenset(
    {
        "capitalize", "e", "escape", "forceescape", "lower", "replace", "string", "striptags",
        "title", "trim", "truncate", "upper", "urlencode", "wordcount",
    }
)  # fmt: skip
"""filters of text: they would write a null as None, and a list as Python does"""
_OF_LISTS = frozenset(
    {"groupby", "map", "reject", "rejectattr", "select", "selectattr", "sort", "unique"}
)
"""filters that would take a text for the list of its characters"""
_COUNTED, _HEAVY, _CUT = "_counted", "_heavy", "_cut"


class _Spent(threading.local):
    """What filling the prompt at hand has worked through; slices are filled in threads."""

    size = 0


_SPENT = _Spent()


def _spend(size: int) -> None:
    _SPENT.size += size
    if _SPENT.size > _MOST:
        msg = f"it works through more than {_MOST:,} characters and items"
        raise SecurityError(msg)


def _weigh(*values: Any) -> None:
    """Spend as much as it would take to write these values out: lists may share their parts."""
    left = list(values)
    while left:
        value = left.pop()
        if isinstance(value, str | bytes | range):
            _spend(len(value) + 1)
        elif isinstance(value, dict):
            _spend(len(value) + 1)
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            _spend(len(value) + 1)
            left += value
        elif isinstance(value, int) and value.bit_length() > _LARGEST:
            msg = f"a whole number of more than {_LARGEST:,} bits is too much"
            raise SecurityError(msg)
        else:
            _spend(1)


class _Bounding(NodeTransformer):
    """Puts the counting into a parsed template, and refuses what gathers text unseen."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the visitor's own name
        """Count a loop's turns."""
        if node.recursive:
            return _refuse("a recursive loop", node)
        self.generic_visit(node)
        node.iter = _filtered(node.iter, _COUNTED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        """Let ``a ~ b`` be a join, which is bounded."""
        self.generic_visit(node)
        listed = nodes.List(node.nodes, lineno=node.lineno, environment=node.environment)
        return _filtered(listed, "join")

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        """Count what is compared, or looked for in something."""
        self.generic_visit(node)
        node.expr = _filtered(node.expr, _HEAVY)
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, _HEAVY)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802
        """Count the keys of a dictionary: tuples may share their parts."""
        self.generic_visit(node)
        node.key = _filtered(node.key, _HEAVY)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        """Let ``a[1:2]`` be a filter, which counts what it cuts out."""
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        ends = [
            end or nodes.Const(None, lineno=node.lineno, environment=node.environment)
            for end in (node.arg.start, node.arg.stop, node.arg.step)
        ]
        return _filtered(node.node, _CUT, ends)

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:  # noqa: N802
        """Refuse it: what it gathers is seen by nobody."""
        return _refuse("a set block", node)

    def visit_FilterBlock(self, node: nodes.FilterBlock) -> nodes.Node:  # noqa: N802
        """Refuse it for the same reason."""
        return _refuse("a filter block", node)


def _refuse(what: str, node: nodes.Node) -> nodes.Node:
    msg = f"a prompt has no use for {what}"
    raise jinja2.TemplateSyntaxError(msg, node.lineno)


def _filtered(node: Any, name: str, given: list[Any] | None = None) -> nodes.Filter:
    return nodes.Filter(
        node, name, given or [], [], None, None, lineno=node.lineno, environment=node.environment
    )


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of all prompts."""

    intercepted_binops = frozenset({"*", "**", "%", "+", "-", "/", "//"})

    def __init__(self) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
            optimized=False,
            finalize=_shown,
        )
        self.globals = {"range": safe_range}
        for name in _WITHOUT:
            del self.filters[name]
        self.filters |= {
            "join": _join, "replace": _replace, "round": _round, "sum": _sum, "tojson": _json,
        }  # fmt: skip
        for name, made in self.filters.items():
            self.filters[name] = _weighed(made, name)
        for name, test in self.tests.items():
            self.tests[name] = _weighed(test)
        self.filters |= {_COUNTED: _counted, _HEAVY: _heavy, _CUT: _cut}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        _Bounding().visit(parsed)
        return parsed

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Work out a sum, a product or a remainder, unless it would fill the memory."""
        sized = [x for x in (left, right) if isinstance(x, str | bytes | list | tuple)]
        times = [x for x in (left, right) if isinstance(x, int)]
        size = len(sized[0]) * times[0] if sized and times and operator == "*" else 0
        bits = [x.bit_length() for x in times]
        large = operator == "**" or (operator == "%" and bool(sized)) or size > LONGEST
        if large or (sum(bits) if operator == "*" else max(bits, default=0)) > _LARGEST:
            msg = f"{operator} may not be used for this: it would make too much"
            raise SecurityError(msg)
        _spend(size if operator == "*" else sum(map(len, sized)))
        return super().call_binop(context, operator, left, right)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look something up, and count what it is looked up by."""
        _weigh(argument)
        if isinstance(obj, CellMissing):
            return self.undefined(lacks(obj, argument), obj, argument)
        if isinstance(obj, dict | list):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                return self.undefined(lacks(obj, argument), obj, argument)
        return self._no_method(obj, argument, super().getitem(obj, argument))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look up what stands behind a dot: of an object, one of its keys."""
        if isinstance(obj, dict | list | CellMissing):
            return self.getitem(obj, attribute)
        return self._no_method(obj, attribute, super().getattr(obj, attribute))

    def _no_method(self, obj: Any, name: Any, found: Any) -> Any:
        """Return what was found, unless it could only be called, and nothing is."""
        if callable(found) and not isinstance(found, jinja2.Undefined):
            hint = f"{name!r} could only be called; use a filter, as in {{{{ x | upper }}}}"
            return self.undefined(hint, obj, name)
        return found

    def call(self, context: Any, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call ``range``, and nothing else."""
        if called is not safe_range:
            msg = (
                "nothing can be called in a prompt but range(); use a filter, as in "
                "{{ x | upper }} or {% for key, value in x | items %}"
            )
            raise SecurityError(msg)
        return super().call(context, called, *args, **kwargs)


def _shown(value: Any) -> Any:
    """Weigh a value before it is written out, and return its text; null and NaN have none."""
    if is_missing(value):
        return ""
    if not isinstance(value, str):
        _weigh(value)
    return _text(value)


def _text(value: Any) -> str:
    """Return a value as it is written: null as nothing, lists and objects as JSON.

    Raises:
        TemplateRuntimeError: if it has no text: bytes, functions, what a filter has yet to make.
    """
    if value is None:
        return ""
    if isinstance(value, Cell):
        return value.text
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=_own_text)
    return _own_text(value)


def _own_text(value: Any) -> str:
    if isinstance(value, jinja2.Undefined):
        return str(value)  # which raises, and says what is not there
    if isinstance(value, Iterator):
        msg = 'it would write what a filter has yet to make; put | list or | join(", ") behind it'
        raise jinja2.TemplateRuntimeError(msg)
    if isinstance(value, bytes) or callable(value):
        msg = f"it would write {type(value).__name__}, which is no text"
        raise jinja2.TemplateRuntimeError(msg)
    return str(value)


def _no_text(values: Any, what: str) -> Any:
    """Return what is gone through one by one, which is no text: that would be its characters."""
    if isinstance(values, str) and values:
        shown = values if len(values) <= 40 else f"{values[:40]}..."
        msg = (
            f"{what} goes over a list or an object, and {shown!r} is text; put | list behind it "
            "if its characters are meant"
        )
        raise jinja2.TemplateRuntimeError(msg)
    return values


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    for value in _no_text(values, "a loop"):
        _spend(1)
        yield value


def _heavy(value: Any) -> Any:
    _weigh(value)
    return value


def _cut(value: Any, start: Any, stop: Any, step: Any) -> Any:
    wanted = slice(start, stop, step)
    if isinstance(value, str | bytes | list | tuple | range):
        _spend(len(range(*wanted.indices(len(value)))) + 1)
    return value[wanted]


def _weighed(made: Any, name: str = "") -> Callable[..., Any]:
    """Return a filter or test that weighs what it is given, and whose complaints are a template's.

    A filter of texts takes nothing for null, and JSON for a list or an object.
    """
    at = int(hasattr(made, "jinja_pass_arg"))  # where the value stands: behind the environment

    @functools.wraps(made)
    def weighing(*args: Any, **kwargs: Any) -> Any:
        _weigh(*args, *kwargs.values())
        if name in _OF_TEXT:
            missing = ["" if is_missing(arg) else arg for arg in args[: at + 2]]
            args = (*missing, *args[at + 2 :])
            if _is_written(args[at]):
                args = (*args[:at], _text(args[at]), *args[at + 1 :])
        elif name in _OF_LISTS:
            _no_text(args[at], name)
        try:
            return made(*args, **kwargs)
        except AssertionError as error:
            raise jinja2.TemplateRuntimeError(str(error)) from error

    return weighing


def _is_written(value: Any) -> bool:
    return value is None or isinstance(value, list | tuple | dict | bytes | Iterator)


def _fits(size: int, what: str) -> None:
    if size > LONGEST:
        msg = f"{what} would come to more than {LONGEST:,} characters"
        raise SecurityError(msg)
    _spend(size)


def _join(values: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    values = _no_text(values, "join")
    if attribute is not None:
        values = [value[attribute] for value in values]
    texts = ["" if is_missing(value) else _text(value) for value in values]
    _fits(sum(map(len, texts)) + len(texts) * len(between), "join")
    return between.join(texts)


def _replace(value: Any, old: str, new: str) -> str:
    text = _text(value)
    _fits(len(text) + text.count(old) * len(new), "replace")
    return text.replace(old, new)


def _sum(values: Iterable[Any], attribute: str | None = None, start: float = 0) -> float:
    numbers: list[float] = [start, *(value[attribute] if attribute else value for value in values)]
    if not all(isinstance(number, int | float) for number in numbers):
        msg = "sum adds numbers; use join for texts and lists"
        raise SecurityError(msg)
    _weigh(numbers)
    return sum(numbers)


def _round(value: float, precision: int = 0) -> float:
    return round(value, precision)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def begin() -> None:
    """Begin to fill a prompt: nothing is worked through yet."""
    _SPENT.size = 0


def joined(pieces: Iterable[str]) -> str:
    """Return what a template or a block of it makes, piece by piece, without space around it.

    Raises:
        SecurityError: if it is too long, or too much is worked through to make it.
    """
    made, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > LONGEST:
            msg = f"it comes to more than {LONGEST:,} characters"
            raise SecurityError(msg)
        made.append(piece)
    return "".join(made).strip()
