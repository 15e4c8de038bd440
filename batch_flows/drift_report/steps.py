"""What a drift report is made from, each read in a step: predictions and targets, reference and thresholds."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from batch_flows.drift_report.rows import EvaluatedRows, of_version, sample_uniformly
from batch_flows.orchestration.steps import in_one_line, run_logger, step, timed
from batch_flows.store import Skipped, open_store, read_predictions
from batch_flows.time_range import TimeRange
from sextant.contracts.errors import BundleError
from sextant.contracts.events import Prediction
from sextant.contracts.model_bundle import CREATED_AT, REFERENCE, Manifest, ModelBundle
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings

if TYPE_CHECKING:  # the process that schedules imports this module too, and does without 150 MB of libraries
    from sextant.evaluation.drift.calibration import Calibration
    from sextant.evaluation.drift.calibration_cache import CalibrationCache
    from sextant.evaluation.frames import ConformedFrame
    from sextant.evaluation.performance.estimation import PerformanceEstimator
    from sextant.evaluation.reference import Reference

SAMPLE_SEED = 20210101


@step(name="Read window from MongoDB", minutes=30)
def read_window(settings: Settings, bundle: ModelBundle, window: TimeRange) -> EvaluatedRows:
    """Predictions of the bundle's version in the window, joined with the targets that have arrived.

    Of more than REPORT_MAX_ROWS predictions, a uniform sample; memory does not grow with the window.
    """
    manifest, skipped, others = bundle.manifest, Skipped(), Counter[str]()
    with open_store(settings) as store:
        with timed("reading the cursor"):
            found = read_predictions(store, manifest.name, window, skipped, without=_unused(manifest))
            stream = of_version(found, manifest.version, others)
            sample = sample_uniformly(stream, settings.report_max_rows, key=_id_of, seed=SAMPLE_SEED)
        with timed("joining the targets"):
            kept = sorted(sample.kept, key=lambda prediction: (prediction.created_at, prediction.prediction_id))
            frame, labelled = _joined(store, kept, manifest, skipped)
    run_logger().info(
        "window %s: %d predictions of version %s, %d evaluated, %d labelled, %d of other versions, %d skipped",
        *(window, sample.seen, manifest.version, len(kept), labelled, others.total(), skipped.count),
    )
    return EvaluatedRows(frame, sample.seen, dict(others), skipped.count, skipped.example)


def _unused(manifest: Manifest) -> set[str]:
    wanted = {*manifest.segments, *([manifest.time] if manifest.time else [])} - {CREATED_AT}
    of_features = wanted <= set(manifest.feature_schema.names)
    return {"latency_ms", "context"} if of_features else {"latency_ms"}


def _joined(
    store: EventStore, kept: Sequence[Prediction], manifest: Manifest, skipped: Skipped
) -> "tuple[ConformedFrame, int]":
    from sextant.evaluation.frames import to_frame

    targets = store.targets_for(manifest.name, map(_id_of, kept), skip=skipped.add)
    return to_frame(kept, targets, manifest), len(targets)


def _id_of(prediction: Prediction) -> str:
    return prediction.prediction_id


@step(name="Load reference", minutes=5)
def read_reference(bundle: ModelBundle) -> "Reference":
    """The bundle's reference, typed and cleaned; raises BundleError when its file cannot be read."""
    from sextant.evaluation.reference import Reference

    try:
        return Reference.of(bundle)
    except (OSError, ValueError) as error:
        file = bundle.file(REFERENCE)
        raise BundleError(
            f"{file} cannot be read ({in_one_line(error)}); run: python prepare.py --force"
        ) from error


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


def _kept_calibrations(settings: Settings) -> "CalibrationCache":
    from sextant.evaluation.drift.calibration_cache import CalibrationCache

    return CalibrationCache(settings.data_dir / "calibration")


def fit_estimator(reference: "Reference") -> "tuple[PerformanceEstimator | None, str | None]":
    """What estimates performance before targets arrive; or none, and why the reference does not allow it."""
    from sextant.evaluation.performance.estimation import PerformanceEstimator

    try:
        with timed("fitting the estimator"):
            return PerformanceEstimator.fit(reference), None
    except ValueError as error:
        return None, str(error)
