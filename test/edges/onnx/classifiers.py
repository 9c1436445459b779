"""Makes small classifiers with the operators that common exporters write, and computes by hand what they must answer.

classifiers.py <folder> <features>: writes logistic.onnx, network.onnx and zipmap.onnx, prints vectors and scores as JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS = 24
HIDDEN = 8


def save(folder, name, nodes, outputs, width, initializers=(), domains=(("", 17),)):
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", width])
    graph = helper.make_graph(list(nodes), name, [features], list(outputs), list(initializers))
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def logistic(folder, vectors, random):
    """A logistic regression as scikit-learn exports it: a label and the probabilities of both classes."""
    width = vectors.shape[1]
    weights = random.normal(0, 0.5, width).astype(np.float32)
    bias = np.float32(-0.25)
    classifier = helper.make_node(
        "LinearClassifier",
        ["features"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        coefficients=[*(-weights).tolist(), *weights.tolist()],
        intercepts=[float(-bias), float(bias)],
        classlabels_ints=[0, 1],
        multi_class=0,
        post_transform="LOGISTIC",
    )
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["rows"])
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2])
    domains = (("", 17), ("ai.onnx.ml", 3))
    save(folder, "logistic", [classifier], [label, probabilities], width, domains=domains)
    zipped = helper.make_node(
        "ZipMap", ["probabilities"], ["by_class"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]
    )
    by_class = helper.make_value_info(
        "by_class", helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])))
    )
    save(folder, "zipmap", [classifier, zipped], [label, by_class], width, domains=domains)
    return sigmoid(vectors.astype(np.float64) @ weights + bias)


def network(folder, vectors, random):
    """One hidden layer, as a deep learning framework exports it."""
    width = vectors.shape[1]
    first = random.normal(0, 0.4, (HIDDEN, width)).astype(np.float32)
    first_bias = random.normal(0, 0.1, HIDDEN).astype(np.float32)
    second = random.normal(0, 0.6, (1, HIDDEN)).astype(np.float32)
    second_bias = np.array([-0.5], np.float32)
    nodes = [
        helper.make_node("Gemm", ["features", "w1", "b1"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["z"], transB=1),
        helper.make_node("Sigmoid", ["z"], ["fraud"]),
    ]
    named = {"w1": first, "b1": first_bias, "w2": second, "b2": second_bias}
    initializers = [numpy_helper.from_array(value, name) for name, value in named.items()]
    fraud = helper.make_tensor_value_info("fraud", TensorProto.FLOAT, ["rows", 1])
    save(folder, "network", nodes, [fraud], width, initializers)
    hidden = np.maximum(vectors.astype(np.float64) @ first.T + first_bias, 0)
    return sigmoid(hidden @ second.T + second_bias)[:, 0]


def main():
    folder, width = Path(sys.argv[1]), int(sys.argv[2])
    random = np.random.default_rng(1)
    vectors = random.normal(0, 1, (ROWS, width)).astype(np.float32)
    answers = {
        "vectors": vectors.astype(np.float64).tolist(),
        "logistic": logistic(folder, vectors, random).tolist(),
        "network": network(folder, vectors, random).tolist(),
    }
    json.dump(answers, sys.stdout)


main()
