"""send_data.py as a process that a person stops."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.fake_prediction_service import FakePredictionService
from tests.processes import ROOT, wait_until


def test_ctrl_c_prints_the_summary_and_forgets_no_accepted_id(tmp_path: Path) -> None:
    with FakePredictionService().running() as service:
        ids = tmp_path / "ids"
        command = [
            "--source",
            "synthetic",
            "--url",
            service.url,
            "--data-dir",
            str(tmp_path),
            "--count",
            "1000000",
        ]
        process = subprocess.Popen(
            [sys.executable, "send_data.py", *command, "--accepted-ids", str(ids), "--feedback-delay", "3600"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            wait_until(lambda: len(service.predicted) >= 50, "fifty predictions")
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130
        assert "accepted" in out
        assert "not sent" in out
        assert sorted(ids.read_text().split()) == sorted(record["prediction_id"] for record in service.predicted)
