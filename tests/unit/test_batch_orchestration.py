"""A step is a plain call where no Prefect server records it, and the environment is ready before Prefect is."""

from importlib import import_module
from pathlib import Path

import pytest

import batch_flows
from batch_flows.orchestration.command import load_flow
from batch_flows.orchestration.settings import prepare_environment, server_answers
from sextant.contracts.errors import Fatal, Retryable
from sextant.infrastructure.settings import load_settings

VARIABLES = (
    "PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_HOME", "PREFECT_SERVER_ANALYTICS_ENABLED",
    "PREFECT_SERVER_EPHEMERAL_ENABLED", "PREFECT_LOGGING_LEVEL", "DO_NOT_TRACK",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "x")  # so that it is restored, whoever sets it
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))


def test_prefect_lives_in_the_data_folder_and_phones_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    prepare_environment(load_settings(prefect_api_url="http://prefect:4200/api"))
    assert os.environ["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert (tmp_path / "prefect").is_dir()
    assert os.environ["PREFECT_API_URL"] == "http://prefect:4200/api"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["DO_NOT_TRACK"] == "1"


def test_what_the_operator_has_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("PREFECT_HOME", "/elsewhere")
    prepare_environment(load_settings())
    assert os.environ["PREFECT_HOME"] == "/elsewhere"


def test_a_data_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Fatal, match=r"cannot create the folder .*file/prefect"):
        prepare_environment(load_settings(data_dir=tmp_path / "file"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api", "http://[broken/api"])
def test_a_server_that_is_not_there_does_not_answer(url: str) -> None:
    assert server_answers(load_settings(prefect_api_url=url)) is False


def test_outside_of_a_flow_run_a_step_is_called_once_and_its_error_is_its_own() -> None:
    prepare_environment(load_settings())
    from batch_flows.orchestration.steps import is_recorded, run_logger, step

    calls: list[str] = []

    @step(name="Fetch", minutes=1)
    def fetch(what: str) -> str:
        """Fetches."""
        calls.append(what)
        raise Retryable("away")

    with pytest.raises(Retryable, match="away"):
        fetch("rows")
    assert calls == ["rows"]
    assert fetch.__doc__ == "Fetches."
    assert not is_recorded()
    assert run_logger().name == "batch_flows"


def test_each_folder_with_a_flow_holds_one_of_its_name_that_is_a_command_and_has_a_deployment() -> None:
    settings = load_settings()
    prepare_environment(settings)
    from batch_flows.orchestration.schedule import deployments

    folders = {path.parent.name for path in Path(batch_flows.__file__).parent.glob("*/flow.py")}
    scheduled = {deployment.flow_name for deployment in deployments(settings)}
    assert len(folders) >= 5
    for folder in folders:
        assert load_flow(folder).name == folder.replace("_", "-")
        assert callable(import_module(f"batch_flows.{folder}.__main__").main)
    assert scheduled == {folder.replace("_", "-") for folder in folders}
