"""`python -m batch_flows.compare_models` against a real store, and its page in a real browser."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from batch_flows.compare_models.__main__ import main
from sextant.contracts.model_bundle import ModelBundle
from sextant.infrastructure.event_store import EventStore
from tests.browser import needs_chromium, open_page
from tests.bundles import make_flowers, make_trips, publish_flowers, publish_trips
from tests.events import predictions_from, targets_from
from tests.processes import Services

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
END = START + timedelta(hours=1)
ROWS = 400
REPORT_FIELDS = {
    "_id", "flow", "model", "model_version", "window", "rows", "rows_with_target", "created_at", "metrics", "html",
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def second_version(services: Services) -> ModelBundle:
    return publish_trips(services.models_dir, version="v2")


def trips(rows: int = ROWS, *, seed: int = 5) -> pd.DataFrame:
    return make_trips(rows, seed=seed)


def nearer(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows, answered by a model that errs two thirds as much."""
    return rows.assign(prediction=rows["target"] + (rows["prediction"] - rows["target"]) * 2 / 3)


def serve(
    store: EventStore, rows: pd.DataFrame, *, version: str, model: str = "taxi", labelled: bool = True
) -> None:
    made = predictions_from(rows, model=model, version=version, start=START, prefix=f"{model}-{version}-")
    assert store.add_predictions(made) == []
    if labelled:
        assert store.add_targets(targets_from(rows, made)) == []


def compare(*options: str, version: str = "v1") -> int:
    return main(["--start", START.isoformat(), "--end", END.isoformat(), "--version", version, *options])


def only_report(store: EventStore) -> dict[str, Any]:
    (document,) = store.reports("taxi")
    return document


@pytest.mark.usefixtures("second_version")
def test_a_shadow_test_is_paired_by_record_and_needs_the_truth_on_one_side_only(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = trips()
    serve(store, rows, version="v1")
    serve(store, nearer(rows), version="v2", labelled=False)
    assert compare() == 0
    assert "v2 is better than v1" in capsys.readouterr().out

    document = only_report(store)
    assert set(document) == REPORT_FIELDS
    assert (document["flow"], document["model_version"]) == ("compare-models", "v1 vs v2")
    assert document["window"] == {"start": START, "end": END}
    metrics = document["metrics"]
    assert (metrics["verdict"], metrics["paired"], metrics["rows_a"]) == ("b", True, ROWS)
    assert metrics["interval"]["high"] < 0
    assert metrics["effects"]["relative"] == pytest.approx(-1 / 3, abs=0.02)

    page = services.data_dir / "reports" / document["html"]
    assert "v2 is better than v1" in page.read_text()
    summary = orjson.loads(page.with_suffix(".json").read_bytes())
    assert summary["metrics"]["difference"] == metrics["difference"]


@pytest.mark.usefixtures("second_version")
def test_the_same_window_gives_the_same_comparison_and_one_report(services: Services, store: EventStore) -> None:
    rows = trips()
    serve(store, rows, version="v1")
    serve(store, rows, version="v2")
    metrics = []
    for _ in range(2):
        assert compare() == 0
        metrics.append(only_report(store)["metrics"])
    assert metrics[0] == metrics[1]
    assert metrics[0]["verdict"] == "none"


@pytest.mark.usefixtures("second_version")
def test_a_comparison_is_not_replaced_by_one_that_sees_less_since_predictions_were_deleted(
    store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = trips()
    serve(store, rows, version="v1")
    serve(store, nearer(rows), version="v2")
    assert compare() == 0
    before = only_report(store)
    capsys.readouterr()

    store.delete("taxi", [name for name in store.prediction_ids() if name.endswith("5")])
    assert compare() == 0
    assert "was made from 800 predictions, of which 720 are still stored" in capsys.readouterr().out
    assert only_report(store) == before


@pytest.mark.usefixtures("second_version")
def test_split_traffic_is_compared_unpaired_and_said_to_be(
    store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(store, trips(seed=5), version="v1")
    serve(store, nearer(trips(seed=6)), version="v2")
    assert compare() == 0
    assert "unpaired, 400 and 400 rows of their own" in capsys.readouterr().out
    metrics = only_report(store)["metrics"]
    assert (metrics["verdict"], metrics["paired"], metrics["method"]) == ("b", False, "unpaired bootstrap")
    assert "Not paired" in metrics["caution"][0]


def test_two_models_of_one_task_are_compared(services: Services, store: EventStore) -> None:
    publish_trips(services.models_dir, name="forest", version="v7")
    rows = trips()
    serve(store, rows, version="v1")
    serve(store, nearer(rows), version="v7", model="forest")
    assert compare("--other-model", "forest") == 0
    document = only_report(store)
    assert document["model_version"] == "v1 vs forest v7"
    assert document["metrics"]["status"]["text"] == "forest v7 is better than taxi v1"


def test_classifiers_are_compared_by_the_pairs_that_one_alone_got_right(
    services: Services, store: EventStore
) -> None:
    publish_flowers(services.models_dir, version="v2")
    rows = make_flowers(ROWS, seed=3)
    perfect = rows.assign(prediction=np.where(np.arange(ROWS) % 50 == 0, "setosa", rows["target"]))
    serve(store, rows, version="v1", model="iris")
    serve(store, perfect, version="v2", model="iris")
    assert compare("--model", "iris") == 0
    (document,) = store.reports("iris")
    metrics = document["metrics"]
    assert (metrics["verdict"], metrics["method"]) == ("b", "mid-p McNemar test")
    assert metrics["p_value"] < 0.001
    better = metrics["sides"]["b"]["performance"]["accuracy"] - metrics["sides"]["a"]["performance"]["accuracy"]
    assert better == pytest.approx(-metrics["difference"])


@pytest.mark.usefixtures("second_version")
@pytest.mark.parametrize("labelled", [False, True])
def test_too_few_labelled_rows_complete_with_a_message_and_no_report(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str], labelled: bool
) -> None:
    rows = trips(40)
    serve(store, rows, version="v1", labelled=labelled)
    serve(store, rows, version="v2", labelled=labelled)
    assert compare() == 0
    assert "at least 50 of each are needed, so there is no comparison" in capsys.readouterr().out
    assert store.reports() == []
    assert not (services.data_dir / "reports").exists()


@pytest.mark.usefixtures("second_version")
def test_documents_that_are_no_predictions_are_counted_and_left_out(services: Services, store: EventStore) -> None:
    from pymongo import MongoClient

    rows = trips()
    serve(store, rows, version="v1")
    serve(store, rows, version="v2")
    with MongoClient(services.mongodb_uri) as client:
        old = {"_id": "old", "model": "taxi", "created_at": START, "features": None, "model_version": "v1"}
        client["sextant"]["predictions"].insert_one(old)
    assert compare() == 0
    assert only_report(store)["metrics"]["counts"]["no_predictions"] == 1


@pytest.mark.usefixtures("second_version")
def test_without_mongodb_the_comparison_fails_with_one_sentence_and_leaves_nothing(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare() == 1
    said = capsys.readouterr().err
    assert said.startswith("compare-models: MongoDB: ")
    assert len(said.splitlines()) == 1
    assert not (services.data_dir / "reports").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--version", "v1"], "taxi v1 cannot be compared with itself"),
        (["--version", "v9"], "v9"),
        (["--other-version", "v9"], "v9"),
        (["--model", "unicorn"], "there is no model 'unicorn'"),
        (["--other-model", "unicorn"], "there is no model 'unicorn'"),
        (["--other-model", "iris"], "the task of one is regression, of the other classification"),
        (["--start", END.isoformat(), "--end", START.isoformat()], "the window must end after it starts"),
        (["--start", "2026-03-01T08:00:00"], "start has no time zone"),
        (["--hours", "0"], "hours must lie between 0 and"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(
    options: Sequence[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    said = capsys.readouterr()
    assert reason in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


@needs_chromium
@pytest.mark.usefixtures("second_version")
def test_the_page_opens_without_an_error_and_fits_a_phone(services: Services, store: EventStore) -> None:
    rows = trips()
    serve(store, rows, version="v1")
    serve(store, nearer(rows), version="v2")
    assert compare() == 0
    page_file = services.data_dir / "reports" / only_report(store)["html"]
    with open_page(page_file.as_uri(), width=360, height=740) as (page, wrong):
        assert page.locator(".verdict").inner_text() == "v2 is better than v1"
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        zero = page.locator(".interval .zero").bounding_box()
        span = page.locator(".interval .span").bounding_box()
        assert span["x"] + span["width"] < zero["x"]
        assert wrong == []
