"""The edges of the flows, each a step: model bundles, MongoDB, the reports folder and Prefect's artifacts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from batch_flows.orchestration import is_recorded, run_logger, step
from batch_flows.report_files import write_report_files
from batch_flows.sampling import sample_uniformly
from batch_flows.window import Window
from contracts.event_store import EventStore
from contracts.events import Prediction
from contracts.model_bundle import ModelBundle, load_bundle
from contracts.settings import Settings

if TYPE_CHECKING:  # the process that schedules imports this module too, and does without 150 MB of libraries
    import pandas as pd

    from evaluation.calibration import Calibration
    from evaluation.reference import Reference

SAMPLE_SEED = 20210101


@dataclass(frozen=True, slots=True)
class WindowRows:
    """A window's predictions of one version as a frame, and what was counted while reading them."""

    frame: "pd.DataFrame"
    predictions: int
    other_versions: Mapping[str, int]

    @property
    def rows(self) -> int:
        """How many rows are evaluated: all of them, or a sample of a long window."""
        return len(self.frame)


@step(name="Load model bundle", minutes=5)
def read_bundle(settings: Settings, model: str, version: str | None) -> ModelBundle:
    """The model's live version, or the one asked for; verified."""
    return load_bundle(settings.models_dir, model, version)


@step(name="Read window from MongoDB", minutes=30)
def read_window(settings: Settings, bundle: ModelBundle, window: Window) -> WindowRows:
    """Predictions of the bundle's version in the window, joined with the targets that have arrived."""
    from evaluation.frames import to_frame

    version = bundle.manifest.version
    others: Counter[str] = Counter()
    with closing(EventStore.connect(settings.mongodb_uri, settings.mongodb_database)) as store:
        stream = store.between(bundle.manifest.name, window.start, window.end)
        sample = sample_uniformly(_of_version(stream, version, others), settings.report_max_rows, seed=SAMPLE_SEED)
        targets = store.targets_for(prediction.prediction_id for prediction in sample.kept)
    run_logger().info(
        "window %s: %d predictions of version %s, %d with a target, %d of other versions",
        *(window, sample.seen, version, len(targets), others.total()),
    )
    frame = to_frame(sample.kept, targets, bundle.manifest.feature_schema, bundle.manifest.segments)
    return WindowRows(frame, sample.seen, dict(others))


def _of_version(stream: Iterable[Prediction], version: str, others: Counter[str]) -> Iterator[Prediction]:
    for prediction in stream:
        if prediction.model_version == version:
            yield prediction
        else:
            others[prediction.model_version] += 1


@step(name="Calibrate thresholds", minutes=10)
def calibrate(settings: Settings, bundle: ModelBundle, reference: "Reference") -> "Calibration":
    """The thresholds that monitoring uses too; computed when nobody has kept them yet."""
    from evaluation.calibration_cache import CalibrationCache

    return CalibrationCache(settings.data_dir / "calibration").columns(
        reference, bundle.reference_sha256, false_alarm_rate=settings.false_alarm_rate
    )


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


def publish_artifacts(key: str, *, scores: Sequence[Mapping[str, Any]], summary: str) -> None:
    """Show the scores and the summary on the flow run's page, when a Prefect server records the run."""
    if is_recorded():
        create_table_artifact(key=f"{key}-scores", table=[dict(row) for row in scores], description="Drift scores")
        create_markdown_artifact(key=f"{key}-summary", markdown=summary, description="What the report found")
