"""The secret of relay and monitoring: made once, kept, readable by its owner only, and never shown."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sextant.contracts.errors import Fatal, SettingsError
from sextant.infrastructure.events_token import events_token
from sextant.infrastructure.settings import load_settings

SECRET = "a-secret-that-nobody-guesses"  # noqa: S105 - of tests alone


def test_it_is_made_at_the_first_start_and_stays(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    token = events_token(settings)
    assert len(token) > 30
    assert events_token(settings) == token
    file = tmp_path / "secrets" / "events-token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["events-token"]


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: events_token(settings), range(64)))) == 1


def test_a_setting_or_a_file_of_the_operator_s_goes_first(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text(f"{SECRET}\n")
    assert events_token(load_settings(data_dir=tmp_path, events_token_file=tmp_path / "mine")) == SECRET
    assert events_token(load_settings(data_dir=tmp_path, events_token=SECRET)) == SECRET
    assert not (tmp_path / "secrets").exists()
    assert SECRET not in repr(load_settings(events_token=SECRET))


@pytest.mark.parametrize("wrong", ["short", "with a blank in the middle", "with-\u00fcmlauts-in-the-middle"])
def test_a_secret_that_no_header_can_hold_or_anyone_can_guess_stops_the_service(
    tmp_path: Path, wrong: str
) -> None:
    with pytest.raises(SettingsError, match="EVENTS_TOKEN must hold"):
        events_token(load_settings(events_token=wrong))
    (tmp_path / "token").write_text(wrong)
    with pytest.raises(SettingsError, match="token must hold"):
        events_token(load_settings(events_token_file=tmp_path / "token"))


def test_an_empty_file_stops_the_service_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    with pytest.raises(Fatal, match="is empty"):
        events_token(load_settings(events_token_file=tmp_path / "token"))
