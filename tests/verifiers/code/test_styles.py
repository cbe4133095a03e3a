"""Programs and tests as the world writes them: what is right is paid, what tries nothing is not.

The forms of tests are those of the sources that :mod:`mashbill.verifiers.code.published` names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mashbill.core.verifier import Case, Score
from mashbill.verifiers.code.finding import program_in
from mashbill.verifiers.code.spec import ACCEPTED, Code, CodeSpec
from mashbill.verifiers.code.suites import read

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def code() -> Code:
    return CodeSpec(kind="code", forgeable=True).load(Path(), Path(), 2)


@pytest.fixture(scope="module")
def bare() -> Code:
    spec = CodeSpec(kind="code", sandbox="none", without_isolation=ACCEPTED, forgeable=True)
    return spec.load(Path(), Path(), 2)


def _score(code: Code, output: str, tests: Any) -> Score:
    [score] = code.score([Case(output, None, {"tests": tests})])
    return score


def _calls(*calls: dict[str, Any], function: str = "f") -> str:
    return json.dumps({"function": function, "calls": calls})


_DOUBLE = _calls({"args": [2], "expected": 4})

CALLED = {
    "types without their import": (
        "def f(x: List[int], y: Optional[Dict[str, int]] = None) -> int:\n    return x[0] * 2",
        _calls({"args": [[2]], "expected": 4}),
    ),
    "a method of Solution that imports nothing": (
        "class Solution:\n    def f(self, n: int) -> int:\n        seen = defaultdict(int)\n"
        "        q = deque([n])\n        heapq.heapify([]); seen[n] = math.gcd(n, 4)\n"
        "        return q.pop() + seen[n]", _calls({"args": [2], "expected": 4}),
    ),
    "a method whose name is imported as well": (
        "from math import *\nclass Solution:\n    def gcd(self, x): return x * 2",
        _calls({"args": [2], "expected": 4}, function="gcd"),
    ),
    "a method whose name is lent": (
        "class Solution:\n    def product(self, x): return x * 2",
        _calls({"args": [2], "expected": 4}, function="product"),
    ),
    "a function over a method": (
        "class Solution:\n    def f(self, x): return 0\ndef f(x): return x * 2", _DOUBLE
    ),
    "a function in a name": ("f = lambda x: x * 2", _DOUBLE),
    "a partial": ("from functools import partial\nfrom operator import mul\nf = partial(mul, 2)", _DOUBLE),
    "deep recursion": (
        "def f(n): return 0 if n == 0 else 1 + f(n - 1)", _calls({"args": [20000], "expected": 20000})
    ),
    "deep recursion in a cache": (
        "import sys\nfrom functools import cache\nsys.setrecursionlimit(10 ** 6)\n@cache\n"
        "def f(n): return 0 if n == 0 else 1 + f(n - 1)",
        _calls({"args": [50000], "expected": 50000}),
    ),
    "a limit on the stack that is raised": (
        "import resource\nresource.setrlimit(resource.RLIMIT_STACK, (1 << 26, -1))\n"
        "def f(x): return x * 2", _DOUBLE,
    ),
    "a thread with a large stack": (
        "import sys, threading\nthreading.stack_size(1 << 27)\nsys.setrecursionlimit(1 << 20)\n"
        "def g(n): return 0 if n == 0 else 1 + g(n - 1)\ndef f(x):\n    out = []\n"
        "    t = threading.Thread(target=lambda: out.append(g(30000)))\n    t.start(); t.join()\n"
        "    return out[0] and x * 2", _DOUBLE,
    ),
    "a pool of threads": (
        "from concurrent.futures import ThreadPoolExecutor\nimport time\n"
        "def f(x):\n    with ThreadPoolExecutor(12) as pool:\n"
        "        return sum(pool.map(lambda i: time.sleep(0.01) or len(bytearray(100)), range(40))) // 1000",
        _DOUBLE,
    ),
    "a demo at its end": ("def f(x): return x * 2\nprint('f(3) =', f(3))\nif __name__ == '__main__': exit()", _DOUBLE),
    "a decimal": ("from decimal import Decimal\ndef f(x): return Decimal('0.5')", _calls({"args": [1], "expected": 0.5})),
    "a fraction": ("from fractions import Fraction\ndef f(x): return Fraction(8, 2)", _DOUBLE),
    "minus nothing": ("def f(): return -0.0", _calls({"expected": 0})),
    "a tuple in a set that is given": (
        "def f(x): return sorted(x)[0][1]", _calls({"args": [{"$set": [[1, 4], [2, 3]]}], "expected": 4})
    ),
    "a tuple as a key that is given": (
        "def f(x): return x[1, 2]", _calls({"args": [{"$map": [[[1, 2], 4]]}], "expected": 4})
    ),
    "a map of floats, summed otherwise": (
        "def f(n): return {i: sum([i / 10] * 3) for i in range(n)}",
        _calls({"args": [1000], "expected": {"$map": [[i, 3 * i / 10] for i in range(1000)]}}),
    ),
    "a subclass of what it should raise": (
        "def f(): return {}['x']", _calls({"raises": "LookupError"})
    ),
    "as much as tests can expect": (
        "def f(n): return ['é\"' * n]", _calls({"args": [100000], "expected": ['é"' * 100000]})
        .replace("\\u00e9", "é"),
    ),
    "a number of many digits, in decimal": (
        "def f(): return 10 ** 30", _calls({"expected": {"$int": "1" + "0" * 30}})
    ),
    "a mark at the beginning": ("\ufeffdef f(x): return x * 2", _DOUBLE),
    "a text with a separator of lines in it": (
        "```python\ndef f(): return len('a\u2028b\x0cc')\n```", _calls({"expected": 5})
    ),
}  # fmt: skip
"""what it is -> a program that is right, its tests"""


def _run(stdin: str, stdout: str) -> str:
    return json.dumps({"runs": [{"stdin": stdin, "stdout": stdout}]})


RUN = {
    "bytes of standard input": ("import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))", _run("1 2", "3")),
    "lines of bytes": (
        "import sys\nr = sys.stdin.buffer.readline\nn = int(r())\nprint(sum(int(r()) for _ in range(n)))",
        _run("2\n1\n2", "3"),
    ),
    "a peek at standard input": ("import sys\nprint(sys.stdin.buffer.peek(1)[:1].decode())", _run("7", "7")),
    "file 0": ("print(sum(map(int, open(0).read().split())))", _run("1 2\n", "3")),
    "standard input as a file": ("print(sum(map(int, open('/dev/stdin'))))", _run("1\n2", "3")),
    "a whole number with a point": ("print('3.0 4')", _run("", "3 4")),
    "a read of file 0": ("import os\nprint(sum(map(int, os.read(0, 1 << 16).split())))", _run("1 2", "3")),
    "lines of Windows": ("print(input() + input())", _run("a\r\nb\r\n", "ab")),
    "no line at the end": ("import sys\nprint(len(list(sys.stdin)))", _run("a\nb", "2")),
    "output of Windows": ("print('a\\r\\nb\\r')", _run("", "a\nb")),
    "an end before the end": ("print(3)\nexit()\nprint(4)", _run("", "3")),
    "a quit": ("print(3)\nquit(0)", _run("", "3")),
    "a main that starts a thread and does not wait": (
        "import sys, threading, time\nsys.setrecursionlimit(10 ** 6)\nthreading.stack_size(1 << 26)\n"
        "def main():\n    time.sleep(0.1)\n    print(3)\nthreading.Thread(target=main).start()",
        _run("", "3"),
    ),
    "what is written at the end": (
        "import atexit, io, sys\nbuffer = io.StringIO()\nsys.stdout = buffer\n"
        "atexit.register(lambda: sys.__stdout__.write(buffer.getvalue()))\nprint(3)", _run("", "3"),
    ),
    "a fast reader and writer": (
        "import os, sys, io\nclass Fast(io.IOBase):\n    def __init__(self, file):\n"
        "        self.fd = file.fileno()\n        self.buffer = io.BytesIO()\n"
        "        self.writable = 'x' in file.mode or 'r' not in file.mode\n"
        "        self.write = self.buffer.write if self.writable else None\n"
        "    def read(self): return os.read(self.fd, max(os.fstat(self.fd).st_size, 8192))\n"
        "    def flush(self):\n        if self.writable: os.write(self.fd, self.buffer.getvalue())\n"
        "given, sys.stdout = Fast(sys.stdin), Fast(sys.stdout)\n"
        "sys.stdout.write(b'%d' % (int(given.read()) + 1))", _run("2", "3"),
    ),
    "a closed standard output": ("import sys\nprint(3)\nsys.stdout.close()", _run("", "3")),
    "bytes of standard output": ("import sys\nsys.stdout.buffer.write(b'3')", _run("", "3")),
    "lines before it": ("print('\\n\\n 3')", _run("", "3")),
    "letters of other scripts": ("print(input()[::-1])", _run("مرحبا👍", "👍ابحرم")),
    "a million characters": ("print('é' * 400000)", json.dumps(
        {"runs": [{"stdout": "é" * 400000}]}, ensure_ascii=False
    )),
    "much that is read": ("import sys\nprint(len(sys.stdin.read()))", json.dumps(
        {"runs": [{"stdin": "é" * 400000, "stdout": "400000"}]}, ensure_ascii=False
    )),
}  # fmt: skip


@pytest.mark.parametrize("name", [*CALLED, *RUN])
def test_what_is_right_is_paid(code: Code, name: str) -> None:
    score = _score(code, *{**CALLED, **RUN}[name])
    assert score.value == 1.0, score


@pytest.mark.parametrize("name", [*list(CALLED)[:4], *list(RUN)[9:12]])
def test_what_is_right_is_paid_without_isolation(bare: Code, name: str) -> None:
    score = _score(bare, *{**CALLED, **RUN}[name])
    assert score.value == 1.0, score


WRONG = {
    "a half for a whole": ("def f(n): return n / 2", _calls({"args": [2000000001], "expected": 1000000000})),
    "a function that is not there for its NameError": ("x = 1", _calls({"raises": "NameError"})),
    "a method that is not there": ("class Solution: pass", _calls({"raises": "AttributeError"})),
    "a name that is lent for a function": ("x = 1", _calls({"args": [[1, 2]], "expected": 2}, function="prod")),
    "a float that lost digits": ("def f(): return float(10 ** 18)", _calls({"expected": 10 ** 18 + 1})),
    "a number that lost digits": ("print('10000000000000000.0')", _run("", "10000000000000001")),
    "a number with a point that is no whole one": ("print(3.0000000000001)", _run("", "3")),
    "zeros before a text of digits": ("print('0011')", _run("", "11")),
    "digits of other scripts": ("print('\uff13.0')", _run("", "3.0")),
    "an exception that it is no kind of": ("def f(): return {}['x']", _calls({"raises": "IndexError"})),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_not(code: Code, name: str) -> None:
    score = _score(code, *WRONG[name])
    assert score.value == 0.0, score


_ADD = "def add(a, b):\n    return a + b"
_SUM = "a, b = map(int, input().split())\nprint(a + b)"

PUBLISHED = {
    "HumanEval": (_ADD, {
        "test": "\n\nMETADATA = {\n    'author': 'x'\n}\n\n\ndef check(candidate):\n    assert candidate(1, 2) == 3\n\n",
        "entry_point": "add",
    }),
    "HumanEval, called at its end": (_ADD, "def check(candidate):\n    assert candidate(1, 2) == 3\n\ncheck(add)"),
    "MBPP": (_ADD, {
        "test_list": ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"], "test_setup_code": "",
        "challenge_test_list": [],
    }),
    "MBPP, with imports": (_ADD, {
        "test_list": ["assert math.isclose(add(1, 2), 3)"], "test_imports": ["import math"],
    }),
    "the tests of MBPP alone": (_ADD, ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]),
    "APPS, runs": (_SUM, {"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}),
    "APPS, runs of lines": (_SUM, {"inputs": [["1 2"]], "outputs": [["3"]]}),
    "APPS, calls": (_ADD, {"fn_name": "add", "inputs": [[1, 2], [3, 4]], "outputs": [[3], [7]]}),
    "TACO, calls": (_ADD, {"fn_name": "add", "inputs": [[1, 2], [3, 4]], "outputs": [3, 7]}),
    "a list of one that is the value": (
        "def add(a, b):\n    return [a + b]", {"fn_name": "add", "inputs": [[1, 2]], "outputs": [[3]]}
    ),
    "lists of some lengths": (
        "def add(a, b):\n    return [a + b] * a",
        {"fn_name": "add", "inputs": [[1, 2], [2, 2]], "outputs": [[3], [4, 4]]},
    ),
    "numbers as keys, of which JSON makes texts": (
        "def add(d):\n    return {key: value + 1 for key, value in d.items() if key < 3}",
        {"fn_name": "add", "inputs": [[{"1": 2, "3": 4}]], "outputs": [{"1": 3}]},
    ),
    "CodeContests": (_SUM, {"input": ["1 2\n", "3 4\n"], "output": ["3\n", "7\n"]}),
    "LiveCodeBench, runs": (_SUM, [{"input": "1 2", "output": "3", "testtype": "stdin"}]),
    "LiveCodeBench, calls": (
        "class Solution:\n    def add(self, a: List[int], b: str) -> str:\n        return b + str(sum(a))",
        {"inputs": ['[1, 2]\n"x"', '[]\n"y"'], "outputs": ['"x3"', '"y0"'], "fn_name": "add"},
    ),
    "DeepCoder, calls": (_ADD, [
        {"input": "1\n2", "output": "3", "testtype": "functional", "metadata": {"func_name": "add"}}
    ]),
    "SYNTHETIC-1, runs": (_SUM, {
        "language": "python", "test_cases": [{"type": "stdin_stdout", "input": "1 2", "output": "3"}],
    }),
    "SYNTHETIC-1, calls": (_ADD, {
        "language": "python",
        "test_cases": json.dumps([
            {"type": "function_call", "fn_name": "add", "input": [1, 2], "output": 3}
        ]),
    }),
    "inputs and outputs that are a text": (_SUM, {"test_cases": json.dumps({"inputs": ["1 2"], "outputs": ["3"]})}),
    "a module of pytest that imports the solution": (_ADD, "from solution import add\n\ndef test_add():\n    assert add(1, 2) == 3\n"),
    "unittest": (_ADD, (
        "import unittest\nclass TestCases(unittest.TestCase):\n    def test_add(self):\n"
        "        self.assertEqual(add(1, 2), 3)\nif __name__ == '__main__':\n    unittest.main()"
    )),
    "unittest, run at its end": (_ADD, (
        "import unittest\nclass Adding(unittest.TestCase):\n    def test_add(self):\n"
        "        self.assertEqual(add(1, 2), 3)\nunittest.main()"
    )),
    "a class of tests": (_ADD, "class TestAdd:\n    def test_add(self):\n        assert add(1, 2) == 3"),
    "a function that is called test": (_ADD, "def test():\n    assert add(1, 2) == 3"),
    "asserts in a loop": (_ADD, "for n in ['a', 'b']: assert add(n, n) == n * 2"),
    "a program with tests of its own": (
        _ADD + "\ndef test_add(x): assert False", "def test_it():\n    assert add(1, 2) == 3"
    ),
}  # fmt: skip
"""what it is -> a program that is right, tests"""


@pytest.mark.parametrize("name", PUBLISHED)
def test_tests_of_published_sets_are_read_as_they_are(code: Code, name: str) -> None:
    program, tests = PUBLISHED[name]
    right = _score(code, program, tests if isinstance(tests, str | list) else json.dumps(tests))
    assert right.value == 1.0, right
    assert _score(code, program, tests).value == 1.0
    nothing = _score(code, "def other(): pass\nclass Solution: pass", tests)
    assert nothing.value == 0.0, nothing


UNFIT = {
    "check without what it checks": ("def check(candidate):\n    assert candidate(1) == 1", "try nothing"),
    "functions that nobody calls": ("def verify():\n    assert f() == 1", "try nothing"),
    "a text of JSON": ('"assert f() == 1"', "try nothing"),
    "packed tests": ("eJxrYJmaxAABtVOeMAAAK2QDtw==", "try nothing"),
    "a comment": ("# assert f() == 1", "try nothing"),
    "pytest": ("import pytest\ndef test_f():\n    assert f() == 1", "import 'pytest'"),
    "numpy": ("def test_f():\n    from numpy.testing import assert_equal\n    assert f() == 1", "import 'numpy'"),
    "another language": ({"language": "cpp", "test_cases": []}, "language is 'cpp'"),
    "calls without a function": ([{"input": "1", "output": "1", "testtype": "functional"}], "set fn_name"),
    "two kinds": ([
        {"input": "1", "output": "1", "testtype": "functional"}, {"input": "1", "output": "1", "type": "stdin"}
    ], "more kinds"),
    "other lengths": ({"inputs": ["1"], "outputs": ["1", "2"]}, "not as many"),
    "a line that is no JSON": (
        {"fn_name": "f", "inputs": ["1", "[1"], "outputs": ["1", "1"]}, "inputs[1]: line 1"
    ),
    "a list in test_list that is no text": ({"test_list": [1]}, "no text"),
    "a key that is a list with an object": (_calls({"args": [{"$map": [[{"a": 1}, 2]]}], "expected": 1}), "calls[0]: an object can be no"),
    "a set of objects": (_calls({"args": [], "expected": {"$set": [{"a": 1}]}}), "calls[0]: an object can be no"),
    "a member twice": (_calls({"expected": {"$set": [1, 2, 1]}}), "there twice"),
    "a key twice": (_calls({"expected": {"$map": [[1, 2], [1, 3]]}}), "there twice"),
    "a whole number without its digits": (_calls({"expected": {"$int": "12f"}}), "no value of '$int'"),
    "a complex number of a number without end": (
        _calls({"expected": {"$complex": [{"$int": "0x" + "f" * 2000}, 0]}}), "no value of '$complex'"
    ),
    "a complex number of one part": (_calls({"expected": {"$complex": [1]}}), "no value of '$complex'"),
    "a date": ({"function": "f", "calls": [{"args": [Path()], "expected": 1}]}, "calls[0]: a value is PosixPath"),
    "bytes": ({"function": "f", "calls": [{"expected": b"x"}]}, "calls[0]: a value is bytes"),
    "a whole number of thousands of digits": (
        {"function": "f", "calls": [{"args": [10**5000], "expected": 1}]}, "calls[0]: a whole number"
    ),
    "half of a character": ({"function": "f", "calls": [{"args": ["\ud83d"], "expected": 1}]}, "half of a character"),
    "half of a character in a run": ({"runs": [{"stdin": "\ud83d", "stdout": ""}]}, "runs[0]"),
    "names that are no texts": ({"function": "f", "calls": [{"kwargs": {(1,): 1}, "expected": 1}]}, "kwargs that"),
    "keys that are no texts": ({1: 2, "x": 3}, "the keys '1', 'x'"),
    "a call with keys that are no texts": ({"function": "f", "calls": [{1: 2, "x": 3}]}, "calls[0] has the key"),
}  # fmt: skip


def _nested(depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = [inner]
    return inner


UNFIT["nested deeply"] = (
    {"function": "f", "calls": [{"expected": _nested(60)}]}, "calls[0]: values are nested deeper"
)  # fmt: skip
UNFIT["nested without end"] = (
    {"function": "f", "calls": [{"expected": _nested(100000)}]}, "calls[0]: values are nested deeper"
)  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_what_is_wrong_with_tests_is_no_fault_of_a_program(code: Code, name: str) -> None:
    tests, why = UNFIT[name]
    score = _score(code, "def f(x=1): return 1", tests)
    assert score.outcome == "failed", score
    assert why in score.reason


OUTPUTS = {
    "a fence in a list": ("1. So:\n\n    ```python\n    def f():\n        pass\n    ```\n", "def f():\n    pass"),
    "an example in a fence of no language": ("```python\ndef f(): pass\n```\nGives:\n```\n1 2\n```", "def f(): pass"),
    "a fence with a name of a file": ("```python:f.py\ndef f(): pass\n```", "def f(): pass"),
    "a fence of pandoc": ("```{python}\ndef f(): pass\n```", "def f(): pass"),
    "a fence of Python 3": ("```Python3 title=x\ndef f(): pass\n```", "def f(): pass"),
    "thoughts that close no fence": (
        "<think>```python\ndef f(): 1\n</think>\n```python\ndef f(): pass\n```", "def f(): pass"
    ),
    "a name that is bound": ("```python\nf = abs\n```\n```python\nprint(f(1))\n```", "f = abs"),
    "a program with a fence in it": (
        "def f():\n    '''\n    ```\n    x\n    ```\n    '''\n", "def f():\n    '''\n    ```\n    x\n    ```\n    '''\n"
    ),
    "a class with a method": (
        "```python\nclass Solution:\n    def f(self): pass\n```\n```python\nprint(1)\n```",
        "class Solution:\n    def f(self): pass",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_program_in_an_output_of_the_world(name: str) -> None:
    output, program = OUTPUTS[name]
    assert program_in(output, "f") == program


def test_a_suite_tells_which_fence_is_meant() -> None:
    output = f"```python\n{_ADD}\n```\nUse it:\n```python\nprint(add(1, 2))\n```"
    for tests in (
        "assert set([add(1, 2)]) == {3}",
        "from solution import add\ndef test(): assert add",
    ):
        suite = read(tests)
        assert suite is not None
        assert program_in(output, suite.about) == _ADD
