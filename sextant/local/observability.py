"""The files that Prometheus and Alertmanager read, written for this machine's ports and settings."""

import json
import shutil
import subprocess
import sys

from sextant.contracts.errors import Fatal
from sextant.infrastructure.settings import Settings
from sextant.local.constellation import ROOT, Constellation
from sextant.local.environment import environment

# By job, the name of the part that Prometheus scrapes.
SCRAPED = {
    "prediction": "prediction",
    "relay": "relay",
    "monitoring": "monitoring",
    "prometheus": "prometheus",
    "node": "node-exporter",
}


def write_prometheus_files(settings: Settings, there: Constellation) -> None:
    """A copy of prometheus/ under data/ whose targets are the parts that run here."""
    folder = settings.data_dir / "prometheus"
    for replaced in ("rules", "targets"):  # a file that went away must not stay there
        shutil.rmtree(folder / replaced, ignore_errors=True)
    shutil.copytree(ROOT / "prometheus", folder, dirs_exist_ok=True)
    jobs = {job: there.port(name) for job, name in SCRAPED.items()}
    for file, group in {"sextant": jobs, "alertmanager": {"alertmanager": there.port("alertmanager")}}.items():
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"job": job}} for job, port in group.items() if port
        ]
        (folder / "targets" / f"{file}.json").write_text(json.dumps(targets, indent=2) + "\n")


def write_alertmanager_file(settings: Settings) -> None:
    """DATA_DIR/alertmanager/alertmanager.yml from the settings ALERT_*; raises Fatal when they are wrong."""
    command = [sys.executable, "-m", "sextant.alerting"]
    if subprocess.run(command, cwd=ROOT, env=environment(settings), check=False).returncode:
        raise Fatal("the alerts' configuration could not be written; the message is above")
