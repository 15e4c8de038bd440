"""Live models: verified at start, swapped when a new version is published, kept when the new one is broken."""

import os

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer
from structlog.testing import capture_logs

from prediction_service.errors import ModelUnavailable, UnknownModel, UnpredictableRecord
from prediction_service.live_models import LiveModels
from prediction_service.predictor import Predictor, load_predictor
from sextant.contracts.errors import BundleError
from sextant.contracts.model_bundle import (
    MANIFEST,
    ONNX_MODEL,
    PIPELINE,
    current_version,
    file_sha256,
    load_bundle,
    set_current,
)
from sextant.contracts.schema import Feature, FeatureSchema
from tests.bundles import TRIP_SCHEMA, make_trips, publish_bundle
from tests.onnx_models import trip_duration


def publish(folder, version, onnx=None, name="taxi"):
    return publish_bundle(
        folder,
        make_trips(50),
        TRIP_SCHEMA,
        name=name,
        version=version,
        task="regression",
        onnx=trip_duration() if onnx is None else onnx,
    )


def test_without_any_model_the_error_says_what_to_run(tmp_path):
    with pytest.raises(BundleError, match=r"prepare\.py"):
        LiveModels(tmp_path)


def test_a_file_with_a_wrong_checksum_is_an_error_that_says_what_to_run(tmp_path):
    bundle = publish(tmp_path, "v1")
    bundle.file(ONNX_MODEL).write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"model\.onnx is corrupt.*prepare\.py --force"):
        LiveModels(tmp_path)


def test_a_missing_file_is_an_error_that_says_what_to_run(tmp_path):
    publish(tmp_path, "v1").file(ONNX_MODEL).unlink()
    with pytest.raises(BundleError, match=r"model\.onnx is missing.*prepare\.py --force"):
        LiveModels(tmp_path)


def test_a_newly_published_version_goes_live(tmp_path):
    publish(tmp_path, "v1")
    models = LiveModels(tmp_path)
    publish(tmp_path, "v2")
    models.refresh()
    assert models["taxi"].manifest.version == "v2"
    set_current(tmp_path, "taxi", "v1")
    models.refresh()
    assert models["taxi"].manifest.version == "v1"


def test_a_broken_new_version_leaves_the_old_one_serving(tmp_path):
    publish(tmp_path, "v1")
    models = LiveModels(tmp_path)
    publish(tmp_path, "v2", onnx=b"not a model")
    models.refresh()
    assert models["taxi"].manifest.version == "v1"


def test_a_corrupt_bundle_beside_a_whole_one_is_unavailable_until_it_is_mended(tmp_path):
    publish(tmp_path, "v1")
    broken = publish(tmp_path, "v1", name="bikes").file(ONNX_MODEL)
    whole = broken.read_bytes()
    broken.write_bytes(b"damaged")
    models = LiveModels(tmp_path)
    assert [model.manifest.name for model in models.all()] == ["taxi"]
    with pytest.raises(ModelUnavailable, match=r"'bikes' cannot be served.*corrupt"):
        models["bikes"]
    assert "corrupt" in models.broken["bikes"]
    broken.write_bytes(whole)
    models.refresh()
    assert models["bikes"].manifest.name == "bikes"
    assert models.broken == {}


def test_a_file_that_the_manifest_does_not_list_is_refused_by_name(tmp_path):
    (publish(tmp_path, "v1").path / "pipeline.skops").write_bytes(b"anything")
    with pytest.raises(BundleError, match=r"does not list: pipeline\.skops"):
        LiveModels(tmp_path)


@pytest.mark.parametrize("folder", ["bikes/v1", "taxi/v2"])
def test_a_bundle_in_a_folder_of_another_name_is_refused(tmp_path, folder):
    publish(tmp_path, "v1").path.rename(tmp_path / "moved")
    (tmp_path / "taxi" / "current").unlink()
    (tmp_path / folder).parent.mkdir(exist_ok=True)
    (tmp_path / "moved").rename(tmp_path / folder)
    set_current(tmp_path, *folder.split("/"))
    with pytest.raises(BundleError, match="says that it is version 'v1' of 'taxi'"):
        LiveModels(tmp_path)


@pytest.mark.parametrize("name", ["../v0/model.onnx", "/etc/hosts", "..", "manifest.json"])
def test_a_manifest_lists_files_of_its_own_folder_only(tmp_path, name):
    manifest = publish(tmp_path, "v1").manifest
    with pytest.raises(ValueError, match="not one of the bundle's folder"):
        type(manifest)(**manifest.model_dump() | {"files": {name: "0"}})


def skops_bundle(folder):
    """A bundle whose pipeline holds a function that nobody vouches for, though its manifest does."""
    import skops.io  # takes a second

    bundle = publish(folder, "v1")
    path = bundle.path / PIPELINE
    skops.io.dump(FunctionTransformer(os.path.join), path)
    files = {**bundle.manifest.files, PIPELINE: file_sha256(path)}
    named = tuple(skops.io.get_untrusted_types(file=path))
    manifest = bundle.manifest.model_copy(update={"runtime": "skops", "trusted_types": named, "files": files})
    (bundle.path / MANIFEST).write_text(manifest.model_dump_json())
    return load_bundle(folder, "taxi")


def test_a_bundle_cannot_vouch_for_its_own_types(tmp_path):
    bundle = skops_bundle(tmp_path)
    assert bundle.manifest.trusted_types == ("posixpath.join",)
    with pytest.raises(BundleError, match=r"nobody vouches for \(posixpath\.join\); see TRUSTED_TYPES"):
        load_predictor(bundle)
    assert load_predictor(bundle, ("posixpath.join",)).manifest == bundle.manifest


def test_an_unknown_model_is_named_with_the_known_ones(tmp_path):
    publish(tmp_path, "v1")
    with pytest.raises(UnknownModel, match=r"'iris'.*taxi"):
        LiveModels(tmp_path)["iris"]


@pytest.mark.filterwarnings("ignore:overflow")
def test_an_answer_that_is_not_finite_is_refused(tmp_path):
    manifest = publish(tmp_path, "v1").manifest
    schema = FeatureSchema(features=(Feature(name="trip_distance", kind="numerical"),))
    predictor = Predictor(
        manifest.model_copy(update={"feature_schema": schema}),
        lambda columns: (columns["trip_distance"] * 1e38, None),
    )
    assert predictor.predict([{"trip_distance": 1.0}])[0].prediction == pytest.approx(1e38)
    with pytest.raises(UnpredictableRecord, match="record 1"):
        predictor.predict([{"trip_distance": 1.0}, {"trip_distance": 1e10}])


def test_probabilities_that_are_not_finite_are_refused(tmp_path):
    manifest = publish(tmp_path, "v1").manifest.model_copy(
        update={"task": "classification", "classes": ("a", "b")}
    )
    shares = np.array([[0.5, 0.5], [np.nan, 1.0]])
    predictor = Predictor(manifest, lambda _columns: (np.array(["a", "b"]), shares))
    with pytest.raises(UnpredictableRecord, match="record 1"):
        predictor.predict([{"trip_distance": 1.0}, {"trip_distance": 2.0}])


@pytest.fixture
def loads(monkeypatch):
    """The versions that were loaded or tried, in order."""
    tried: list[str] = []

    def load(models_dir, name):
        tried.append(current_version(models_dir, name))
        return load_bundle(models_dir, name)

    monkeypatch.setattr("prediction_service.live_models.load_bundle", load)
    return tried


def test_a_version_that_does_not_load_is_tried_and_reported_once(tmp_path, loads):
    publish(tmp_path, "v1")
    models = LiveModels(tmp_path)
    publish(tmp_path, "v2", onnx=b"not a model")
    with capture_logs() as lines:
        for _ in range(3):
            models.refresh()
    assert loads == ["v1", "v2"]
    assert [line["log_level"] for line in lines] == ["error"]
    assert models["taxi"].manifest.version == "v1"
    assert list(models.broken) == ["taxi"]


def test_a_version_that_did_not_load_is_tried_again_when_its_files_change(tmp_path, loads):
    publish(tmp_path, "v1")
    models = LiveModels(tmp_path)
    broken = publish(tmp_path, "v2").file(ONNX_MODEL)
    whole = broken.read_bytes()
    broken.write_bytes(b"damaged")
    models.refresh()
    broken.write_bytes(whole)
    models.refresh()
    assert loads == ["v1", "v2", "v2"]
    assert models["taxi"].manifest.version == "v2"


def test_a_version_that_did_not_load_is_tried_again_after_a_roll_back(tmp_path, loads):
    publish(tmp_path, "v1")
    models = LiveModels(tmp_path)
    publish(tmp_path, "v2", onnx=b"not a model")
    for version in ("v2", "v1", "v2"):
        set_current(tmp_path, "taxi", version)
        models.refresh()
    assert loads == ["v1", "v2", "v2"]
