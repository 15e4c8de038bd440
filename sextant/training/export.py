"""The only user of skl2onnx: a pipeline as ONNX, run as the service runs it and compared with scikit-learn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.contracts.errors import Fatal
from sextant.contracts.schema import FeatureSchema, Task
from sextant.infrastructure.settings import forbid_telemetry

TOLERANCE = 1e-4
"""Largest accepted difference, as a share of the prediction (or of 1, where that is larger).

float32 keeps 7 digits, and summing a hundred trees loses one or two of them; a row that took a different
branch from scikit-learn's would differ by far more.
"""


class OnnxDiffers(Fatal):
    """The ONNX model's predictions differ from the pipeline's."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """A model's predictions for rows: values (float64, or classes as text) and, for classifiers, probabilities."""

    values: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64] | None

    def take(self, positions: npt.NDArray[np.intp]) -> "Predictions":
        """Those of the rows at these positions."""
        chances = None if self.probabilities is None else self.probabilities[positions]
        return Predictions(self.values[positions], chances)


def pipeline_input(schema: FeatureSchema, features: pd.DataFrame) -> pd.DataFrame:
    """Features as a pipeline gets them: numbers as float32 as in ONNX, missing ones NaN, categories as text."""
    numbers = {name: features[name].astype("float64").astype("float32") for name in schema.numerical}
    texts = {name: features[name].fillna("").astype(str).astype(object) for name in schema.categorical}
    return pd.DataFrame({**numbers, **texts})[list(schema.names)]


def pipeline_predictions(pipeline: Any, schema: FeatureSchema, task: Task, features: pd.DataFrame) -> Predictions:
    """The predictions of scikit-learn."""
    rows = pipeline_input(schema, features)
    if task == "regression":
        return Predictions(pipeline.predict(rows), None)
    return Predictions(pipeline.predict(rows).astype(str), pipeline.predict_proba(rows))


def export(pipeline: Any, schema: FeatureSchema, name: str, task: Task) -> bytes:
    """The fitted pipeline as ONNX: one input of shape (n, 1) for each feature, probabilities as a plain tensor."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kinds = {"numerical": FloatTensorType, "categorical": StringTensorType}
    inputs = [(feature.name, kinds[feature.kind]([None, 1])) for feature in schema.features]
    options = {id(pipeline): {"zipmap": False}} if task == "classification" else None
    # without a name, skl2onnx takes a random one, and the same pipeline would give different bytes
    model = convert_sklearn(pipeline, name=name, initial_types=inputs, options=options)
    opsets = sorted(model.opset_import, key=lambda opset: opset.domain)  # they come out of a set, in any order
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    exported: bytes = model.SerializeToString()
    return exported


class OnnxModel:
    """An ONNX model in a session like the service's: one thread, one input for each feature."""

    def __init__(self, model: bytes, schema: FeatureSchema, task: Task) -> None:
        forbid_telemetry()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._schema, self._task = schema, task

    def predict(self, features: pd.DataFrame) -> Predictions:
        """The ONNX model's predictions for these rows."""
        rows = pipeline_input(self._schema, features)
        outputs = self._session.run(None, {name: rows[[name]].to_numpy() for name in self._schema.names})
        if self._task == "regression":
            return Predictions(outputs[0].ravel().astype("float64"), None)
        return Predictions(outputs[0].astype(str), outputs[1].astype("float64"))


def largest_difference(ours: Predictions, theirs: Predictions) -> float:
    """The largest absolute difference: of predictions, or of probabilities (1 where classes differ)."""
    if ours.probabilities is None or theirs.probabilities is None:
        return float(np.abs(ours.values - theirs.values).max())
    classes = float((ours.values != theirs.values).any())
    return max(classes, float(np.abs(ours.probabilities - theirs.probabilities).max()))


def require_agreement(onnx: Predictions, sklearn: Predictions) -> None:
    """Raise OnnxDiffers when any row differs by more than TOLERANCE."""
    if onnx.probabilities is None:
        scale = np.maximum(1, np.abs(sklearn.values))
        share = float((np.abs(onnx.values - sklearn.values) / scale).max())
    else:
        share = largest_difference(onnx, sklearn)
    if not share <= TOLERANCE:  # so that NaN is refused too
        raise OnnxDiffers(
            f"the ONNX model differs from scikit-learn by {share:.2g} of the prediction, more than {TOLERANCE:g}; "
            "nothing was published"
        )


def awkward_rows(schema: FeatureSchema, ordinary: pd.DataFrame) -> pd.DataFrame:
    """Rows that held-out data rarely contain: unseen and missing categories, ends of ranges and beyond."""
    start, rows = ordinary.iloc[0].to_dict(), []
    for feature in schema.features:
        if feature.kind == "categorical":
            values: list[Any] = ["", "never seen"]
        else:
            ends = [feature.minimum or 0.0, feature.maximum or 0.0]
            values = [*ends, -1e6, 1e6, *([] if feature.required else [None])]
        rows += [{**start, feature.name: value} for value in values]
    return pd.DataFrame(rows, columns=list(schema.names))
