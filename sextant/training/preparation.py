"""From a source of data to a published bundle; does nothing when that bundle already exists."""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from sextant.contracts.errors import BundleError
from sextant.contracts.model_bundle import Manifest, ModelBundle, current_version, load_bundle, set_current
from sextant.training.bundle import Origin, write_bundle
from sextant.training.card import alarms
from sextant.training.fit import TrainedModel, fingerprint, train
from sextant.training.split import FOLDS, Split, clean, split
from sextant.use_cases.use_case import Source, UseCase

MOST_AHEAD = timedelta(days=1)
"""So far may the local date of an event lie after this machine's."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The live bundle, and the training that made it (None: it already existed)."""

    bundle: ModelBundle
    model: TrainedModel | None


def prepare(use_case: UseCase, source: Source, models_dir: Path, *, seed: int, force: bool) -> Prepared:
    """Make the bundle of this data and seed the live one, training only if needed or forced."""
    raw = source.reference()
    cleaned = clean(use_case.to_examples(raw), use_case.limits)
    print(f"data: {source.name}, {source.reference_period}: {len(raw):,} rows, {len(cleaned):,} of them usable")
    parts = split(cleaned, use_case.time)
    for line in remarks(use_case, parts, datetime.now(UTC).date()):
        print(line)
    version = f"{source.reference_period.replace('-', '.')}-{fingerprint(use_case, cleaned, seed)}"
    if not force and (there := _existing(models_dir, use_case.name, version)):
        return Prepared(there, None)
    origin = Origin(version, source.name, source.reference_period)
    return _train_and_publish(use_case, parts, origin, models_dir=models_dir, seed=seed)


def remarks(use_case: UseCase, parts: Split, today: date) -> list[str]:
    """A line for each thing that is wrong with the times, and what they allow to say of alarms."""
    lines = list(parts.notes)
    if parts.timing and parts.timing.holdout.last > today + MOST_AHEAD:
        lines.append(f"the times in {use_case.time} reach {parts.timing.holdout.last}, which is in the future")
    return [*lines, alarms(parts)]


def _existing(models_dir: Path, name: str, version: str) -> ModelBundle | None:
    if not (models_dir / name / version).exists():
        return None
    try:
        bundle = load_bundle(models_dir, name, version)
    except BundleError as error:
        print(f"the bundle of this data exists but is damaged; rebuilding it: {error}")
        return None
    if not _is_live(models_dir, name, version):
        set_current(models_dir, name, version)
        print(f"{name} {version} is the live version again")
    return bundle


def _is_live(models_dir: Path, name: str, version: str) -> bool:
    try:
        return current_version(models_dir, name) == version
    except BundleError:
        return False


def _train_and_publish(
    use_case: UseCase, parts: Split, origin: Origin, *, models_dir: Path, seed: int
) -> Prepared:
    more = f", and on {FOLDS} parts of them to predict the others" if parts.timing else ""
    print(f"training {use_case.name} on {len(parts.training):,} rows{more} ...")
    start = time.monotonic()
    model = train(use_case, parts, seed)
    print(f"trained and compared with ONNX in {time.monotonic() - start:.1f} s")
    bundle = write_bundle(models_dir, use_case, parts, model, origin, measure_nulls=_measure_nulls)
    return Prepared(bundle, model)


def _measure_nulls(manifest: Manifest, scored: pd.DataFrame, positions: npt.NDArray[np.intp]) -> bytes:
    """nulls.json, with a progress bar where a person watches."""
    from sextant.evaluation.nulls import measure_nulls  # a second to import, and most bundles exist already

    print("measuring what consecutive rows score without drift, half a minute or so ...")
    start = time.monotonic()
    with tqdm(unit="step", leave=False, disable=None) as bar:

        def show(what: str, done: int, steps: int) -> None:
            bar.total, bar.n = steps, done
            bar.set_description(what)

        nulls = measure_nulls(manifest, scored, positions, progress=show)
    print(f"measured in {time.monotonic() - start:.1f} s")
    return nulls
