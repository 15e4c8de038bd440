"""send_data.py against a stand-in for the prediction service that is late, full or refuses."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

import send_data
from sextant.traffic.client import Client, Outage, SendStats
from sextant.traffic.replay import Feed
from sextant.traffic.rows import PredictRequest
from sextant.training.split import clean, split
from sextant.use_cases.synthetic_trips import synthetic_month
from sextant.use_cases.taxi import USE_CASE as TAXI
from tests.bundles import publish_flowers, publish_trips
from tests.fake_prediction_service import FakePredictionService

ROOT = Path(send_data.__file__).parent


@pytest.fixture
def service() -> Iterator[FakePredictionService]:
    with FakePredictionService().running() as running:
        yield running


def send(service: FakePredictionService, folder: Path, *arguments: str) -> int:
    """Iris rows, because they are made in no time."""
    fixed = ["--model", "iris", "--url", service.url, "--data-dir", str(folder), "--feedback-delay", "0"]
    return send_data.main([*fixed, *arguments])


def make_client(url: str, waits: list[float], retry_seconds: float = 60) -> Client:
    return Client(
        url, outage=Outage(print), wait=lambda seconds: bool(waits.append(seconds)), retry_seconds=retry_seconds
    )


def test_every_row_is_sent_once_and_its_target_follows(service: FakePredictionService, tmp_path: Path) -> None:
    assert send(service, tmp_path, "--count", "200", "--accepted-ids", str(tmp_path / "ids")) == 0
    sent = [record["prediction_id"] for record in service.predicted]
    assert len(set(sent)) == len(sent) == 200
    assert sorted((tmp_path / "ids").read_text().split()) == sorted(sent)
    assert sorted(item["prediction_id"] for item in service.targets) == sorted(sent)
    assert {item["target"] for item in service.targets} <= {"setosa", "versicolor", "virginica"}


def test_the_summary_tells_counts_and_latencies(
    service: FakePredictionService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    send(service, tmp_path, "--count", "20")
    out = capsys.readouterr().out
    assert "predictions           20 accepted" in out
    assert "targets               20 accepted" in out
    assert all(name in out for name in ("p50", "p95", "p99"))


def test_rows_can_travel_in_lists_and_without_feedback(service: FakePredictionService, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    assert (
        send(service, tmp_path, "--count", "25", "--batch", "10", "--no-feedback", "--accepted-ids", str(ids)) == 0
    )
    assert len(service.predicted) == len(ids.read_text().split()) == 25
    assert service.targets == []


def test_the_same_seed_sends_the_same_rows_under_new_ids(service: FakePredictionService, tmp_path: Path) -> None:
    for _ in range(2):
        send(service, tmp_path, "--count", "50", "--concurrency", "1", "--drift", "petal_width=2")
    first, second = service.predicted[:50], service.predicted[50:]
    rows = [[{**record, "prediction_id": None} for record in half] for half in (first, second)]
    assert rows[0] == rows[1]
    assert not {record["prediction_id"] for record in first} & {record["prediction_id"] for record in second}


def test_a_full_service_is_given_its_time_and_the_same_id_again(service: FakePredictionService) -> None:
    service.script = [(503, {"Retry-After": "7"}), (503, {"Retry-After": "7"})]
    waits: list[float] = []
    answer = make_client(service.url, waits).post("/predict", {"prediction_id": "mine"})
    assert (answer.status, answer.retries, waits) == (200, 2, [7.0, 7.0])
    assert [record["prediction_id"] for record in service.predicted] == ["mine"]


def test_a_service_that_stays_full_is_given_up_when_time_runs_out(service: FakePredictionService) -> None:
    service.script = [(503, {"Retry-After": "7"})]
    answer = make_client(service.url, [], retry_seconds=5).post("/predict", {"prediction_id": "mine"})
    assert (answer.status, service.predicted) == (503, [])


def test_a_refusal_is_not_repeated_but_counted_with_its_reason(
    service: FakePredictionService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.script = [(422, {})]
    assert send(service, tmp_path, "--count", "10") == 1
    assert len(service.predicted) == len(service.targets) == 9
    assert "1 failed: HTTP 422  as the script says" in capsys.readouterr().out


def test_a_service_that_is_not_up_yet_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said: list[str] = []
    with ExitStack() as started:

        def start_it(_seconds: float) -> bool:
            started.enter_context(FakePredictionService().running(port))
            return False

        client = Client(f"http://127.0.0.1:{port}", outage=Outage(said.append), wait=start_it, retry_seconds=60)
        assert client.wait_until_up()
    assert [line.split(";")[-1].strip() for line in said] == [
        "waiting for it ...",
        "the prediction service answers",
    ]


def test_a_service_that_never_comes_up_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = ["--model", "iris", "--data-dir", str(tmp_path), "--url", "http://127.0.0.1:9", "--wait", "0"]
    assert send_data.main(fixed) == 1
    assert "did not answer in 0 s" in capsys.readouterr().err


def test_the_api_key_goes_along(
    service: FakePredictionService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEYS", "secret")
    send(service, tmp_path, "--count", "3")
    assert service.api_keys == {"secret"}


def test_a_targets_file_is_sent_and_its_malformed_rows_are_named(
    service: FakePredictionService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "targets.csv"
    path.write_text("prediction_id;target;received_at\na;setosa;2026-03-01T08:00:00Z\nb\nc;;\n")
    assert send(service, tmp_path, "--targets", str(path)) == 1
    assert service.targets == [{"prediction_id": "a", "target": "setosa", "model": "iris"}]
    out = capsys.readouterr().out
    assert f"{path}, line 3: has 1 field where the header has 3; left out" in out
    assert f"{path}, line 4: target is empty; left out" in out
    assert "received_at is checked but not sent" in out


def test_targets_of_a_parquet_file_travel_in_batches(service: FakePredictionService, tmp_path: Path) -> None:
    path = tmp_path / "targets.parquet"
    ids = [f"p{number}" for number in range(1_200)]
    pd.DataFrame({"prediction_id": ids, "target": "setosa"}).to_parquet(path)
    assert send(service, tmp_path, "--targets-csv", str(path)) == 0
    assert [item["prediction_id"] for item in service.targets] == ids
    assert service.feedback_requests == 3


def test_targets_are_checked_against_the_classes_of_the_live_model(
    service: FakePredictionService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_flowers(tmp_path / "models", rows=30)
    path = tmp_path / "targets.csv"
    path.write_text("prediction_id,target\na,rose\nb,setosa\n")
    assert send(service, tmp_path, "--targets", str(path)) == 1
    assert [item["prediction_id"] for item in service.targets] == ["b"]
    assert (
        "target is none of the model's classes (setosa, versicolor, virginica): 'rose'" in capsys.readouterr().out
    )


def test_of_very_many_malformed_rows_the_first_are_named_and_the_rest_counted(
    service: FakePredictionService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "targets.csv"
    path.write_text("prediction_id,target\n" + "a,\n" * 6_000)
    assert send(service, tmp_path, "--targets", str(path)) == 1
    out = capsys.readouterr().out
    assert out.count("target is empty") == 20
    assert "5,980 more malformed rows are left out" in out


def test_a_targets_file_that_breaks_off_is_one_clear_error_and_sends_nothing(
    service: FakePredictionService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "targets.csv"
    path.write_bytes(b"prediction_id,target\n" + b"a,setosa\n" * 20_000 + b"\xff\n")
    assert send(service, tmp_path, "--targets", str(path)) == 1
    assert service.targets == []
    assert capsys.readouterr().err == (f"send_data.py: {path} is not UTF-8 text; save it as UTF-8\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--count", "0"],
        ["--rate", "-1"],
        ["--rate", "1", "--speed", "1"],
        ["--order", "x"],
        ["--batch", "1001"],
        ["--concurrency", "x"],
        ["--period", "x"],
    ],
)
def test_a_wrong_number_is_refused_before_anything_is_sent(
    arguments: list[str], service: FakePredictionService, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        send(service, tmp_path, *arguments)
    assert service.predicted == []


def test_each_request_goes_so_long_after_the_start_as_it_is_due() -> None:
    feed = Feed([PredictRequest([{}], {}, due) for due in (0.0, 0.2, 0.3)], clock=lambda: 100.0)
    moments = [moment for moment, _ in iter(feed.next, None)]
    assert moments == pytest.approx([100.0, 100.2, 100.3])


@pytest.mark.parametrize("arguments", [["--speed", "600"], ["--as-of", "now"]])
def test_rows_without_times_cannot_be_sent_by_them(
    arguments: list[str], service: FakePredictionService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(service, tmp_path, *arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"send_data.py: {arguments[0]}")
    assert error.endswith("needs rows with event times, and these have none\n")
    assert service.predicted == []


def test_real_gaps_need_the_real_order(
    service: FakePredictionService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(service, tmp_path, "--speed", "600", "--order", "random") == 1
    assert "it needs --order time" in capsys.readouterr().err


def test_taxi_rows_are_sent_in_time_order_with_the_times_of_the_past_week(
    service: FakePredictionService, tmp_path: Path
) -> None:
    fixed = ["--model", "taxi", "--source", "synthetic", "--url", service.url, "--data-dir", str(tmp_path)]
    options = ["--no-feedback", "--concurrency", "1", "--count", "50", "--as-of", "now", "--speed", "100000"]
    assert send_data.main([*fixed, *options]) == 0
    times = [datetime.fromisoformat(record["lpep_pickup_datetime"]) for record in service.predicted]
    assert times == sorted(times)
    now = datetime.now(UTC).replace(tzinfo=None)
    assert now - timedelta(weeks=1, minutes=5) < times[-1] <= now
    assert times[0].strftime("%a") == "Sat"  # as on 1 January 2022


def test_a_bundle_split_at_random_gets_the_rows_that_it_has_not_seen(
    service: FakePredictionService, tmp_path: Path
) -> None:
    """As every bundle was once; of its later days, the model knows most rows."""
    publish_trips(tmp_path / "models", rows=30)
    for month in ("2021-01", "2022-01"):
        synthetic_month(month, rows=1_000).to_parquet(tmp_path / f"green_tripdata_{month}.parquet")
    fixed = ["--model", "taxi", "--source", str(tmp_path), "--url", service.url, "--data-dir", str(tmp_path)]
    assert send_data.main([*fixed, "--period", "reference-holdout", "--no-feedback", "--count", "100"]) == 0
    unseen = split(clean(TAXI.to_examples(synthetic_month("2021-01", rows=1_000)), TAXI.limits), None).holdout
    sent = {record["lpep_pickup_datetime"] for record in service.predicted}
    assert sent <= set(unseen.context["lpep_pickup_datetime"])


def test_the_table_shows_every_kind_of_failure() -> None:
    stats = SendStats(
        "predictions", accepted=1_234, retries=5, failed=Counter({"HTTP 422": 2}), seconds=[0.001, 0.003]
    )
    stats.reasons["HTTP 422"] = "a wrong field"
    lines = stats.table(10).splitlines()
    assert lines[0].endswith("1,234 accepted  in 10.0 s (123 a second)")
    assert "2 failed: HTTP 422  a wrong field" in lines[2]
    assert "p50 2.0 ms" in lines[3]


def wait_for(condition: object, timeout: float = 60) -> None:
    assert callable(condition)
    deadline, pause = time.monotonic() + timeout, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.02)
