"""Tests as published sets write them, in the keys of this project.

    {"inputs": [...], "outputs": [...], "fn_name": "add"}           APPS, TACO
    {"input": [...], "output": [...]}                               CodeContests
    [{"input": "1 2", "output": "3", "testtype": "stdin"}]          LiveCodeBench; its functional
                                  tests have an argument of JSON a line, and need the function
    [{"type": "function_call", "fn_name": "add", "input": [1, 2], "output": 3}]
    {"language": "python", "test_cases": ...}                       SYNTHETIC-1, open-r1
    {"test": "def check(candidate): ...", "entry_point": "add"}     HumanEval
    {"test_list": ["assert ..."], "test_setup_code": ""}            MBPP

Sources: eval/testing_util.py of hendrycks/apps at b45c0ed; lcb_runner/evaluation/testing_util.py
and lcb_runner/benchmarks/code_generation.py of LiveCodeBench at 15808c7 and 19133f2;
human_eval/execution.py of openai/human-eval at 12d15a0; README of open-r1 (``verification_info``).
"""

from __future__ import annotations

import re
from typing import Any

from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value

_CASE_KEYS = frozenset({"input", "output"})
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_RUNS = frozenset({"stdin", "stdin_stdout"})


def in_our_keys(written: Any, function: str = "") -> Any:
    """Return tests in our keys; as they are where no published set writes them so.

    Args:
        written: an object or a list.
        function: that is named around them.

    Raises:
        InputError: naming the test and the key that is wrong.
    """
    if isinstance(written, list):
        is_cases = written and all(
            isinstance(one, dict) and set(one) >= _CASE_KEYS for one in written
        )
        return _of_cases(written, function) if is_cases else written
    function = (
        written.get("fn_name") or written.get("function") or written.get("entry_point") or function
    )
    if "test_cases" in written:
        language = written.get("language") or "python"
        if not str(language).casefold().startswith("py"):
            msg = f"language is {language!r:.40}, and programs in Python are run alone"
            raise InputError(msg)
        inner = written["test_cases"]
        inner = json_value(inner, "test_cases") if isinstance(inner, str) else inner
        return in_our_keys(inner, function)
    if "inputs" in written and "outputs" in written:
        return _of_pairs(written["inputs"], written["outputs"], function)
    if isinstance(written.get("input"), list) and isinstance(written.get("output"), list):
        return _of_pairs(written["input"], written["output"], function)
    if "test_list" in written:
        parts = [written.get("test_setup_code") or "", written.get("test_imports") or []]
        texts = [
            text for part in (*parts, written["test_list"])
            for text in (part if isinstance(part, list) else [part])
        ]  # fmt: skip
        if not all(isinstance(text, str) for text in texts):
            msg = "test_list, test_imports or test_setup_code holds what is no text"
            raise InputError(msg)
        return {"suite": "\n".join(texts), "function": function}
    if "test" in written:
        return {"suite": written["test"], "function": function}
    rest = {key: value for key, value in written.items() if key not in ("fn_name", "entry_point")}
    return {**rest, "function": function} if function else rest


def _of_cases(cases: list[dict[str, Any]], function: str) -> dict[str, Any]:
    """Return tests of which each is an object with its kind, input and output."""
    kinds = {str(one.get("testtype") or one.get("type") or "stdin") for one in cases}
    names = {str(one.get("fn_name") or _named_beside(one) or function) for one in cases}
    if len(kinds) > 1 or len(names) > 1:
        msg = "they are of more kinds or functions than one, and one is needed"
        raise InputError(msg)
    is_run = bool(kinds & _RUNS)
    function = "" if is_run else names.pop()
    if not is_run and not function:
        msg = f"they are of the type {kinds.pop()!r:.40} and name no function; set fn_name"
        raise InputError(msg)
    return _of_pairs([one["input"] for one in cases], [one["output"] for one in cases], function)


def _named_beside(case: dict[str, Any]) -> Any:
    """Return the function that a test of DeepCoder names in its metadata; None if it does not."""
    beside = case.get("metadata")
    return beside.get("func_name") if isinstance(beside, dict) else None


def _of_pairs(inputs: Any, outputs: Any, function: str) -> dict[str, Any]:
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        msg = "inputs and outputs are no lists, or not as many"
        raise InputError(msg)
    if not function:
        pairs = zip(inputs, outputs, strict=True)
        return {"runs": [{"stdin": one, "stdout": out} for one, out in pairs]}
    if inputs and all(isinstance(text, str) for text in (*inputs, *outputs)):
        inputs, outputs = _of_lines(inputs, outputs)
        is_wrapped = False
    else:
        # APPS writes what is expected as a list of one; what is itself a list of one is both
        is_wrapped = all(isinstance(out, list) and len(out) == 1 for out in outputs)
    calls = []
    for given, out in zip(inputs, outputs, strict=True):
        args = [_keyed(one) for one in (given if isinstance(given, list) else [given])]
        call = {"args": args, "expected": _keyed(out[0] if is_wrapped else out)}
        calls.append({**call, "or_expected": _keyed(out)} if is_wrapped else call)
    return {"calls": calls, "function": function}


def _of_lines(inputs: list[str], outputs: list[str]) -> tuple[list[Any], list[Any]]:
    """Return arguments and values of texts that hold one of JSON a line.

    They are texts as they are where the first is no JSON.

    Raises:
        InputError: naming one that is no JSON, though the first is.
    """
    try:
        json_value(outputs[0], "")
        for line in inputs[0].splitlines():
            json_value(line, "")
    except InputError:
        return [[text] for text in inputs], list(outputs)
    args = [
        [json_value(line, f"inputs[{at}]") for line in text.split("\n") if line.strip()]
        for at, text in enumerate(inputs)
    ]
    return args, [json_value(text, f"outputs[{at}]") for at, text in enumerate(outputs)]


def _keyed(value: Any, left: int = 40) -> Any:
    """Return a value in which objects whose keys are whole numbers, as texts, have numbers."""
    if isinstance(value, list) and left:
        return [_keyed(one, left - 1) for one in value]
    if not isinstance(value, dict) or not left:
        return value
    inner = {key: _keyed(one, left - 1) for key, one in value.items()}
    if inner and all(isinstance(key, str) and _WHOLE.fullmatch(key) for key in inner):
        return {"$map": [[int(key), one] for key, one in inner.items()]}
    return inner
