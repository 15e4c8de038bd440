"""Thresholds that tests share, so that not every service that they start spends minutes of CPU on finding them."""

import fcntl
from pathlib import Path
from unittest.mock import patch

from sextant.contracts.errors import BundleError
from sextant.contracts.model_bundle import load_bundle, model_names


def share(data_dir: Path, calibrations: Path) -> None:
    """Let what one service or flow finds in its data folder be known to all others of these tests."""
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "calibration").symlink_to(calibrations)


def find_thresholds(models_dir: Path, calibrations: Path, false_alarm_rate: float) -> None:
    """The thresholds of the live bundles where they are not known, the multivariate ones from few resamples."""
    from sextant.evaluation.drift import multivariate
    from sextant.evaluation.drift.calibration_cache import CalibrationCache
    from sextant.evaluation.reference import Reference

    cache = CalibrationCache(calibrations)
    for name in model_names(models_dir):
        try:
            bundle = load_bundle(models_dir, name)
        except BundleError:
            continue  # the test is about that
        known = calibrations / f"known-{bundle.reference_sha256}-{false_alarm_rate}"
        with (calibrations / "lock").open("w") as lock, patch.multiple(multivariate, BATCHES=1, BATCH=10):
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed; others wait, and then find what they need
            if known.exists():
                continue
            reference, sha256 = Reference.prepare(bundle.manifest, bundle.reference()), bundle.reference_sha256
            domain = multivariate.DomainClassifier(reference)
            cache.columns(reference, sha256, false_alarm_rate=false_alarm_rate)
            cache.segments(reference, sha256, false_alarm_rate=false_alarm_rate)
            cache.multivariate(reference, domain, sha256, false_alarm_rate=false_alarm_rate)
            known.touch()
