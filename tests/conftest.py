"""Fixtures that more than one folder of tests uses."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leash import leash, marked
from tests.processes import Services, wait_until


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """Whatever the tests started has ended with the last of them."""
    with leash() as mark:
        yield
        wait_until(lambda: not marked(mark), f"what tests left running to end: {marked(mark)}", 10)


@pytest.fixture(scope="session")
def calibrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the thresholds that all processes of these tests share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "calibrations"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def services(tmp_path: Path, calibrations: Path) -> Iterator[Services]:
    """Services that can really predict; whatever a test starts is stopped after it."""
    services = Services(tmp_path, calibrations)
    publish_real_bundles(services.models_dir)
    yield services
    services.stop_all()


@pytest.fixture(scope="module")
def few_resamples() -> Iterator[None]:
    """Thresholds from a tenth of the resamples, for a file of tests that ask nothing of their precision."""
    from sextant.evaluation.drift import multivariate, null_scores

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(null_scores, "RESAMPLES", 100)
        patch.setattr(multivariate, "BATCHES", 1)
        patch.setattr(multivariate, "BATCH", 10)
        yield


def publish_real_bundles(models_dir: Path) -> None:
    """A regression and a classification bundle whose ONNX models answer."""
    # Imported here, so that the process that only hands out tests starts at once.
    from tests.bundles import FLOWER_SCHEMA, SPECIES, TRIP_SCHEMA, make_flowers, make_trips, publish_bundle
    from tests.onnx_models import flower_species, trip_duration

    trips = {"name": "taxi", "version": "v1", "task": "regression", "onnx": trip_duration()}
    publish_bundle(models_dir, make_trips(2_000, seed=1), TRIP_SCHEMA, **trips)
    species = tuple(sorted(SPECIES))
    flowers = {"name": "iris", "version": "v1", "task": "classification", "onnx": flower_species(species)}
    publish_bundle(models_dir, make_flowers(1_500, seed=1), FLOWER_SCHEMA, **flowers)
