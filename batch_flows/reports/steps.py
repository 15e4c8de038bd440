"""The edges of the flows, each a step: model bundles, MongoDB and the reports folder."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_flows.orchestration.steps import run_logger, step
from batch_flows.reports.files import write_report_files
from batch_flows.sampling import sample_uniformly
from batch_flows.time_range import Window
from batch_flows.window_rows import LeftOut, WindowRows, parts_of
from sextant.contracts.errors import BundleError
from sextant.contracts.events import Prediction
from sextant.contracts.model_bundle import REFERENCE, Manifest, ModelBundle, load_bundle
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings

if TYPE_CHECKING:  # the process that schedules imports this module too, and does without 150 MB of libraries
    import pandas as pd

    from sextant.evaluation.drift.calibration import Calibration
    from sextant.evaluation.drift.calibration_cache import CalibrationCache
    from sextant.evaluation.performance.estimation import PerformanceEstimator
    from sextant.evaluation.reference import Reference

SAMPLE_SEED = 20210101


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Log how long the block took, for those who ask where a run's time goes."""
    began = time.perf_counter()
    yield
    run_logger().info("%s took %.2f s", what, time.perf_counter() - began)


def in_one_line(error: Exception) -> str:
    """What another library's error says, as part of a sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


@step(name="Load model bundle", minutes=5)
def read_bundle(settings: Settings, model: str, version: str | None) -> ModelBundle:
    """The model's live version, or the one asked for; verified."""
    return load_bundle(settings.models_dir, model, version)


@step(name="Read window from MongoDB", minutes=30)
def read_window(settings: Settings, bundle: ModelBundle, window: Window) -> WindowRows:
    """Predictions of the bundle's version in the window, joined with the targets that have arrived.

    Of more than REPORT_MAX_ROWS predictions, a uniform sample; memory does not grow with the window.
    """
    manifest, left_out = bundle.manifest, LeftOut()
    with closing(EventStore.connect(settings.mongodb_uri, settings.mongodb_database)) as store:
        with timed("reading the cursor"):
            stream = left_out.of_version(_stream(store, manifest, window, left_out), manifest.version)
            sample = sample_uniformly(stream, settings.report_max_rows, key=_id_of, seed=SAMPLE_SEED)
        with timed("joining the targets"):
            kept = sorted(sample.kept, key=lambda prediction: (prediction.created_at, prediction.prediction_id))
            frame, labelled = _joined(store, kept, manifest, left_out)
    run_logger().info(
        "window %s: %d predictions of version %s, %d evaluated, %d labelled, %d of other versions, %d skipped",
        *(window, sample.seen, manifest.version, len(kept), labelled),
        *(left_out.other_versions.total(), left_out.skipped),
    )
    return left_out.rows(frame, sample.seen)


def _stream(store: EventStore, manifest: Manifest, window: Window, left_out: LeftOut) -> Iterator[Prediction]:
    unused = {"latency_ms"}
    if set(manifest.segments) <= set(manifest.feature_schema.names):
        unused.add("context")
    for part in parts_of(window):
        yield from store.between(manifest.name, part.start, part.end, skip=left_out.skip, without=unused)


def _joined(
    store: EventStore, kept: Sequence[Prediction], manifest: Manifest, left_out: LeftOut
) -> "tuple[pd.DataFrame, int]":
    from sextant.evaluation.frames import to_frame

    targets = store.targets_for(map(_id_of, kept), skip=left_out.skip)
    return to_frame(kept, targets, manifest.feature_schema, manifest.segments), len(targets)


def _id_of(prediction: Prediction) -> str:
    return prediction.prediction_id


@step(name="Look for an earlier report", minutes=5)
def earlier_predictions(settings: Settings, report_id: str) -> int:
    """How many predictions the report saw when it was last made; 0 if it never was."""
    with closing(EventStore.connect(settings.mongodb_uri, settings.mongodb_database)) as store:
        metrics = (store.report(report_id) or {}).get("metrics")
    seen = metrics.get("predictions_in_window") if isinstance(metrics, Mapping) else None
    return seen if isinstance(seen, int) else 0


@step(name="Load reference", minutes=5)
def read_reference(bundle: ModelBundle) -> "Reference":
    """The bundle's reference, typed and cleaned; raises BundleError when its file cannot be read."""
    from sextant.evaluation.reference import Reference

    try:
        rows = bundle.reference()
    except (OSError, ValueError) as error:
        file = bundle.file(REFERENCE)
        raise BundleError(
            f"{file} cannot be read ({in_one_line(error)}); run: python prepare.py --force"
        ) from error
    return Reference.prepare(bundle.manifest, rows)


@step(name="Calibrate thresholds", minutes=10)
def calibrate(settings: Settings, bundle: ModelBundle, reference: "Reference") -> "Calibration":
    """The thresholds that monitoring uses too; computed when nobody has kept them yet."""
    with timed("calibrating the columns"):
        return _kept_calibrations(settings).columns(
            reference, bundle.reference_sha256, false_alarm_rate=settings.false_alarm_rate
        )


@step(name="Calibrate segments", minutes=20)
def calibrate_segments(settings: Settings, bundle: ModelBundle, reference: "Reference") -> "Calibration":
    """The thresholds of every column in every segment, likewise."""
    with timed("calibrating the segments"):
        return _kept_calibrations(settings).segments(
            reference, bundle.reference_sha256, false_alarm_rate=settings.false_alarm_rate
        )


def fit_estimator(reference: "Reference") -> "tuple[PerformanceEstimator | None, str | None]":
    """What estimates performance before targets arrive; or none, and why the reference does not allow it."""
    from sextant.evaluation.performance.estimation import PerformanceEstimator

    try:
        with timed("fitting the estimator"):
            return PerformanceEstimator.fit(reference), None
    except ValueError as error:
        return None, str(error)


def _kept_calibrations(settings: Settings) -> "CalibrationCache":
    from sextant.evaluation.drift.calibration_cache import CalibrationCache

    return CalibrationCache(settings.data_dir / "calibration")


@step(name="Write report and index", minutes=5)
def write_report(reports_dir: Path, document: Mapping[str, Any], html: str) -> None:
    """Put the report and its summary into the reports folder, whole or not at all, and list it."""
    write_report_files(reports_dir, document, html)


@step(name="Record report in MongoDB", minutes=5)
def record_report(settings: Settings, document: Mapping[str, Any]) -> None:
    """Store what the report found, for the index and for those who query."""
    with closing(EventStore.connect(settings.mongodb_uri, settings.mongodb_database)) as store:
        store.ensure_indexes()
        store.add_report(document)
