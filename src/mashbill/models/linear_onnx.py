"""A linear classifier as an ONNX graph, from a text's features to its probabilities.

ONNX has operators on strings, and none that fold case as Unicode does, take marks and scripts
without spaces apart, or hash as scikit-learn does: texts become features before the graph, by the
file that :mod:`mashbill.models.linear_features` writes beside it. A row of features is the distinct
buckets of a text, filled up by one that weighs nothing, so that a graph of a large vocabulary reads
as many weights as a text has words.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.models.linear import LinearPredictor

_OPSET, _IR = 17, 9  # of 2022 and 2023: readers of today and of some years ago take them


def write_onnx(model: LinearPredictor, to: Path, facts: Mapping[str, str | int]) -> int:
    """Write a classifier; return the number of its weights that are not zero.

    Inputs and outputs: ``features`` int64 (rows, features); ``probabilities`` float (rows, labels)
    and ``label`` string (rows,).

    Args:
        model: the classifier.
        to: the file.
        facts: metadata, texts and numbers by their keys.
    """
    labels = len(model.labels)
    weights = np.zeros((model.buckets + 1, labels), np.float32)
    bias = np.zeros(labels, np.float32)
    rows = len(model.weights)  # one for two labels: the second's over the first
    weights[:-1, labels - rows :] = model.weights.T
    bias[labels - rows :] = model.bias
    held = {
        "idf": np.append(model.idf, 0).astype(np.float32),
        "weights": weights,
        "bias": bias,
        "temperature": np.array([model.temperature], np.float32),
        "least": np.array([np.finfo(np.float32).tiny], np.float32),
        "each": np.array([1], np.int64),
        "last": np.array([2], np.int64),
    }
    steps = [
        ("Gather", ["idf", "features"], "values", {}),
        ("Mul", ["values", "values"], "squares", {}),
        ("ReduceSum", ["squares", "each"], "square", {"keepdims": 1}),
        ("Sqrt", ["square"], "length", {}),
        ("Max", ["length", "least"], "divisor", {}),  # a text of no feature stays nothing
        ("Gather", ["weights", "features"], "own", {}),
        ("Unsqueeze", ["values", "last"], "column", {}),
        ("Mul", ["own", "column"], "parts", {}),
        ("ReduceSum", ["parts", "each"], "sums", {"keepdims": 0}),
        ("Div", ["sums", "divisor"], "scores", {}),
        ("Add", ["scores", "bias"], "biased", {}),
        ("Div", ["biased", "temperature"], "logits", {}),
        ("Softmax", ["logits"], "probabilities", {"axis": 1}),
        ("ArgMax", ["logits"], "best", {"axis": 1, "keepdims": 0}),
        ("Gather", ["labels", "best"], "label", {}),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, takes, [gives], **how) for kind, takes, gives, how in steps],
        "classifier",
        [helper.make_tensor_value_info("features", TensorProto.INT64, ["rows", "features"])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", labels]),
            helper.make_tensor_value_info("label", TensorProto.STRING, ["rows"]),
        ],
        [
            *(numpy_helper.from_array(value, name) for name, value in held.items()),
            helper.make_tensor(
                "labels", TensorProto.STRING, [labels], [name.encode() for name in model.labels]
            ),
        ],
    )
    made = helper.make_model(
        graph, producer_name="mashbill", opset_imports=[helper.make_opsetid("", _OPSET)]
    )
    made.ir_version = _IR
    told = {**{key: str(value) for key, value in facts.items()}, "labels": json.dumps(model.labels)}
    helper.set_model_props(made, dict(sorted(told.items())))
    onnx.checker.check_model(made)
    to.write_bytes(made.SerializeToString(deterministic=True))
    return int(np.count_nonzero(model.weights))
