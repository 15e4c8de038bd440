"""Who may use Prefect's server, and what a run may do that anyone with its password can start."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from batch_flows.import_targets.folder import path_in_folder, rejects_of
from batch_flows.orchestration.settings import auth_string, prepare_environment, server_answers
from batch_flows.server import allowed_origins, prepare_server_environment
from sextant.contracts.errors import Fatal, Rejected
from sextant.infrastructure.secret_files import shared_secret
from sextant.infrastructure.settings import load_settings

VARIABLES = (
    "PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_HOME", "PREFECT_SERVER_ANALYTICS_ENABLED",
    "PREFECT_SERVER_EPHEMERAL_ENABLED", "PREFECT_LOGGING_LEVEL", "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "PREFECT_SERVER_UI_API_URL", "PREFECT_SERVER_UI_V2_ENABLED",
    "DO_NOT_TRACK",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "x")  # so that it is restored, whoever sets it
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


# --- the password ------------------------------------------------------------------------------------------


def test_a_password_is_made_once_and_only_its_owner_can_read_it() -> None:
    settings = load_settings()
    made = auth_string(settings)
    user, _, password = made.partition(":")
    assert user == "sextant"
    assert len(password) >= 32
    assert auth_string(settings) == made
    assert stat.S_IMODE(settings.prefect_secret_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.prefect_secret_file.parent.stat().st_mode) == 0o700
    assert [path.name for path in settings.prefect_secret_file.parent.iterdir()] == ["prefect"]


def test_server_and_flows_that_start_at_once_agree_on_one_password(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "prefect"
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda number: shared_secret(path, f"secret {number}"), range(64)))) == 1


def test_the_operator_s_password_counts_for_server_and_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "me:mine")
    settings = load_settings()
    prepare_environment(settings)
    prepare_server_environment(settings)
    assert os.environ["PREFECT_API_AUTH_STRING"] == os.environ["PREFECT_SERVER_API_AUTH_STRING"] == "me:mine"
    assert not settings.prefect_secret_file.exists()
    assert "mine" not in repr(settings)


@pytest.mark.parametrize("wrong", ["no-colon", ":password", "user:"])
def test_a_password_without_its_form_is_refused_and_not_repeated(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", wrong)
    with pytest.raises(Fatal, match=r"PREFECT_API_AUTH_STRING must be user:password$"):
        auth_string(load_settings())


def test_an_empty_file_of_the_password_is_named() -> None:
    path = load_settings().prefect_secret_file
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(Fatal, match=f"{path} is empty"):
        auth_string(load_settings())


def test_a_server_with_another_password_is_one_sentence() -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        settings = load_settings(prefect_api_url=f"http://127.0.0.1:{server.server_port}/api")
        with pytest.raises(
            Fatal, match=r"does not accept the password in .*/secrets/prefect; set PREFECT_API_AUTH"
        ):
            server_answers(settings)
        server.shutdown()


@pytest.mark.parametrize(
    ("url", "origins"),
    [
        ("http://127.0.0.1:4200", ["http://127.0.0.1:4200", "http://localhost:4200"]),
        ("https://prefect.example/here/", ["https://prefect.example"]),
    ],
)
def test_only_pages_of_the_server_itself_may_use_it(url: str, origins: list[str]) -> None:
    assert allowed_origins(url) == origins
    prepare_server_environment(load_settings(prefect_url=url))
    assert os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"].split(",") == origins


# --- what a run may do -------------------------------------------------------------------------------------


def test_a_deployment_has_no_parameter_that_deletes_or_names_a_file_to_write() -> None:
    settings = load_settings()
    prepare_environment(settings)
    from batch_flows.orchestration.schedule import deployments

    offered = {
        deployment.flow_name: set(deployment._parameter_openapi_schema.properties)
        for deployment in deployments(settings)
    }
    assert offered["retention"] == {"model"}
    assert offered["import-targets"] == {"path", "model", "skip_unknown", "replace"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "imports"
    (folder / "march").mkdir(parents=True)
    (folder / "march" / "targets.csv").write_text("prediction_id,target\n")
    (tmp_path / "outside.csv").write_text("a secret\n")
    (folder / "link.csv").symlink_to(tmp_path / "outside.csv")
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    return folder


def test_a_file_of_the_folder_is_found_by_name_and_by_path(folder: Path) -> None:
    file = folder / "march" / "targets.csv"
    for path in (Path("march/targets.csv"), file, Path("march/../march/targets.csv")):
        assert path_in_folder(folder, path) == file
    assert rejects_of(load_settings(), file).parent.is_dir()


@pytest.mark.parametrize(
    "path",
    ["/etc/shadow", "/etc/nothing", "../outside.csv", "march/../../outside.csv", "link.csv", "loop", "pipe",
     "march", ".", "none.csv", "a\0b"],
)  # fmt: skip
def test_no_other_file_is_and_nothing_tells_whether_there_is_one(folder: Path, path: str) -> None:
    with pytest.raises(Rejected) as refused:
        path_in_folder(folder, Path(path))
    assert str(refused.value) == f"{path} is not a file in {folder} (IMPORT_DIR), from where targets are imported"


@pytest.mark.parametrize("name", ["../secrets", "/etc", "a/b", ""])
def test_a_model_s_name_leads_to_no_other_folder(name: str) -> None:
    prepare_environment(load_settings())
    from batch_flows.orchestration.steps import read_bundle

    with pytest.raises(Rejected, match="there is no model"):
        read_bundle(load_settings(), name, None)
    with pytest.raises(Rejected, match="with a version"):
        read_bundle(load_settings(), "taxi", name or "..")
