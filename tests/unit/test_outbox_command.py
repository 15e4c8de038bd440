"""`python -m prediction_service.outbox`, and the dead letters that it is about."""

from pathlib import Path

import orjson
import pytest

from prediction_service import dead_letters
from prediction_service.outbox import Outbox
from prediction_service.outbox_command import main
from prediction_service.outbox_types import SINKS, NewEvent, RefusedEvent

LIMIT = 1 << 20


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return Outbox(tmp_path / "outbox" / "outbox.db", LIMIT)


def refuse(outbox: Outbox, *ids: str, size: int = 0) -> None:
    """Events that MongoDB refuses and monitoring takes."""
    outbox.append(
        [
            NewEvent("prediction", orjson.dumps({"prediction_id": name, "model": "taxi", "x": "x" * size}))
            for name in ids
        ]
    )
    for sink in SINKS:
        events = outbox.queued(sink, 1_000)
        outbox.settle(sink, events, [RefusedEvent(e.seq, "too odd") for e in events if sink == "mongodb"])


def kept(outbox: Outbox) -> list[int]:
    return [letter.event.seq for letter in outbox.dead_letters()]


def test_the_status_names_what_each_sink_has_and_how_many_letters_are_kept(
    outbox: Outbox, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(outbox, "a", "b")
    outbox.append([NewEvent("target", b"{}")])
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    (mongodb,) = [line.split() for line in said.splitlines() if line.startswith("mongodb")]
    assert mongodb[:4] == ["mongodb", "3", "0", "1"]
    assert mongodb[-2:] == ["2", "0"]
    assert "2 dead letters are kept" in said


def test_letters_are_shown_with_model_id_and_reason(outbox: Outbox, capsys: pytest.CaptureFixture[str]) -> None:
    refuse(outbox, "a", "b", "c")
    assert main(["peek", "--limit", "2"]) == 0
    said = capsys.readouterr().out
    assert "taxi/a" in said
    assert "too odd" in said
    assert "taxi/c" not in said
    assert "and 1 more" in said


def test_letters_are_queued_again_once_for_every_sink_and_the_account_holds(
    outbox: Outbox, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(outbox, "a", "b")
    assert main(["redeliver", "--seq", "2"]) == 0
    assert "1 dead letter queued again" in capsys.readouterr().out
    assert kept(outbox) == [1]
    for sink in SINKS:
        (event,) = outbox.queued(sink, 10)
        assert orjson.loads(event.body)["prediction_id"] == "b"
    assert all(counts.conserved for counts in outbox.counts().values())


def test_letters_are_exported_and_only_then_removed(outbox: Outbox, tmp_path: Path) -> None:
    refuse(outbox, "a", "b")
    assert main(["export", str(tmp_path / "no folder" / "letters.jsonl"), "--remove"]) == 1
    assert kept(outbox) == [1, 2]
    assert main(["export", str(tmp_path / "letters.jsonl"), "--sink", "mongodb", "--remove"]) == 0
    lines = [orjson.loads(line) for line in (tmp_path / "letters.jsonl").read_bytes().splitlines()]
    assert [(line["sink"], line["event"]["prediction_id"], line["reason"]) for line in lines] == [
        ("mongodb", "a", "too odd"),
        ("mongodb", "b", "too odd"),
    ]
    assert kept(outbox) == []


def test_without_an_outbox_one_sentence_says_so_and_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert main(["status"]) == 1
    assert capsys.readouterr().err.startswith("outbox: there is no outbox at ")
    assert list(tmp_path.iterdir()) == []


def test_dead_letters_leave_events_their_room(outbox: Outbox) -> None:
    for number in range(15):
        refuse(outbox, *(f"{number}-{part}" for part in range(10)), size=10_000)
    assert outbox.bytes_used() > LIMIT
    outbox.check_writable()
    outbox.append([NewEvent("prediction", b"{}")])


def test_the_oldest_dead_letters_move_to_a_file_of_their_own(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dead_letters, "MAX_BYTES", 50_000)
    monkeypatch.setattr(dead_letters, "PART", 3)
    for number in range(30):
        refuse(outbox, f"{number}", size=5_000)
    moved = [orjson.loads(line)["event"]["prediction_id"] for line in outbox.overflow.read_bytes().splitlines()]
    here = [orjson.loads(letter.event.body)["prediction_id"] for letter in outbox.dead_letters()]
    assert moved + here == [str(number) for number in range(30)]
    assert outbox.dead_letter_bytes() <= 50_000
    main(["status"])
    assert str(outbox.overflow) in capsys.readouterr().out
