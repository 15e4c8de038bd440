"""Ground truth: files of it, batches of it, and its delay."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sextant.traffic.client import Client, Outage
from sextant.traffic.feedback import DelayedFeedback, Malformed, WrongTargetsFile, read_targets, send_targets
from sextant.traffic.tally import Tally
from tests.fake_prediction_service import FakePredictionService


@pytest.fixture
def service() -> Iterator[FakePredictionService]:
    with FakePredictionService().running() as running:
        yield running


def client(service: FakePredictionService) -> Client:
    return Client(service.url, outage=Outage(print), wait=lambda _seconds: True, patience=0)


def items(count: int) -> list[dict[str, object]]:
    return [{"prediction_id": f"id-{number}", "target": 1.0, "model": "taxi"} for number in range(count)]


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "targets.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_malformed_lines_are_left_out_and_named_by_number(tmp_path: Path) -> None:
    path = write(tmp_path, "prediction_id,target\na,1.5\nb\nc,2,3\nd,fast\n,4\ne,nan\n\nf,6\n")
    found, malformed = read_targets(path, "taxi", "regression")
    assert [(item["prediction_id"], item["target"], item["model"]) for item in found] == [
        ("a", 1.5, "taxi"),
        ("f", 6.0, "taxi"),
    ]
    assert malformed == [
        Malformed(3, "it has more or fewer fields than the first line"),
        Malformed(4, "it has more or fewer fields than the first line"),
        Malformed(5, "target 'fast' is not a finite number"),
        Malformed(6, "prediction_id or target is empty"),
        Malformed(7, "target 'nan' is not a finite number"),
    ]


def test_classes_are_text_and_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    path = write(tmp_path, "target,note,prediction_id\nsetosa,x,a\n", encoding="utf-8-sig")
    found, malformed = read_targets(path, "iris", "classification")
    assert found == [{"prediction_id": "a", "target": "setosa", "model": "iris"}]
    assert malformed == []


@pytest.mark.parametrize("text", ["", "a,1.5\n", "id,target\na,1\n"])
def test_a_file_without_its_first_line_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(WrongTargetsFile, match="must begin with the line: prediction_id,target"):
        read_targets(write(tmp_path, text), "taxi", "regression")


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WrongTargetsFile, match="cannot be read"):
        read_targets(tmp_path / "absent.csv", "taxi", "regression")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongTargetsFile, match="cannot be read"):
        read_targets(tmp_path / "binary.csv", "taxi", "regression")


def test_targets_travel_in_batches(service: FakePredictionService) -> None:
    tally = Tally("targets")
    send_targets(client(service), items(1_200), tally)
    assert len(service.targets) == tally.accepted == 1_200
    assert service.feedback_requests == 3


def test_one_refused_item_does_not_take_its_batch_along(service: FakePredictionService) -> None:
    service.refused_ids = {"id-77"}
    tally = Tally("targets")
    send_targets(client(service), items(500), tally)
    assert tally.accepted == len(service.targets) == 499
    assert dict(tally.failed) == {"HTTP 422": 1}
    assert tally.reasons["HTTP 422"] == "no such prediction"


def test_every_truth_that_was_added_is_sent_once(service: FakePredictionService) -> None:
    feedback = DelayedFeedback(client(service), "taxi", 0, Tally("targets"))
    for number in range(300):
        feedback.add({f"id-{number}": float(number)})
    feedback.complete()
    assert feedback.join(timeout=30)
    assert sorted(item["target"] for item in service.targets) == list(range(300))
    assert {item["model"] for item in service.targets} == {"taxi"}


def test_a_truth_waits_for_its_delay_and_may_be_left_unsent(service: FakePredictionService) -> None:
    feedback = DelayedFeedback(client(service), "taxi", 3_600, Tally("targets"))
    feedback.add({"id-1": 1.0})
    feedback.complete()
    assert not feedback.join(timeout=0.6)
    feedback.cancel()
    assert feedback.join(timeout=30)
    assert (feedback.pending, service.targets) == (1, [])
