"""Nothing that serves a model reports home: no connection is opened, and no device id is left on disk."""

import subprocess
import sys

from tests.processes import ROOT, Program

PREDICT = """
import sys
from pathlib import Path
from prediction_service.live_models import LiveModels
models = LiveModels(Path(sys.argv[1]))
trip = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0}
print(models["taxi"].predictor.predict([trip])[0].prediction)
"""


def test_onnxruntime_leaves_no_telemetry_device_id(services):
    home = services.folder / "home"
    home.mkdir()
    environment = Program([], services.environment, services.folder, bool).environment
    environment = {**environment, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    result = subprocess.run(
        [sys.executable, "-c", PREDICT, str(services.models_dir)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stdout.splitlines()[-1] == "13.0"
    assert [path for path in home.rglob("*") if "onnxruntime" in path.name] == []
