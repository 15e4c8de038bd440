"""The containers: pinned, healthy, closed where they can be, and holding only what they import."""

import ast
import json
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from sextant.infrastructure.settings import Settings
from sextant.local.constellation import commands
from sextant.local.environment import GRAFANA_SILENT

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILES = sorted(path for depth in ("*", "sextant/*") for path in ROOT.glob(f"{depth}/Dockerfile"))
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "sextant"} | {
    f"sextant.{path.parent.name}" for path in ROOT.glob("sextant/*/__init__.py")
}
VARIABLE = re.compile(r"\$\{([A-Z_]+)([^}]*)\}")


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def dockerfile_of(service: dict[str, Any]) -> str:
    return (ROOT / service["build"]["dockerfile"]).read_text()


SERVICES = [pytest.param(name, service, id=name) for name, service in services().items()]
LONG_RUNNING = [case for case in SERVICES if case.values[1]["restart"] != "no"]
ONE_PROGRAM = {"mongodb-exporter"}
"""Images without a second program that could ask the first for its health."""
ROOT_WITHOUT_CAPABILITIES = {"vector"}
"""Docker's log files are root's."""
by_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)


def test_the_whole_constellation_is_there() -> None:
    wanted = {"prediction", "relay", "monitoring", "mongo", "prometheus", "grafana", "prefect", "flows", "reports"}
    wanted |= {"alertmanager", "node-exporter", "mongodb-exporter"}
    assert wanted <= {name for name, service in services().items() if "profiles" not in service}


def test_logs_are_kept_and_keys_are_made_only_on_request() -> None:
    on_request = {name: service["profiles"] for name, service in services().items() if "profiles" in service}
    assert on_request == {"vector": ["logs"], "loki": ["logs"], "keys": ["keys"], "proxy": ["proxy"]}


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_every_image_that_is_not_ours_has_a_pinned_tag(name: str, service: dict[str, Any]) -> None:
    if "build" not in service:
        assert re.fullmatch(r"[a-z/_-]+:v?\d+\.\d+\.\d+\S*", service["image"])


@pytest.mark.parametrize(("name", "service"), LONG_RUNNING)
def test_every_service_has_a_health_check(name: str, service: dict[str, Any]) -> None:
    assert "healthcheck" in service or name in ONE_PROGRAM or "HEALTHCHECK" in dockerfile_of(service)


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_every_service_is_confined(name: str, service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    user = service.get("user", "sextant" if "build" in service else "root").split(":")[0]
    assert user not in {"root", "0"} or name in ROOT_WITHOUT_CAPABILITIES


def test_no_service_has_the_host_s_network_processes_or_docker_s_socket() -> None:
    for service in services().values():
        assert service.get("network_mode") != "host"
        assert not {"pid", "privileged", "cap_add", "devices"} & set(service)
        assert not any("docker.sock" in volume for volume in service.get("volumes", []))


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_files_of_the_host_are_mounted_for_reading_only(name: str, service: dict[str, Any]) -> None:
    host = [volume for volume in service.get("volumes", []) if volume.startswith((".", "/", "${"))]
    assert all(re.search(r":ro(,|$)", volume) for volume in host)


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_every_tmpfs_but_tmp_has_an_owner_so_that_a_restart_finds_it_writable(
    name: str, service: dict[str, Any]
) -> None:
    assert all("uid=10001" in mount for mount in service["tmpfs"] if mount.startswith("/data"))


def test_mongodb_is_reachable_from_the_inside_only_by_those_who_use_it_and_with_a_password() -> None:
    mongo = services()["mongo"]
    assert "ports" not in mongo
    assert mongo["networks"] == ["back"]
    assert yaml.safe_load(COMPOSE.read_text())["networks"]["back"] == {"internal": True}
    users = {"relay", "monitoring", "flows", "mongodb-exporter"}
    assert {name for name, service in services().items() if "back" in service.get("networks", [])} == users | {
        "mongo"
    }
    assert {
        name for name, service in services().items() if "MONGODB_URI" in service.get("environment", {})
    } == users
    assert mongo["environment"]["MONGO_INITDB_ROOT_PASSWORD"].startswith("${MONGODB_PASSWORD:?")


def test_the_command_for_the_env_file_sets_what_has_no_default_and_the_same_password_twice(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    (tmp_path / ".env.example").write_text(example)
    command = "\n".join(line.removeprefix("#   ") for line in example.splitlines() if line.startswith("#   "))
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True)
    made = dict(re.findall(r"^([A-Z_]+)=(.*)$", (tmp_path / ".env").read_text(), re.MULTILINE))
    required = {name for name, rest in VARIABLE.findall(COMPOSE.read_text()) if rest.startswith(":?")}
    assert required == {"GRAFANA_ADMIN_PASSWORD", "MONGODB_PASSWORD", "MONGODB_URI"}
    assert all(made[name] for name in required)
    assert made["MONGODB_URI"] == f"mongodb://sextant:{made['MONGODB_PASSWORD']}@mongo:27017"
    assert len(made["MONGODB_PASSWORD"]) == 32


def test_every_published_port_has_one_of_the_proxy_that_asks_for_a_key_where_nobody_else_does() -> None:
    compose = services()
    published = {
        port.rsplit(":", 2)[1]
        for name, each in compose.items()
        if name != "proxy"
        for port in each.get("ports", [])
    }
    assert {port.rsplit(":", 1)[1] for port in compose["proxy"]["ports"]} == {
        str(int(port) + 10_000) for port in published
    }
    assert all(port.startswith("${PROXY_HOST:-127.0.0.1}:") for port in compose["proxy"]["ports"])
    conf = (ROOT / "deploy" / "proxy" / "nginx.conf").read_text()
    servers = {
        re.search(r"listen (\d+) ssl", part)[1]: part for part in conf.split("server {")[1:] if " ssl;" in part
    }  # type: ignore[index]
    assert set(servers) == {str(int(port) + 10_000) for port in published}
    inside = {
        port.rsplit(":", 2)[1]: (name, port.rsplit(":", 1)[1])
        for name, each in compose.items()
        if name != "proxy"
        for port in each.get("ports", [])
    }
    for port, (name, target) in inside.items():
        part = servers[str(int(port) + 10_000)]
        assert f"set $program http://{name}:{target};" in part
        assert ("auth_request /key;" in part) == (name in {"prometheus", "alertmanager"})
    assert "location = /events { return 404; }" in servers["18085"]


def test_every_port_is_published_on_an_address_that_the_operator_chooses() -> None:
    for name, service in services().items():
        host = "PROXY_HOST" if name == "proxy" else "PUBLISH_HOST"
        for port in service.get("ports", []):
            assert port.startswith(f"${{{host}:-127.0.0.1}}:")


def test_no_password_stands_in_the_files() -> None:
    given = dict(VARIABLE.findall(COMPOSE.read_text()))
    assert given["GRAFANA_ADMIN_PASSWORD"].startswith(":?")
    assert not re.search(r"^\s*\w*(PASSWORD|SECRET|KEYS)\w*=\S", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_the_env_example_names_each_variable_that_compose_reads_and_no_other() -> None:
    example = (ROOT / ".env.example").read_text()
    by_command = {"GRAFANA_ADMIN_PASSWORD", "MONGODB_PASSWORD", "MONGODB_URI"}
    explained = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) | by_command
    assert all(name in example for name in by_command)
    read = {name for name, _ in VARIABLE.findall(COMPOSE.read_text())} - {"SEXTANT_TAG"}
    assert explained == read


def test_a_default_that_compose_states_is_that_of_the_setting() -> None:
    inside = {"MONGODB_URI", "PUBLISH_HOST"}
    for name, rest in VARIABLE.findall(COMPOSE.read_text()):
        if rest.removeprefix(":-") and (field := Settings.model_fields.get(name.lower())) and name not in inside:
            assert rest == f":-{field.default}", name


def test_every_setting_of_the_alerts_reaches_the_service_that_writes_their_configuration() -> None:
    wanted = {name.upper() for name in Settings.model_fields if name.startswith("alert_")}
    assert wanted == set(services()["alerting"]["environment"])


def test_links_reach_those_who_print_them() -> None:
    links = {"GRAFANA_URL", "LIVE_PAGE_URL", "REPORTS_URL"}
    for name in ("monitoring", "flows", "prometheus"):
        assert links <= set(services()[name]["environment"])
    assert "--enable-feature=expand-external-labels" in services()["prometheus"]["command"]


def test_prometheus_is_told_of_every_service_that_has_metrics() -> None:
    targets = (ROOT / "prometheus" / "targets").glob("*.json")
    groups = [group for file in targets for group in json.loads(file.read_text())]
    hosts = {target.partition(":")[0] for group in groups for target in group["targets"]}
    exporters = {name for name in services() if name.endswith("-exporter")}
    assert hosts == {"prediction", "relay", "monitoring", "localhost", "alertmanager"} | exporters
    assert len({group["labels"]["job"] for group in groups}) == len(groups)


def test_the_node_exporter_collects_the_same_in_compose_as_on_one_machine() -> None:
    in_compose = {flag.replace("$$", "$") for flag in services()["node-exporter"]["command"]}
    local = shlex.split(commands()["node-exporter"])
    assert {flag for flag in in_compose if flag.startswith("--collector.")} == {
        flag for flag in local if flag.startswith("--collector.")
    }


def test_grafana_is_given_all_that_the_repository_provisions_and_talks_to_nobody() -> None:
    grafana = services()["grafana"]
    mounted = [volume.split(":")[0] for volume in grafana["volumes"]]
    for file in (ROOT / "grafana" / "provisioning").rglob("*.yml"):
        path = f"./{file.relative_to(ROOT)}"
        assert any(path == source or path.startswith(f"{source}/") for source in mounted), path
    assert grafana["environment"].items() >= GRAFANA_SILENT.items()


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_every_file_that_is_mounted_exists(name: str, service: dict[str, Any]) -> None:
    filled_by_the_operator = {"./imports", "./secrets"}
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./") and source not in filled_by_the_operator:
            assert (ROOT / source).exists(), source


@pytest.mark.parametrize(("name", "service"), [case for case in SERVICES if "build" in case.values[1]])
def test_our_services_are_given_only_settings_that_exist(name: str, service: dict[str, Any]) -> None:
    known = {field.upper() for field in Settings.model_fields}
    ours = {key for key in service.get("environment", {}) if not key.startswith("PREFECT_")} - {"TMPDIR"}
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
    assert f"COPY {path.parent.relative_to(ROOT)}/requirements.lock" in text
    assert re.search(r"^USER sextant$", text, re.MULTILINE)


@by_dockerfile
def test_an_image_holds_what_its_service_imports_and_nothing_else(path: Path) -> None:
    copied = {
        folder.replace("/", ".") for folder in re.findall(r"^COPY ([\w/]+) \1$", path.read_text(), re.MULTILINE)
    }
    needed = {".".join(path.parent.relative_to(ROOT).parts)} | run_from(path)
    for _ in PACKAGES:  # until nothing is added: what is imported imports in its turn
        needed |= {package for name in needed for package in imported_by(ROOT / name.replace(".", "/"))}
    assert {package for package in copied if package in PACKAGES} == needed


def run_from(dockerfile: Path) -> set[str]:
    """The packages that compose runs as `python -m PACKAGE` from the image of a Dockerfile."""
    path = str(dockerfile.relative_to(ROOT))
    commands = [
        service["command"]
        for service in services().values()
        if service.get("build", {}).get("dockerfile") == path and "command" in service
    ]
    return {room_of(command[2]) for command in commands if command[:2] == ["python", "-m"]}


def room_of(module: str) -> str:
    """The package that a Dockerfile copies whole: a service, or one room of `sextant`."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "sextant" else 1])


@cache
def imported_by(package: Path) -> set[str]:
    names: set[str] = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {room_of(node.module)}
            elif isinstance(node, ast.Import):
                names |= {room_of(alias.name) for alias in node.names}
    return names & PACKAGES


def test_the_build_context_lets_in_what_the_dockerfiles_copy() -> None:
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for path in DOCKERFILES:
        for copied in re.findall(r"^COPY ([\w./]+) ", path.read_text(), re.MULTILINE):
            assert any(f"{copied}/".startswith(f"{name}/") for name in allowed), copied


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_no_service_may_take_all_memory_of_the_machine(name: str, service: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
