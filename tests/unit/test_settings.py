"""A wrong setting stops a process with one line, which says what is wrong and shows no secret."""

import pytest

from sextant.contracts.errors import SettingsError
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import load_settings

PASSWORD = "s3cret"  # noqa: S105 - shown nowhere is the point


@pytest.mark.parametrize("keys", [" , ", ",", " "])
def test_api_keys_without_a_key_are_a_mistake_and_not_an_open_door(
    monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    monkeypatch.setenv("API_KEYS", keys)
    with pytest.raises(SettingsError, match=r"API_KEYS: .*there is no key between the commas"):
        load_settings()


def test_no_api_keys_at_all_require_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "")
    assert load_settings().api_keys == frozenset()


def test_a_wrong_value_is_named_with_its_variable() -> None:
    with pytest.raises(SettingsError, match=r"WINDOW_SIZE: .*got 'many'"):
        load_settings(window_size="many")


def test_a_wrong_mongodb_address_is_named_without_its_password() -> None:
    with pytest.raises(SettingsError, match="MONGODB_URI") as raised:
        load_settings(mongodb_uri=f"mongo://user:{PASSWORD}@host")
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://user:%{PASSWORD}@host",
        f"mongodb://user:{PASSWORD}/x@host",
        f"mongodb://user:{PASSWORD}@x@host",
        f"mongodb://user:{PASSWORD}@host:99999",
        f"mongodb://user:{PASSWORD}@",
    ],
)
def test_an_address_that_the_driver_refuses_is_one_line_without_its_password(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"^MONGODB_URI: ") as raised:
        EventStore.connect(load_settings(mongodb_uri=uri).mongodb_uri, "sextant")
    assert PASSWORD not in str(raised.value)
