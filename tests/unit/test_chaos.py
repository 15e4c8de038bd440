"""The proof of `make chaos` fails for every way in which a promise can be broken."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from chaos.faults.kinds import Fault, deal
from chaos.ledger import Content, Key, Ledger
from chaos.verdict import Check, DeadLetter, Evidence, SinkAccount, StoredEvent, check_all
from chaos.wal import end_of_log, tear
from prediction_service.outbox import Outbox
from prediction_service.outbox_types import NewEvent

FIRST, TWICE = Key("prediction", "taxi", "a"), Key("prediction", "taxi", "b")
TARGET, REFUSED = Key("target", "taxi", "a"), Key("prediction", "taxi", "c")
CONTENT = Content(12.5, {"trip_distance": 2.0}, {"payment_type": "1"})
WINDOW = {"status": "evaluated", "window": {"rows": 300}}
CONFLICT = DeadLetter("mongodb", TWICE, "the model has another prediction stored under this id")


def ledger() -> Ledger:
    """Two predictions, one of them sent again with other content, a target, and a refused record."""
    promised = Ledger()
    promised.attempt(FIRST, TWICE, TARGET)
    promised.acknowledge({FIRST: CONTENT, TWICE: CONTENT, TARGET: Content(9.0)})
    promised.attempt_conflict(TWICE)
    promised.acknowledge_conflict(TWICE)
    promised.refuse(REFUSED)
    return promised


SOUND = Evidence(
    stored=[StoredEvent(FIRST, CONTENT), StoredEvent(TWICE, CONTENT), StoredEvent(TARGET, Content(9.0))],
    dead_letters=[CONFLICT],
    accounts=[SinkAccount("mongodb", 5, 4, 0, 1, 0), SinkAccount("monitoring", 5, 5, 0, 0, 0)],
    live_window=WINDOW,
    rebuilt_window=WINDOW,
)


def failing(evidence: Evidence) -> list[str]:
    return [check.name for check in check_all(ledger().obligations(), evidence) if not check.holds]


def test_kept_promises_pass() -> None:
    assert failing(SOUND) == []


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        ({"stored": SOUND.stored[1:]}, "lost"),
        ({"stored": SOUND.stored[:2]}, "lost"),
        ({"dead_letters": []}, "lost"),
        ({"stored": [*SOUND.stored, SOUND.stored[0]]}, "stored twice"),
        ({"stored": [*SOUND.stored[:2], StoredEvent(TARGET, Content(8.0))]}, "changed"),
        ({"stored": [StoredEvent(FIRST, replace(CONTENT, context={})), *SOUND.stored[1:]]}, "changed"),
        (
            {"stored": [*SOUND.stored, StoredEvent(Key("target", "taxi", "z"), CONTENT)]},
            "stored, but never sent",
        ),
        ({"dead_letters": [CONFLICT, DeadLetter("monitoring", FIRST, "no")]}, "sound, but in the dead letters"),
        (
            {"accounts": [SinkAccount("mongodb", 5, 3, 0, 1, 0)]},
            "conservation: accepted = delivered + dead letters + skipped",
        ),
        (
            {"accounts": [SinkAccount("mongodb", 3, 3, 0, 0, 0)]},
            "conservation: accepted = delivered + dead letters + skipped",
        ),
        ({"accounts": []}, "conservation: accepted = delivered + dead letters + skipped"),
        ({"set_aside": ["outbox.corrupt-1.db"]}, "no outbox was unreadable"),
        ({"unexpected": ["/predict: 500"]}, "no answer but 2xx, a stated 4xx or 503"),
        ({"fresh_prediction_problem": "503"}, "a fresh prediction passes end to end"),
        ({"rebuilt_window": WINDOW | {"status": "other"}}, "monitoring's window equals one rebuilt from MongoDB"),
        ({"live_window": None, "rebuilt_window": None}, "monitoring's window equals one rebuilt from MongoDB"),
    ],
)
def test_a_broken_promise_fails_and_is_named(found: dict[str, object], broken: str) -> None:
    assert failing(replace(SOUND, **found)) == [broken]  # type: ignore[arg-type]


def test_an_event_among_the_dead_letters_without_a_reason_is_lost() -> None:
    found = replace(SOUND, stored=SOUND.stored[1:], dead_letters=[CONFLICT, DeadLetter("mongodb", FIRST, "")])
    assert failing(found) == ["lost", "sound, but in the dead letters"]


def test_what_was_refused_may_not_be_stored() -> None:
    found = replace(SOUND, stored=[*SOUND.stored, StoredEvent(REFUSED, CONTENT)])
    assert failing(found) == ["stored, but never sent", "stored, but refused"]


def test_what_nobody_acknowledged_may_be_stored_or_not() -> None:
    promised = ledger()
    promised.attempt(unknown := Key("prediction", "taxi", "d"))
    with_it = replace(SOUND, stored=[*SOUND.stored, StoredEvent(unknown, CONTENT)])
    for found in (SOUND, with_it):
        assert all(check.holds for check in check_all(promised.obligations(), found))


def test_a_check_counts_all_and_shows_some() -> None:
    promised = Ledger()
    promised.acknowledge({Key("prediction", "taxi", str(number)): CONTENT for number in range(50)})
    lost = next(check for check in check_all(promised.obligations(), SOUND) if check.name == "lost")
    assert lost.violations == 50
    assert len(lost.examples) == 10
    assert not Check("lost", 1).holds


def test_every_fault_comes_before_any_comes_again_and_a_seed_repeats_their_order() -> None:
    faults = [Fault(str(number), "disk", lambda *_: True) for number in range(5)]

    def dealt(seed: int) -> list[str]:
        return [fault.name for fault, _ in zip(deal(faults, Random(seed)), range(10), strict=False)]

    assert sorted(dealt(1)[:5]) == sorted(dealt(1)[5:]) == ["0", "1", "2", "3", "4"]
    assert dealt(1) == dealt(1) != dealt(2)
    assert list(deal([], Random(1))) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_torn_write_behind_the_end_of_the_log_changes_nothing_before_it(tmp_path: Path, seed: int) -> None:
    path, log = tmp_path / "outbox.db", tmp_path / "outbox.db-wal"
    outbox = Outbox(path, 1 << 24)
    outbox.append([NewEvent("prediction", b"{}")] * 3)
    copy, copied_log = tmp_path / "copy.db", tmp_path / "copy.db-wal"
    copy.write_bytes(path.read_bytes())
    copied_log.write_bytes(log.read_bytes())
    outbox.close()
    end = end_of_log(copied_log.read_bytes())
    assert tear(copied_log, Random(seed))
    assert copied_log.stat().st_size > end > 0
    again = Outbox(copy, 1 << 24)
    assert len(again.queued("mongodb", 10)) == 3
    again.close()
    assert not tear(tmp_path / "none", Random(seed))
