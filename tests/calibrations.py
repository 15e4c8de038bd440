"""Thresholds that tests share, so that not every service that they start spends minutes of CPU on finding them."""

from pathlib import Path
from unittest.mock import patch

from sextant.contracts.errors import BundleError
from sextant.contracts.model_bundle import load_bundle, model_names


def share(data_dir: Path, calibrations: Path) -> None:
    """Let what one service or flow finds in its data folder be known to all others of these tests."""
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "calibration").symlink_to(calibrations)


def find_multivariate(models_dir: Path, calibrations: Path, false_alarm_rate: float) -> None:
    """The multivariate thresholds of the live bundles, where they are not known, from a tenth of the resamples."""
    from sextant.evaluation.drift import multivariate
    from sextant.evaluation.drift.calibration_cache import CalibrationCache
    from sextant.evaluation.reference import Reference

    cache = CalibrationCache(calibrations)
    with patch.multiple(multivariate, BATCHES=1, BATCH=10):
        for name in model_names(models_dir):
            try:
                bundle = load_bundle(models_dir, name)
            except BundleError:
                continue  # the test is about that
            reference = Reference.prepare(bundle.manifest, bundle.reference())
            domain = multivariate.DomainClassifier(reference)
            cache.multivariate(reference, domain, bundle.reference_sha256, false_alarm_rate=false_alarm_rate)
