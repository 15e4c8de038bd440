"""From valid records to answers: a model bundle's ONNX session, or its scikit-learn pipeline."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from prediction_service.errors import UnpredictableRecord
from sextant.contracts.errors import BundleError
from sextant.contracts.events import Value
from sextant.contracts.model_bundle import ONNX_MODEL, PIPELINE, Manifest, ModelBundle
from sextant.contracts.schema import Feature
from sextant.infrastructure.settings import forbid_telemetry

Features = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What a model says of one record."""

    prediction: float | str
    probabilities: Mapping[str, float] | None = None


class Runtime(Protocol):
    """Runs a model on columns; returns predictions (n,) and, for classifiers, probabilities (n, classes)."""

    def __call__(self, columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Run one batch; a column is (n, 1), float32 for numbers and strings for categories."""


class Predictor:
    """A live model version: answers batches of records that fit its schema."""

    def __init__(self, manifest: Manifest, runtime: Runtime) -> None:
        self.manifest = manifest
        self._runtime = runtime

    def predict(self, records: Sequence[Features]) -> list[ModelOutput]:
        """One output a record, in order; raises UnpredictableRecord where one is not finite."""
        columns = {
            feature.name: _column(feature, [record.get(feature.name) for record in records])
            for feature in self.manifest.feature_schema.features
        }
        predictions, probabilities = self._runtime(columns)
        if self.manifest.task == "regression":
            return [_number(value, index) for index, value in enumerate(predictions.ravel().tolist())]
        if probabilities is None:
            return [ModelOutput(str(label)) for label in predictions.tolist()]
        classes = self.manifest.classes or ()
        for index in np.flatnonzero(~np.isfinite(probabilities).all(axis=1)).tolist():
            raise UnpredictableRecord(f"the model gives no finite probabilities for record {index}")
        return [
            ModelOutput(str(label), dict(zip(classes, row, strict=True)))
            for label, row in zip(predictions.tolist(), probabilities.tolist(), strict=True)
        ]


def _column(feature: Feature, values: list[Value]) -> NDArray[Any]:
    if feature.kind == "numerical":
        numbers = [np.nan if value is None else value for value in values]
        return np.array(numbers, dtype=np.float32).reshape(-1, 1)
    return np.array(["" if value is None else str(value) for value in values], dtype=object).reshape(-1, 1)


def _number(value: float, index: int) -> ModelOutput:
    if not math.isfinite(value):
        raise UnpredictableRecord(f"the model gives no finite prediction for record {index}")
    return ModelOutput(value)


def load_predictor(bundle: ModelBundle, trusted_types: Collection[str] = ()) -> Predictor:
    """A predictor for a verified bundle, with the runtime that its manifest names; raises BundleError."""
    runtime = _onnx_runtime(bundle) if bundle.manifest.runtime == "onnx" else _skops_runtime(bundle, trusted_types)
    return Predictor(bundle.manifest, runtime)


def _onnx_runtime(bundle: ModelBundle) -> Runtime:
    forbid_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One row is too little work to share; more threads only fight with the other workers.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        bundle.file(ONNX_MODEL).read_bytes(), options, providers=["CPUExecutionProvider"]
    )

    names = [output.name for output in session.get_outputs()]

    def run(columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any] | None]:
        outputs = session.run(names, columns)
        return outputs[0], outputs[1] if len(outputs) > 1 else None

    return run


def _skops_runtime(bundle: ModelBundle, trusted_types: Collection[str]) -> Runtime:
    import pandas as pd
    import skops.io

    path = bundle.file(PIPELINE)
    if strange := sorted(set(skops.io.get_untrusted_types(file=path)) - set(trusted_types)):
        raise BundleError(f"{path} has types that nobody vouches for ({', '.join(strange)}); see TRUSTED_TYPES")
    pipeline = skops.io.load(path, trusted=list(trusted_types))

    def run(columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any] | None]:
        frame = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
        probabilities = pipeline.predict_proba(frame) if hasattr(pipeline, "predict_proba") else None
        return pipeline.predict(frame), probabilities

    return run
