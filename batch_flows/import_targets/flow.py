"""The import of targets: ground truth from a file, joined to the predictions that it is about."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from batch_flows.import_targets import steps as target_steps
from batch_flows.import_targets.folder import path_in_folder, rejects_of
from batch_flows.import_targets.staging import reject_path, staging_path
from batch_flows.import_targets.summary import FLOW, Counts, ImportRules, ImportSummary
from batch_flows.orchestration.steps import read_bundle
from sextant.contracts.errors import SextantError
from sextant.contracts.events import stored_time
from sextant.infrastructure.settings import Settings, load_settings


@flow(
    name=FLOW,
    flow_run_name="targets of {model} from {path}",
    description="Imports targets from a CSV or Parquet file; idempotent.",
    timeout_seconds=24 * 3600,
)
def import_targets(
    path: Path,
    model: str = "taxi",
    rejects: Path | None = None,
    skip_unknown: bool = False,
    replace: bool = False,
) -> "State[Any]":
    """What the command runs: Completed with the counts, or with "Empty" for no rows; Failed with one sentence.

    Args:
        path: CSV or Parquet with prediction_id and target; must be readable where the flow runs.
        model: The model's name, such as taxi.
        rejects: Where malformed rows go; none: the input's name with .rejected.csv added.
        skip_unknown: Leave out targets whose prediction is not stored; otherwise they wait for it.
        replace: Take rows without received_at as received now, so that they replace other stored values.
    """
    try:
        rules = ImportRules(model, stored_time(datetime.now(UTC)), replace, skip_unknown)
        return _outcome(_import(load_settings(), Path(path), rejects, rules))
    except SextantError as error:
        return Failed(message=str(error))


@flow(
    name=FLOW,
    flow_run_name="targets of {model} from {path}",
    description="Imports targets from a CSV or Parquet file in the folder IMPORT_DIR; idempotent.",
    timeout_seconds=24 * 3600,
)
def import_from_folder(
    path: Path, model: str = "taxi", skip_unknown: bool = False, replace: bool = False
) -> "State[Any]":
    """What a deployment runs: whoever may start a run cannot name a file outside of the operator's folder.

    Malformed rows go to a file in DATA_DIR/staging.

    Args:
        path: CSV or Parquet with prediction_id and target; its name in IMPORT_DIR, or its whole path there.
        model: The model's name, such as taxi.
        skip_unknown: Leave out targets whose prediction is not stored; otherwise they wait for it.
        replace: Take rows without received_at as received now, so that they replace other stored values.
    """
    try:
        settings = load_settings()
        found = path_in_folder(settings.imports_folder, Path(path))
        rejects = rejects_of(settings, found)
    except SextantError as error:
        return Failed(message=str(error))
    return import_targets.fn(found, model, rejects, skip_unknown, replace)


def _import(settings: Settings, path: Path, chosen: Path | None, rules: ImportRules) -> ImportSummary:
    rejects = reject_path(path, chosen)
    bundle = read_bundle(settings, rules.model, None)
    with staging_path() as staged:
        file = target_steps.read_file(path, bundle.manifest, rules.moment, staged)
        target_steps.write_rejects(staged, rejects, file.counted_in)  # if that fails, nothing is stored yet
        counts: Counts = Counter()
        for first in range(0, file.targets, target_steps.PART):
            counts += target_steps.store_part(settings, staged, first, file.targets, rules)
        malformed = target_steps.write_rejects(staged, rejects, file.counted_in)
    return ImportSummary(
        path, rules.model, file.rows, malformed, file.repeated, counts, rejects, file.ignored_columns
    )


def _outcome(summary: ImportSummary) -> "State[Any]":
    if not summary.rows:
        return Completed(name="Empty", message=f"{summary.path} has no rows, so nothing was imported")
    target_steps.publish_counts(summary)
    if not summary.usable:
        return Failed(message=f"nothing usable in {summary.path}: {summary.sentence()}")
    return Completed(message=summary.sentence())
