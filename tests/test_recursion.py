"""Nothing recurses over the depth of data: who calls itself is listed here, with what bounds it."""

import ast
from pathlib import Path

import pytest

import mashbill

SOURCE = Path(mashbill.__file__).parent

OF_ANSWERS = "brackets in one another, of which verifiers/maths/tokens.py takes _DEEPEST"
BOUNDED = {
    "verifiers/code/answering.py _value": "what core/parsing.py read outside: its depth",
    "verifiers/code/answering.py _written": "_DEEPEST values in one another, then ValueError",
    "verifiers/code/answering.py _written_whole": "the same",
    "verifiers/code/published.py _keyed": "its argument left, from 40",
    "verifiers/code/published.py in_our_keys": "core/parsing.py's; who calls it catches more",
    "verifiers/code/values.py _text": "what core/parsing.py read, or flaw() found no fault with",
    "verifiers/code/values.py number": "the parts of a complex number, which are none",
    "verifiers/code/values.py _real": "the same",
    "verifiers/code/filter.py _halved": "half of what is left: a table of the package",
    "stages/marks/model_names.py known_name": "what is left is shorter, of _LONGEST letters",
    "run/measuring.py left_out": "measures of a manifest, which core/parsing.py read: its depth",
    "conduct/logs/otel.py _value": "_DEEPEST values in one another, then None",
    "files/tables.py _each": "types that _plain took: _NESTED of them",
    "files/tables.py _plain": "_NESTED types in one another, then ValueError",
    "files/tables.py _written_out": "types that _plain took: _NESTED of them",
    "core/canonical.py plain_value": "_NESTED lists inside each other, then TypeError",
    "core/patterns.py _measure": "_DEEPEST groups in one another, then PatternError",
    "core/patterns.py _repeats": "groups that _measure has gone through: _DEEPEST",
    "core/patterns.py _write": "groups that _measure has gone through: _DEEPEST",
    "lineage/exports/card.py _yaml": "the front matter that the module itself writes: four levels",
    "policy/house.py _recorded": "_NESTED levels of facts, then InputError",
    "policy/model_names.py _by_rules": "what stands behind ft: has no colon, so it is no such name",
    "publish/rows.py _plain": "_NESTED levels of a value, then ValueError",
    "prompts/holding.py _key": "levels: parsing.DEEPEST of a schema, structure._DEEPEST of values",
    "run/measuring.py agree": "measures of a manifest, which core/parsing.py read: its depth",
    "stages/by_verifier.py add_counts": "counts that verifiers write themselves: six levels",
    **dict.fromkeys(
        (
            f"workspace/kinds.py {name}"
            for name in ("_bounds", "_keys", "_of", "_tables", "_toml", "_words")
        ),
        "types of specs of this program and of plugins: as deep as somebody wrote them",
    ),
    "workspace/contents.py _type": "types of a Parquet file's schema, which Arrow has read",
    "run/measuring.py add_measures": "measures that stages write themselves: two levels",
    "files/tables.py _elements": "100 types in one another, refused before (_plain)",
    "teachers/fake_json.py value": "twice _DEEPEST: nothing is drawn below",
    "teachers/fake_json.py _object": "twice _DEEPEST: nothing is drawn below",
    "client/wire/openai_chat.py _content": "one level: thoughts are only read if they are flat",
    "client/wire/schemas.py _mapped": "_NESTED levels of a schema, then WireError",
    "verifiers/maths/comparing.py _of_two_kinds": OF_ANSWERS,
    "verifiers/maths/comparing.py _ordered": OF_ANSWERS,
    "verifiers/maths/comparing.py _same": OF_ANSWERS,
    "verifiers/maths/comparing.py _unordered": OF_ANSWERS,
    "verifiers/maths/forms.py _bracketed": OF_ANSWERS,
    "verifiers/maths/forms.py _equations": "the same",
    "verifiers/maths/forms.py _form": OF_ANSWERS,
    "verifiers/maths/forms.py _matrix": OF_ANSWERS,
    "verifiers/maths/forms.py _relation": OF_ANSWERS,
    "verifiers/maths/reading.py _argument": "_DEEPEST primaries in one another, then TooHardError",
    "verifiers/maths/reading.py _exponent": "_DEEPEST primaries in one another, then TooHardError",
    "verifiers/maths/reading.py _function": "_DEEPEST primaries in one another, then TooHardError",
    "verifiers/maths/reading.py _one": "_DEEPEST primaries in one another, then TooHardError",
    "verifiers/maths/reading.py _power": "_DEEPEST primaries in one another, then TooHardError",
    "verifiers/maths/reading.py _primary": "_DEEPEST primaries in one another, then TooHardError",
    "verifiers/maths/reading.py _product": "_DEEPEST primaries in one another, then TooHardError",
    "verifiers/maths/reading.py _root": "_DEEPEST primaries in one another, then TooHardError",
    "verifiers/maths/reading.py expression": "_DEEPEST primaries in one another, then TooHardError",
    "verifiers/maths/exact.py _to_whole": "once, for the power of the other sign",
    "verifiers/maths/exact.py inverse": "once, for a product that is one term",
}
"""file and function -> what bounds its recursion, other than how deep data go"""

DELEGATING = {
    "verifiers/code/bubblewrap.py close": "of the warm processes that it holds",
    "core/chat.py value": "of the turns, calls and blocks that it holds: three levels of types",
    "client/limits.py wait": "of the buckets of a limiter",
    "client/transport.py send": "of the service in this process that an address names",
    "client/order.py deliver": "of those who wait for an order",
    "client/order.py fail": "of those who wait for an order",
    "lineage/duties/decisions.py as_json": "of the decisions and the licence that it holds",
    "lineage/duties/obligations.py as_json": "of the duties that it holds",
    "plan.py as_json": "of the stages that it holds",
    "report/comparing.py as_json": "of the measures, values and differences that it holds",
    "report/rewards.py as_json": "of the pass rates that it holds",
    "stages/writing/work.py ask": "of a teacher's session",
    "train/grpo.py asks": "of the verifiers that it names",
    "train/on_policy_learning.py begin": "of the scorer that it asks, which is another class",
    "train/rewarded.py states": "of the model that it computes with",
    "teachers/student.py load": "of the trainer whose model it is",
    "verifiers/rubric.py addresses": "of the parts that it holds, which are no rubrics",
    "verifiers/judge/spec.py check": "of the prompt that it holds",
    "verifiers/rubric.py caveats": "of the parts that it holds, which are no rubrics",
    "verifiers/rubric.py asks": "of the parts that it holds, which are no rubrics",
    "verifiers/rubric.py renamed": "of the parts that it holds, which are no rubrics",
    "verifiers/rubric.py files": "of the parts that it holds, which are no rubrics",
    "verifiers/rubric.py reads": "of the parts that it holds, which are no rubrics",
    "workspace/planned.py as_json": "of the plan that it holds",
    "workspace/billed.py as_json": "of the lines and verdicts that it holds",
    "report/data/profile.py as_json": "of the columns, languages and stages that it holds",
    "workspace/compared.py as_json": "of the sides and bills that it holds",
    "workspace/overlapping.py as_json": "of the columns that it holds",
    "workspace/proven.py as_json": "of the lines and verdicts that it holds",
    "workspace/questions.py trace": "of the lineage, which walks",
    "workspace/removed.py as_json": "of the artifacts, the rebuild and the plan that it holds",
}
"""file and method -> whose method of the same name it calls: that of another class"""

LOOPING = {
    "client/batch_lane.py": {"pump", "_gather", "_submit", "_run_batch", "_made", "_watch",
                              "_let_go", "_resume", "_seek"},
    "client/lane.py": {"pump", "_send", "_again"},
    "run/worker.py": {"run", "_do", "_stage_of"},
}  # fmt: skip
"""file -> what goes round by tasks, timers or threads, each on a stack of its own"""


def functions(tree):
    """Yield (scopes that it stands in, node, whether it is a method) of every function."""
    waiting = [(tree, (), False)]
    while waiting:
        node, scopes, in_class = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield scopes, child, in_class
                waiting.append((child, (*scopes, child.name), False))
            elif isinstance(child, ast.ClassDef):
                waiting.append((child, (*scopes, child.name), True))
            else:
                waiting.append((child, scopes, in_class))


def named_in(scopes, function, in_class, known):
    """Yield which of the known functions one may call: by name, or as a method of an object."""
    own = {arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)}
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    own |= {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    visible = (*scopes[:-1], *scopes[-1:] * (not in_class), function.name)
    for node in names:
        inner = [(*visible[:end], node.id) for end in range(len(visible), -1, -1)]
        met = next((place for place in inner if place in known), None)
        if met is not None and node.id not in own:
            yield met
    called = {id(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
    for node in ast.walk(function):
        if not (in_class and isinstance(node, ast.Attribute)):
            continue
        of = node.value.id if isinstance(node.value, ast.Name) else ""
        # The same method of another object, which may be of this class; a module is none.
        other = of in own and node.attr == function.name and id(node) in called
        if of in {"self", "cls"} or other:
            yield (*scopes, node.attr)


def recursive(tree):
    """Return the functions of a module that may come to call themselves, directly or by others."""
    all_of = list(functions(tree))
    known = {(*scopes, node.name) for scopes, node, _ in all_of}
    leads = {}
    for scopes, node, in_class in all_of:
        met = leads.setdefault((*scopes, node.name), set())
        met |= set(named_in(scopes, node, in_class, known))
    found = set()
    for start, first in leads.items():
        waiting, seen = [*first], set()
        while waiting:
            at = waiting.pop()
            if at in leads and at not in seen:
                seen.add(at)
                waiting += leads[at]
        if start in seen:
            found.add(start[-1])
    return found


def test_who_calls_itself_is_bounded_by_something_else_than_data():
    found = {
        f"{path.relative_to(SOURCE).as_posix()} {name}"
        for path in sorted(SOURCE.rglob("*.py"))
        for name in recursive(ast.parse(path.read_text("utf-8")))
    }
    looping = {f"{file} {name}" for file, names in LOOPING.items() for name in names}
    allowed = BOUNDED.keys() | DELEGATING.keys() | looping
    assert found - allowed == set(), "walk with a list of what waits, or say here what bounds it"
    assert allowed - found == set(), "these no longer call themselves"


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n return f(x)",
        "def f(x):\n return [f(y) for y in x]",
        "def f(x):\n return map(f, x)",
        "def f(x):\n return g(x)\ndef g(x):\n return f(x)",
        "def outer():\n def f(x):\n  return f(x)\n return f",
        "class A:\n def f(self):\n  return self.g()\n def g(self):\n  return self.f()",
        "class A:\n def f(self):\n  return [other.f() for other in self.parts]",
        "class A:\n @classmethod\n def f(cls):\n  return cls.f()",
    ],
)
def test_recursion_is_seen(text):
    assert "f" in recursive(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n return g(x)\ndef g(x):\n return x",
        "class A:\n def f(self):\n  return self.inner.f()",
        "class A:\n def f(self):\n  return super().f()",
    ],
)
def test_what_calls_another_is_none(text):
    assert recursive(ast.parse(text)) == set()
