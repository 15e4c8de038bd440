"""What `python prepare.py` leaves on disk, the first time, again, and when something is wrong."""

import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import prepare
from sextant.contracts.model_bundle import ModelBundle, current_version, load_bundle, set_current
from sextant.training import fit as training
from sextant.training.export import OnnxModel, Predictions, pipeline_input
from sextant.use_cases.synthetic_trips import synthetic_month

TIME = "lpep_pickup_datetime"


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("months")
    for month in ("2021-01", "2022-01"):
        synthetic_month(month, rows=3_000).to_parquet(folder / f"green_tripdata_{month}.parquet")
    return folder


@pytest.fixture(scope="module")
def taxi(months: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    data = tmp_path_factory.mktemp("data")
    assert prepare.main(["--source", str(months), "--data-dir", str(data)]) == 0
    return load_bundle(data / "models", "taxi")


def run(data: Path, *arguments: str) -> int:
    return prepare.main(["--model", "iris", "--data-dir", str(data), *arguments])


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_bundle_is_complete_and_says_where_it_comes_from(taxi: ModelBundle) -> None:
    manifest = taxi.manifest
    assert set(manifest.files) == {"model.onnx", "pipeline.skops", "reference.parquet", "MODEL_CARD.md"}
    assert (manifest.data_source, manifest.data_period) == ("files", "2021-01")
    assert manifest.version.startswith("2021.01-")
    assert manifest.feature_schema.names == ("PULocationID", "DOLocationID", "trip_distance")
    assert manifest.onnx_max_difference is not None
    assert manifest.onnx_max_difference < 1e-3


def test_the_reference_holds_features_prediction_target_segment_and_time(taxi: ModelBundle) -> None:
    rows = taxi.reference()
    assert list(rows) == [*taxi.manifest.feature_schema.names, "prediction", "target", "payment_type", TIME]
    assert taxi.manifest.time == TIME
    assert rows[TIME].str.fullmatch(r"2021-01-\d\dT\d\d:\d\d:\d\d").all()
    assert not rows.isna().any(axis=None)
    assert rows["PULocationID"].map(type).eq(str).all()
    assert (rows["prediction"] - rows["target"]).abs().mean() == pytest.approx(
        taxi.manifest.metrics["mae"], rel=1e-4
    )


def test_the_reference_predictions_are_those_of_the_served_model(taxi: ModelBundle) -> None:
    rows, manifest = taxi.reference(), taxi.manifest
    model = OnnxModel(taxi.file("model.onnx").read_bytes(), manifest.feature_schema, manifest.task)
    np.testing.assert_allclose(model.predict(rows).values, rows["prediction"])


def test_the_pipeline_loads_with_nothing_but_the_listed_types(taxi: ModelBundle) -> None:
    import skops.io  # takes a second

    trusted = list(taxi.manifest.trusted_types)
    assert trusted
    pipeline = skops.io.load(taxi.file("pipeline.skops"), trusted=trusted)
    rows = taxi.reference()
    predicted = pipeline.predict(pipeline_input(taxi.manifest.feature_schema, rows))
    np.testing.assert_allclose(predicted, rows["prediction"], rtol=1e-4)


def test_the_model_card_holds_the_numbers_of_the_run(taxi: ModelBundle) -> None:
    card = taxi.file("MODEL_CARD.md").read_text()
    assert f"# taxi {taxi.manifest.version}" in card
    assert f"| mae | {taxi.manifest.metrics['mae']:.3f} |" in card


def test_other_users_may_read_the_bundle(taxi: ModelBundle) -> None:
    assert stat.S_IMODE(taxi.path.stat().st_mode) & 0o055 == 0o055


def test_a_classifier_s_reference_holds_the_probability_of_each_class(tmp_path: Path) -> None:
    assert run(tmp_path) == 0
    bundle = load_bundle(tmp_path / "models", "iris")
    rows = bundle.reference()
    columns = [f"probability_{name}" for name in bundle.manifest.classes or ()]
    assert list(rows) == [*bundle.manifest.feature_schema.names, "prediction", "target", *columns]
    np.testing.assert_allclose(rows[columns].sum(axis=1), 1, atol=1e-5)
    assert (rows["prediction"] == rows["target"]).mean() == pytest.approx(bundle.manifest.metrics["accuracy"])


def test_a_second_run_says_so_and_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path)
    before = snapshot(tmp_path)
    assert run(tmp_path) == 0
    assert snapshot(tmp_path) == before
    assert "already exists" in capsys.readouterr().out


def test_the_same_data_give_the_same_bundle_elsewhere(tmp_path: Path) -> None:
    run(tmp_path / "one")
    run(tmp_path / "two", "--force")
    one, two = (load_bundle(tmp_path / name / "models", "iris") for name in ("one", "two"))
    assert one.manifest.version == two.manifest.version
    for name in ("model.onnx", "reference.parquet", "MODEL_CARD.md"):
        assert one.file(name).read_bytes() == two.file(name).read_bytes(), name


def test_force_trains_again_in_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path)
    assert run(tmp_path, "--force") == 0
    assert "already exists" not in capsys.readouterr().out
    load_bundle(tmp_path / "models", "iris")
    assert len(list((tmp_path / "models" / "iris").iterdir())) == 2  # the version and `current`


def test_a_damaged_bundle_is_made_anew(tmp_path: Path) -> None:
    run(tmp_path)
    bundle = load_bundle(tmp_path / "models", "iris")
    bundle.file("model.onnx").write_bytes(b"damaged")
    assert run(tmp_path) == 0
    load_bundle(tmp_path / "models", "iris")


def test_an_earlier_version_becomes_the_live_one_again(tmp_path: Path) -> None:
    models = tmp_path / "models"
    run(tmp_path)
    first = current_version(models, "iris")
    run(tmp_path, "--seed", "1")
    assert current_version(models, "iris") != first
    assert run(tmp_path) == 0
    assert current_version(models, "iris") == first
    set_current(models, "iris", first)


def test_a_model_that_onnx_changes_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def other(*arguments: object) -> Predictions:
        rows = arguments[3]
        assert isinstance(rows, pd.DataFrame)
        return Predictions(np.array(["setosa"] * len(rows)), np.full((len(rows), 3), 1 / 3))

    monkeypatch.setattr(training, "pipeline_predictions", other)
    assert run(tmp_path) == 1
    assert "nothing was published" in capsys.readouterr().err
    assert not list((tmp_path / "models").glob("*/*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "taxis"], "known are: iris, taxi"),
        (["--model", "taxi", "--source", "/no/such/folder"], "neither auto, tlc, synthetic nor a folder"),
        (["--model", "taxi", "--source", "synthetic", "--reference", "January"], "YYYY-MM"),
    ],
)
def test_wrong_wishes_are_one_line_on_standard_error(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare.main([*arguments, "--data-dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
