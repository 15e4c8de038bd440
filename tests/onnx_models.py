"""Real ONNX models, small enough to write by hand, for tests that ask a prediction service."""

import numpy as np
import onnx
from onnx import TensorProto, helper


def trip_duration() -> bytes:
    """Duration = 4 + 4.5 x trip_distance; the zones are taken and not looked at."""
    inputs = [
        helper.make_tensor_value_info("PULocationID", TensorProto.STRING, [None, 1]),
        helper.make_tensor_value_info("DOLocationID", TensorProto.STRING, [None, 1]),
        helper.make_tensor_value_info("trip_distance", TensorProto.FLOAT, [None, 1]),
    ]
    nodes = [
        helper.make_node("Mul", ["trip_distance", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "start"], ["duration"]),
    ]
    outputs = [helper.make_tensor_value_info("duration", TensorProto.FLOAT, [None, 1])]
    return _model(nodes, inputs, outputs, {"slope": [4.5], "start": [4.0]})


def flower_species(classes: tuple[str, ...]) -> bytes:
    """The class whose number is nearest to (petal_length - 1.5) / 2, with probabilities."""
    inputs = [
        helper.make_tensor_value_info("petal_length", TensorProto.FLOAT, [None, 1]),
        helper.make_tensor_value_info("petal_width", TensorProto.FLOAT, [None, 1]),
    ]
    centres = [1.5 + 2.0 * number for number in range(len(classes))]
    nodes = [
        helper.make_node("Sub", ["petal_length", "centres"], ["distance"]),
        helper.make_node("Mul", ["distance", "distance"], ["squared"]),
        helper.make_node("Neg", ["squared"], ["score"]),
        helper.make_node("Softmax", ["score"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["score"], ["index"], axis=1, keepdims=0),
        helper.make_node("Gather", ["names", "index"], ["label"]),
    ]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.STRING, [None]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(classes)]),
    ]
    names = helper.make_tensor("names", TensorProto.STRING, [len(classes)], [name.encode() for name in classes])
    return _model(nodes, inputs, outputs, {"centres": centres}, [names])


def _model(nodes, inputs, outputs, constants, tensors=()) -> bytes:
    numbers = [
        helper.make_tensor(name, TensorProto.FLOAT, [len(values)], np.array(values, dtype=np.float32))
        for name, values in constants.items()
    ]
    graph = helper.make_graph(nodes, "test", inputs, outputs, [*numbers, *tensors])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()
