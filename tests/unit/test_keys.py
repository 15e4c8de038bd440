"""Keys: made by a command, kept as hashes, followed without a restart, and never an open door by mistake."""

import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sextant.contracts.errors import SettingsError
from sextant.infrastructure.doors import (
    ANY_KEY,
    FEEDBACK,
    METRICS,
    OPEN,
    PREDICT,
    READ,
    Door,
    Refused,
    admit,
    configured_keys,
    given_key,
    keys_of,
    require_closed_doors,
)
from sextant.infrastructure.keys import CHECK_SECONDS, KeyRing
from sextant.infrastructure.settings import load_settings
from sextant.keys.__main__ import main

Run = Callable[..., str]


class Clock:
    """Time that passes when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_a_second(self) -> None:
        self.now += CHECK_SECONDS


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keys.json"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))

    def run(*arguments: str, code: int = 0) -> str:
        assert main(arguments) == code
        said = capsys.readouterr()
        return (said.err if code else said.out).strip()

    return run


def may(keys: KeyRing, door: Door, given: str) -> int:
    """200, or the status of the refusal."""
    try:
        if door is not None and keys.closed:
            admit(keys, door, given)
    except Refused as error:
        return error.status
    return 200


# --- the command ------------------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_stored_as_its_hash_for_its_owner_alone(run: Run, path: Path) -> None:
    key = run("add", "shop", "--scope", "predict", "--scope", "feedback")
    assert len(key) > 40
    assert key not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    listed = run("list")
    assert "shop" in listed
    assert "predict feedback" in listed
    assert key not in listed


def test_names_are_unique_and_what_cannot_be_done_is_said_in_one_line(run: Run) -> None:
    run("add", "shop", "--scope", "read")
    assert "there is a key named 'shop'" in run("add", "shop", "--scope", "read", code=2)
    assert "there is no key named 'other'" in run("remove", "other", code=2)
    assert "a name has 1 to 64 letters" in run("add", "<script>", "--scope", "read", code=2)
    run("remove", "shop")
    assert "there is no key" in run("list")


def test_commands_at_once_lose_no_key(run: Run, path: Path) -> None:
    run("add", "first", "--scope", "read")
    threads = [threading.Thread(target=main, args=(["add", f"k{n}", "--scope", "read"],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(path.read_text())["keys"]) == 9


# --- keys in force ----------------------------------------------------------------------------------------------


def test_a_key_opens_the_doors_of_its_scopes_and_admin_opens_all(run: Run, path: Path) -> None:
    predicting, reading, admin = (run("add", name, "--scope", name) for name in ("predict", "read", "admin"))
    keys = KeyRing(path=path)
    assert [may(keys, door, predicting) for door in (PREDICT, FEEDBACK, READ, METRICS, ANY_KEY)] == [
        200, 403, 403, 403, 200,
    ]  # fmt: skip
    assert [may(keys, door, reading) for door in (PREDICT, FEEDBACK, READ, METRICS, ANY_KEY)] == [
        403, 403, 200, 200, 200,
    ]  # fmt: skip
    assert [may(keys, door, admin) for door in (PREDICT, FEEDBACK, READ, METRICS, ANY_KEY)] == [200] * 5
    for wrong in ("", "predict", predicting[:-1], predicting + "x", "\udcff"):
        assert may(keys, ANY_KEY, wrong) == 401
        assert may(keys, OPEN, wrong) == 200


def test_without_any_key_all_doors_are_open_until_the_first_is_made(run: Run, path: Path, clock: Clock) -> None:
    keys = KeyRing(path=path, clock=clock)
    assert may(keys, PREDICT, "") == 200
    key = run("add", "shop", "--scope", "predict")
    clock.pass_a_second()
    assert may(keys, PREDICT, "") == 401
    assert may(keys, PREDICT, key) == 200


def test_a_removed_key_is_refused_without_a_restart_and_the_last_one_leaves_the_door_closed(
    run: Run, path: Path, clock: Clock
) -> None:
    old, new = run("add", "old", "--scope", "predict"), run("add", "new", "--scope", "predict")
    keys = KeyRing(path=path, clock=clock)
    run("remove", "old")
    clock.pass_a_second()
    assert [may(keys, PREDICT, key) for key in (old, new, "")] == [401, 200, 401]
    run("remove", "new")
    clock.pass_a_second()
    assert [may(keys, PREDICT, key) for key in (old, new, "")] == [401, 401, 401]
    assert may(KeyRing(path=path), PREDICT, "") == 401


@pytest.mark.parametrize("content", [None, "", "{", '{"keys": [{"name": "x"}]}', '{"keys": 5}', "[]", b"\xff"])
def test_a_broken_or_missing_file_keeps_the_keys_that_were_in_force_and_says_so(
    run: Run, path: Path, clock: Clock, content: str | bytes | None
) -> None:
    key = run("add", "shop", "--scope", "predict")
    keys = KeyRing(path=path, clock=clock)
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    clock.pass_a_second()
    assert [may(keys, PREDICT, given) for given in (key, "")] == [200, 401]
    assert keys.problem
    assert "in force before" in keys.problem
    path.write_bytes(whole)
    clock.pass_a_second()
    assert [may(keys, PREDICT, given) for given in (key, "")] == [200, 401]
    assert keys.problem is None


def test_a_file_that_comes_broken_closes_the_door(path: Path, clock: Clock) -> None:
    keys = KeyRing(path=path, clock=clock)
    path.parent.mkdir()
    path.write_text("{")
    clock.pass_a_second()
    assert may(keys, PREDICT, "") == 401


def test_a_service_does_not_start_with_a_broken_file_or_one_that_was_named_and_is_not_there(
    tmp_path: Path, path: Path
) -> None:
    path.parent.mkdir()
    path.write_text('{"keys": [{"name": "the-secret-of-somebody"}]}')
    with pytest.raises(SettingsError, match=r"is no key file: keys\.0\.scopes: Field required") as refused:
        keys_of(load_settings(data_dir=tmp_path))
    assert "the-secret-of-somebody" not in str(refused.value)
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        keys_of(load_settings(data_dir=tmp_path, api_keys_file=tmp_path / "typo.json"))


def test_a_key_that_stands_twice_is_a_broken_file(run: Run, path: Path) -> None:
    run("add", "shop", "--scope", "read")
    stored = json.loads(path.read_text())["keys"]
    path.write_text(json.dumps({"keys": stored * 2}))
    with pytest.raises(SettingsError, match="two keys have the same name"):
        KeyRing(path=path)


def test_the_keys_in_the_setting_open_what_they_always_did_and_pages_too(tmp_path: Path) -> None:
    keys = KeyRing(configured_keys(load_settings(data_dir=tmp_path, api_keys="one,two")))
    for door in (PREDICT, FEEDBACK, READ, METRICS):
        assert [may(keys, door, given) for given in ("one", "two", "three", "")] == [200, 200, 401, 401]


def test_prometheus_has_a_key_of_its_own_that_opens_metrics_alone_and_closes_nothing(
    tmp_path: Path, run: Run, clock: Clock
) -> None:
    settings = load_settings(data_dir=tmp_path)
    assert may(keys_of(settings), PREDICT, "") == 200
    token = settings.metrics_token_path.read_text().strip()
    run("add", "shop", "--scope", "predict")
    keys = keys_of(settings)
    assert [may(keys, door, token) for door in (METRICS, READ, PREDICT, ANY_KEY)] == [200, 403, 403, 403]


def test_where_prometheus_key_cannot_be_made_the_service_starts_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "secrets").touch()
    assert not keys_of(load_settings(data_dir=tmp_path)).closed


# --- how a key is given -----------------------------------------------------------------------------------------


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("api_key", "authorization", "key"),
    [
        ("k", None, "k"),
        (None, "Bearer k", "k"),
        (None, "bearer k", "k"),
        (None, basic("anyone:k"), "k"),
        (None, basic("anyone:with:colons"), "with:colons"),
        (None, basic("no-colon"), ""),
        (None, "Basic ***", ""),
        (None, "Basic \xff", ""),
        (None, "Digest k", ""),
        (None, "k", ""),
        (None, None, ""),
        ("k", basic("anyone:other"), "k"),
    ],
)
def test_a_key_comes_in_a_header_of_its_own_as_a_bearer_or_as_a_browser_s_password(
    api_key: str | None, authorization: str | None, key: str
) -> None:
    assert given_key(api_key, authorization) == key


# --- addresses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "sextant.example.com", ""])  # noqa: S104
def test_nobody_else_s_address_is_served_without_keys_unless_a_setting_says_so(tmp_path: Path, host: str) -> None:
    settings = load_settings(data_dir=tmp_path, bind_host=host)
    with pytest.raises(SettingsError, match=r"^BIND_HOST .*lets others in") as refused:
        require_closed_doors(settings, KeyRing())
    assert "\n" not in str(refused.value)
    require_closed_doors(settings.model_copy(update={"allow_open": True}), KeyRing())
    require_closed_doors(settings, KeyRing(configured_keys(load_settings(api_keys="one"))))


def test_in_a_container_it_is_where_the_port_is_published_that_counts(tmp_path: Path) -> None:
    everywhere = "0.0.0.0"  # noqa: S104
    require_closed_doors(load_settings(bind_host=everywhere, publish_host="127.0.0.1"), KeyRing())
    for hosts in (everywhere, f"127.0.0.1,{everywhere}"):
        with pytest.raises(SettingsError, match=r"PUBLISH_HOST .*0\.0\.0\.0 lets"):
            require_closed_doors(load_settings(bind_host=everywhere, publish_host=hosts), KeyRing())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_the_loopback_is_served_without_keys(host: str) -> None:
    require_closed_doors(load_settings(bind_host=host), KeyRing())
