"""DATA_DIR and the log are on a disk that fills up: the service says so, goes on answering, and loses nothing."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import requests

from prediction_service.outbox import Outbox
from tests.conftest import publish_real_bundles
from tests.processes import Services, wait_until

TRIP = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0, "note": "x" * 2_000}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Services]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "sextant-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    services = Services(folder)
    try:
        publish_real_bundles(services.models_dir)
        yield services
    finally:
        services.stop_all()
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_and_nothing_that_was_acknowledged_is_lost(small_disk: Services) -> None:
    services, url, ballast = small_disk, small_disk.prediction_url, small_disk.folder / "ballast"
    prediction = services.prediction().start()
    acknowledged: list[str] = []

    def status_of_predict() -> int:
        answer = requests.post(f"{url}/predict", json=TRIP, timeout=10)
        if answer.ok:
            acknowledged.append(answer.json()["prediction_id"])
        else:
            assert answer.headers["Retry-After"]
            assert "outbox" in answer.json()["detail"]
        return answer.status_code

    assert status_of_predict() == 200
    _fill(ballast, bytes(4_096))
    _fill(prediction.log, b"\n")  # what is left of its last page
    statuses = [status_of_predict() for _ in range(100)]  # the log of the outbox may have room for some
    assert set(statuses) <= {200, 503}
    assert statuses[-1] == 503
    ready = requests.get(f"{url}/readyz", timeout=10)
    assert (ready.status_code, "outbox" in ready.json()["failing"]) == (503, True)
    assert requests.get(f"{url}/healthz", timeout=10).status_code == 200
    metrics = requests.get(f"{url}/metrics", timeout=10)
    assert metrics.status_code == 200
    assert 'outcome="unavailable"' in metrics.text
    ballast.unlink()
    wait_until(lambda: status_of_predict() == 200, "room to be used again")
    assert prediction.stop() == 0
    with closing(Outbox(services.data_dir / "outbox" / "outbox.db", 1 << 30)) as outbox:
        stored = b"".join(event.body for event in outbox.queued("mongodb", 10_000))
    assert [prediction_id for prediction_id in acknowledged if prediction_id.encode() not in stored] == []


def _fill(path: Path, piece: bytes) -> None:
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(piece)
