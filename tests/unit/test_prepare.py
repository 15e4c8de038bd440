"""What `python prepare.py` leaves on disk, the first time, again, and when something is wrong."""

import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import prepare
from sextant.contracts.model_bundle import NULLS, Manifest, ModelBundle, current_version, load_bundle, set_current
from sextant.evaluation import nulls
from sextant.training import fit as training
from sextant.training.bundle import Origin, write_bundle
from sextant.training.export import OnnxModel, Predictions, pipeline_input
from sextant.training.fit import train
from sextant.training.preparation import remarks
from sextant.training.split import clean, split
from sextant.use_cases.synthetic_trips import synthetic_month
from sextant.use_cases.taxi import USE_CASE as TAXI

TIME = "lpep_pickup_datetime"


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("months")
    for month in ("2021-01", "2022-01"):
        synthetic_month(month, rows=2_000).to_parquet(folder / f"green_tripdata_{month}.parquet")
    return folder


def no_nulls(*_: object, progress: Callable[[str, int, int], None]) -> bytes:
    """Measuring them takes half a minute."""
    progress("blocks of 100 rows", 0, 1)
    return b"{}"


@pytest.fixture(scope="module")
def taxi(months: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    data = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nulls, "measure_nulls", no_nulls)
        assert prepare.main(["--source", str(months), "--data-dir", str(data)]) == 0
    return load_bundle(data / "models", "taxi")


def run(data: Path, *arguments: str) -> int:
    return prepare.main(["--model", "iris", "--data-dir", str(data), *arguments])


def served(bundle: ModelBundle, rows: pd.DataFrame) -> Any:
    """What the model that is served says of these rows."""
    manifest = bundle.manifest
    model = OnnxModel(bundle.file("model.onnx").read_bytes(), manifest.feature_schema, manifest.task)
    return model.predict(rows).values


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_bundle_is_complete_and_says_where_it_comes_from(taxi: ModelBundle) -> None:
    manifest = taxi.manifest
    assert set(manifest.files) == {
        "model.onnx",
        "pipeline.skops",
        "reference.parquet",
        "MODEL_CARD.md",
        "nulls.json",
    }
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


def test_the_reference_is_in_time_order_and_its_predictions_are_not_those_of_a_model_that_saw_the_rows(
    taxi: ModelBundle,
) -> None:
    rows = taxi.reference()
    assert rows[TIME].is_monotonic_increasing
    assert rows[TIME].max() < "2021-01-22"
    assert np.abs(served(taxi, rows) - rows["prediction"]).median() > 0.1


def test_without_times_the_reference_predictions_are_those_of_the_served_model(tmp_path: Path) -> None:
    assert run(tmp_path) == 0
    bundle = load_bundle(tmp_path / "models", "iris")
    rows = bundle.reference()
    assert bundle.manifest.time is None
    assert (served(bundle, rows) == rows["prediction"]).all()


def test_a_split_at_random_is_that_of_rows_without_a_time(months: Path, tmp_path: Path) -> None:
    assert prepare.main(["--source", str(months), "--split", "random", "--data-dir", str(tmp_path)]) == 0
    bundle = load_bundle(tmp_path / "models", "taxi")
    assert bundle.manifest.time is None
    assert TIME not in bundle.reference()
    np.testing.assert_allclose(served(bundle, bundle.reference()), bundle.reference()["prediction"])


def test_nulls_are_measured_on_all_rows_that_were_predicted_unseen(tmp_path: Path) -> None:
    parts, seen = split(clean(TAXI.to_examples(synthetic_month("2021-01", rows=1_000)), TAXI.limits), TIME), []

    def measure(manifest: Manifest, scored: pd.DataFrame, positions: Any) -> bytes:
        seen.append((manifest.time, scored, positions))
        return b"{}"

    quick = replace(TAXI, make_pipeline=lambda seed: TAXI.make_pipeline(seed).set_params(trees__n_estimators=3))
    origin = Origin("v1", "tests", "2021-01")
    bundle = write_bundle(tmp_path, quick, parts, train(quick, parts, 0), origin, measure_nulls=measure)
    assert bundle.file(NULLS).read_bytes() == b"{}"
    ((time, scored, positions),) = seen
    assert time == TIME
    assert scored[TIME].is_monotonic_increasing
    pd.testing.assert_frame_equal(scored.iloc[positions].reset_index(drop=True), bundle.reference())


def test_the_pipeline_loads_with_nothing_but_the_listed_types(taxi: ModelBundle) -> None:
    import skops.io  # takes a second

    trusted = list(taxi.manifest.trusted_types)
    assert trusted
    pipeline = skops.io.load(taxi.file("pipeline.skops"), trusted=trusted)
    rows = taxi.reference()
    predicted = pipeline.predict(pipeline_input(taxi.manifest.feature_schema, rows))
    np.testing.assert_allclose(predicted, served(taxi, rows), rtol=1e-4)


def test_the_model_card_holds_the_numbers_of_the_run(taxi: ModelBundle) -> None:
    card = taxi.file("MODEL_CARD.md").read_text()
    assert f"# taxi {taxi.manifest.version}" in card
    assert f"| mae | {taxi.manifest.metrics['mae']:.3f} |" in card
    assert f" {taxi.manifest.holdout_metrics['mae']:.3f} |" in card
    assert "the reference spans 2021-01-01 to 2021-01-21 (21 days): false alarms at the rate that is set" in card


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


def test_the_days_of_the_reference_and_the_rate_they_allow_are_said_every_time(
    months: Path, taxi: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--source", str(months), "--data-dir", str(taxi.path.parents[2])]
    assert prepare.main(arguments) == 0
    out = capsys.readouterr().out
    assert "the reference spans 2021-01-01 to 2021-01-21 (21 days): false alarms at the rate that is set" in out
    assert "already exists" in out


def test_times_in_the_future_are_said() -> None:
    parts = split(clean(TAXI.to_examples(synthetic_month("2021-01", rows=1_000)), TAXI.limits), TIME)
    said, expected = remarks(TAXI, parts, date(2021, 1, 20)), remarks(TAXI, parts, date(2021, 1, 30))
    assert said == [f"the times in {TIME} reach 2021-01-31, which is in the future", *expected]
    assert len(expected) == 1


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
