"""The shared facts: settings that are checked, schemas that hold together, events that survive the wire."""

from datetime import UTC, datetime

import orjson
import pytest
from pydantic import ValidationError

from sextant.contracts.errors import BundleError, SettingsError
from sextant.contracts.events import Prediction, Target
from sextant.contracts.model_bundle import current_version, load_bundle, model_names, set_current
from sextant.contracts.schema import Feature, FeatureSchema
from sextant.infrastructure.settings import load_settings
from tests.bundles import TRIP_SCHEMA, make_manifest, publish_trips

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_settings_have_defaults_that_work_locally(monkeypatch):
    monkeypatch.delenv("DATA_DIR", raising=False)
    settings = load_settings()
    assert (settings.prediction_port, settings.relay_port, settings.monitoring_port) == (9696, 9697, 8085)
    assert str(settings.outbox_file) == "data/outbox/outbox.db"


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("WINDOW_SIZE", "")
    assert load_settings().window_size == 1_000


def test_every_wrong_setting_is_named_in_one_line(monkeypatch):
    monkeypatch.setenv("PREDICTION_PORT", "99999")
    monkeypatch.setenv("MONITORING_URL", "not a url")
    monkeypatch.setenv("EVALUATE_EVERY", "soon")
    with pytest.raises(SettingsError) as error:
        load_settings()
    text = str(error.value)
    assert "\n" not in text
    for name in ("PREDICTION_PORT", "MONITORING_URL", "EVALUATE_EVERY", "'soon'"):
        assert name in text


def test_api_keys_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("API_KEYS", "one, two,")
    assert load_settings().api_keys == {"one", "two"}


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(ValidationError):
        load_settings().window_size = 5


@pytest.mark.parametrize("names", [("a", "a"), ("prediction",), ("target",), ("no space",)])
def test_a_schema_refuses_names_that_clash(names):
    with pytest.raises(ValidationError):
        FeatureSchema(features=tuple(Feature(name=name, kind="numerical") for name in names))


def test_events_survive_their_json():
    prediction = Prediction("p", "taxi", "v1", NOON, {"x": 1.5, "zone": "7"}, 3.0, {"n": {"a": [1]}}, None, 0.2)
    target = Target("p", "taxi", 4.0, NOON)
    assert Prediction.from_dict(orjson.loads(orjson.dumps(prediction.to_dict()))) == prediction
    assert Target.from_dict(orjson.loads(orjson.dumps(target.to_dict()))) == target


@pytest.mark.parametrize(
    "broken", [{}, {"prediction_id": "p"}, {"created_at": "yesterday"}, {"created_at": "2026-01-02T12:00:00"}]
)
def test_what_is_no_prediction_is_refused(broken):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Prediction.from_dict(broken)


def test_a_bundle_is_found_by_its_current_version(tmp_path):
    publish_trips(tmp_path, version="v1", rows=50)
    publish_trips(tmp_path, version="v2", rows=50)
    assert model_names(tmp_path) == ["taxi"]
    assert load_bundle(tmp_path, "taxi").manifest.version == "v2"
    set_current(tmp_path, "taxi", "v1")
    assert current_version(tmp_path, "taxi") == "v1"
    assert len(load_bundle(tmp_path, "taxi").reference()) == 50


def test_an_unknown_version_never_becomes_current(tmp_path):
    publish_trips(tmp_path, version="v1", rows=50)
    with pytest.raises(BundleError, match="v9"):
        set_current(tmp_path, "taxi", "v9")
    assert current_version(tmp_path, "taxi") == "v1"


def test_a_manifest_that_is_none_says_what_to_run(tmp_path):
    bundle = publish_trips(tmp_path, rows=50)
    bundle.file("manifest.json").write_text("{}")
    with pytest.raises(BundleError, match=r"prepare\.py --force"):
        load_bundle(tmp_path, "taxi")


def test_a_manifest_names_the_column_of_the_event_s_time_or_none_as_older_ones_do():
    assert make_manifest(TRIP_SCHEMA).time is None
    for column in ("lpep_pickup_datetime", "created_at"):
        assert make_manifest(TRIP_SCHEMA, time=column).time == column


@pytest.mark.parametrize("column", ["", "prediction", "target", "prediction_id"])
def test_a_manifest_s_time_cannot_be_a_reserved_column(column):
    with pytest.raises(ValidationError, match="time"):
        make_manifest(TRIP_SCHEMA, time=column)
