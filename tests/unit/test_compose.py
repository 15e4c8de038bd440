"""The containers: pinned, healthy, closed where they can be, and holding only what they import."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILES = sorted(ROOT.glob("*/Dockerfile"))
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
VARIABLE = re.compile(r"\$\{([A-Z_]+)([^}]*)\}")


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def dockerfile_of(service: dict[str, Any]) -> str:
    return (ROOT / service["build"]["dockerfile"]).read_text()


SERVICES = [pytest.param(name, service, id=name) for name, service in services().items()]
LONG_RUNNING = [case for case in SERVICES if case.id != "prepare"]
by_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)


def test_the_whole_constellation_is_there() -> None:
    wanted = {"prediction", "relay", "monitoring", "mongo", "prometheus", "grafana", "prefect", "flows", "reports"}
    assert wanted <= set(services())


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_every_image_that_is_not_ours_has_a_pinned_tag(name: str, service: dict[str, Any]) -> None:
    if "build" not in service:
        assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+\S*", service["image"])


@pytest.mark.parametrize(("name", "service"), LONG_RUNNING)
def test_every_service_has_a_health_check(name: str, service: dict[str, Any]) -> None:
    assert "healthcheck" in service or "HEALTHCHECK" in dockerfile_of(service)


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_every_service_is_confined(name: str, service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("user", "sextant" if "build" in service else "root").split(":")[0] not in {"root", "0"}


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_every_tmpfs_but_tmp_has_an_owner_so_that_a_restart_finds_it_writable(
    name: str, service: dict[str, Any]
) -> None:
    assert all("uid=10001" in mount for mount in service["tmpfs"] if mount.startswith("/data"))


def test_mongodb_is_reachable_from_the_inside_only() -> None:
    mongo = services()["mongo"]
    assert "ports" not in mongo
    assert mongo["networks"] == ["back"]
    assert yaml.safe_load(COMPOSE.read_text())["networks"]["back"] == {"internal": True}


def test_every_port_is_published_on_an_address_that_the_operator_chooses() -> None:
    for service in services().values():
        for port in service.get("ports", []):
            assert port.startswith("${PUBLISH_HOST:-127.0.0.1}:")


def test_no_password_stands_in_the_files() -> None:
    given = dict(VARIABLE.findall(COMPOSE.read_text()))
    assert given["GRAFANA_ADMIN_PASSWORD"].startswith(":?")
    assert not re.search(r"^\s*\w*(PASSWORD|SECRET|KEYS)\w*=\S", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_the_env_example_names_each_variable_that_compose_reads_and_no_other() -> None:
    example = (ROOT / ".env.example").read_text()
    explained = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) | {"GRAFANA_ADMIN_PASSWORD"}
    assert "GRAFANA_ADMIN_PASSWORD" in example
    read = {name for name, _ in VARIABLE.findall(COMPOSE.read_text())} - {"SEXTANT_TAG"}
    assert explained == read


@pytest.mark.parametrize(("name", "service"), [case for case in SERVICES if "build" in case.values[1]])
def test_our_services_are_given_only_settings_that_exist(name: str, service: dict[str, Any]) -> None:
    known = {field.upper() for field in Settings.model_fields}
    ours = {key for key in service.get("environment", {}) if not key.startswith("PREFECT_")}
    assert ours <= known


@by_dockerfile
def test_base_images_are_pinned_to_a_patch_release(path: Path) -> None:
    bases = re.findall(r"^FROM (\S+)", path.read_text(), re.MULTILINE)
    assert bases
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base) for base in bases)


@by_dockerfile
def test_images_install_from_a_lock_file_with_hashes_and_drop_root(path: Path) -> None:
    text = path.read_text()
    assert "--require-hashes -r" in text
    assert f"COPY {path.parent.name}/requirements.lock" in text
    assert re.search(r"^USER sextant$", text, re.MULTILINE)


@by_dockerfile
def test_an_image_holds_what_its_service_imports_and_nothing_else(path: Path) -> None:
    copied = set(re.findall(r"^COPY (\w+) \w+$", path.read_text(), re.MULTILINE))
    needed = {path.parent.name}
    for _ in PACKAGES:  # until nothing is added: what is imported imports in its turn
        needed |= {package for name in needed for package in imported_by(ROOT / name)}
    assert copied == needed


def imported_by(package: Path) -> set[str]:
    names: set[str] = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
            elif isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
    return names & PACKAGES


def test_the_build_context_lets_in_what_the_dockerfiles_copy() -> None:
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for path in DOCKERFILES:
        assert set(re.findall(r"^COPY ([\w.]+) ", path.read_text(), re.MULTILINE)) <= allowed
