"""What `pip install .` puts into a user's environment: our packages, whole, under no general name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.processes import ROOT

PACKAGES = {"sextant", "prediction_service", "monitoring_service", "batch_flows"}
OF_THE_IMAGES = {"Dockerfile", "requirements.lock"}
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # setuptools writes beside what it builds
    for name in (*PACKAGES, "grafana"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "prepare.py", "send_data.py"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=source, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site-packages")
    with ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_installed(installed: Path, data_dir: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(installed), "DATA_DIR": str(data_dir)}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=data_dir,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_general_name_is_installed(wheel: Path) -> None:
    names = {name.split("/")[0] for name in ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == PACKAGES


def test_every_file_of_the_packages_is_installed_but_those_of_their_images(wheel: Path) -> None:
    files = (path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file())
    ours = (path for path in files if path.suffix != ".pyc" and path.name not in OF_THE_IMAGES)
    wanted = {str(path.relative_to(ROOT)) for path in ours}
    assert {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name} >= wanted
    assert {"prediction_service/gunicorn.conf.py", "sextant/local/Procfile"} <= wanted


@pytest.mark.parametrize("module", ["prediction_service.wsgi", "batch_flows.serve"])
def test_an_installed_service_is_imported_from_where_it_was_installed(
    installed: Path, tmp_path: Path, module: str
) -> None:
    found = run_installed(installed, tmp_path, "-c", f"import {module} as found; print(found.__file__)")
    assert found.stdout.startswith(str(installed)), found.stderr


@pytest.mark.parametrize("command", [("sextant.local", "up"), ("sextant.alerting",)])
def test_what_needs_the_repository_says_so_in_one_sentence(
    installed: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    answer = run_installed(installed, tmp_path, "-m", *command)
    assert answer.returncode != 0
    assert "checkout of Sextant's repository" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
