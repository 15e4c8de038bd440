"""The relay's loop: nothing is passed over, failures wait longer each time, refusals hold nobody up."""

import threading

import orjson
import pytest
import requests

from prediction_service.delivery import BATCH_SIZE, FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, Delivery
from prediction_service.errors import SinkUnavailable
from prediction_service.outbox import Outbox
from prediction_service.outbox_types import NewEvent, QueuedEvent, RefusedEvent
from prediction_service.sinks import MonitoringSink


class FakeSink:
    name = "monitoring"

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.away = False
        self.refuses: set[int] = set()

    def deliver(self, events):
        if self.away:
            raise SinkUnavailable("nobody there")
        self.taken += [event.seq for event in events if event.seq not in self.refuses]
        return [RefusedEvent(event.seq, "odd") for event in events if event.seq in self.refuses]


@pytest.fixture
def outbox(tmp_path):
    box = Outbox(tmp_path / "outbox.db", 10 << 20)
    yield box
    box.close()


def fill(outbox, count):
    outbox.append([NewEvent("prediction", b"{}") for _ in range(count)])


def make_delivery(outbox, sink, **options):
    return Delivery(lambda: outbox, sink, jitter=lambda: 1.0, **options)


def test_a_backlog_is_delivered_in_order_without_waiting_between_full_batches(outbox):
    sink = FakeSink()
    fill(outbox, BATCH_SIZE + 3)
    delivery = make_delivery(outbox, sink)
    assert delivery.step(outbox) == 0.0
    assert delivery.step(outbox) > 0.0
    assert sink.taken == list(range(1, BATCH_SIZE + 4))


def test_large_events_go_in_batches_of_few_megabytes_one_right_after_the_other(outbox):
    sink = FakeSink()
    outbox.append([NewEvent("prediction", b"x" * (1 << 20)) for _ in range(7)])
    delivery = make_delivery(outbox, sink)
    assert delivery.step(outbox) == 0.0
    assert sink.taken == [1, 2, 3, 4]
    assert delivery.step(outbox) > 0.0
    assert sink.taken == [1, 2, 3, 4, 5, 6, 7]


def test_a_sink_that_is_away_gets_the_same_events_later_and_is_asked_ever_less_often(outbox):
    sink, failed = FakeSink(), []
    sink.away = True
    fill(outbox, 3)
    delivery = make_delivery(outbox, sink, on_failure=failed.append)
    pauses = [delivery.step(outbox) for _ in range(12)]
    assert pauses[:3] == [FIRST_BACKOFF_SECONDS * factor for factor in (1, 2, 4)]
    assert pauses[-1] == LONGEST_BACKOFF_SECONDS
    assert failed == ["monitoring"] * 12
    sink.away = False
    delivery.step(outbox)
    assert sink.taken == [1, 2, 3]
    sink.away = True
    fill(outbox, 1)
    assert delivery.step(outbox) == FIRST_BACKOFF_SECONDS


def test_a_sink_that_does_not_manage_a_batch_in_time_gets_smaller_ones(outbox):
    class SlowSink(FakeSink):
        def deliver(self, events):
            if len(events) > 100:
                raise SinkUnavailable("timed out")
            return super().deliver(events)

    sink = SlowSink()
    fill(outbox, BATCH_SIZE)
    delivery = make_delivery(outbox, sink)
    pauses = [delivery.step(outbox) for _ in range(4)]
    assert pauses[2] > pauses[1] > pauses[0] > pauses[3] == 0.0  # the last was a full one of its size
    assert sink.taken == list(range(1, (BATCH_SIZE >> 3) + 1))


def test_jitter_spreads_the_retries(outbox):
    sink = FakeSink()
    sink.away = True
    fill(outbox, 1)
    early = Delivery(lambda: outbox, sink, jitter=lambda: 0.0)
    assert early.step(outbox) == FIRST_BACKOFF_SECONDS / 2


def test_a_refused_event_becomes_a_dead_letter_and_the_others_go_on(outbox):
    sink = FakeSink()
    sink.refuses = {2}
    fill(outbox, 3)
    make_delivery(outbox, sink).step(outbox)
    assert sink.taken == [1, 3]
    assert outbox.counts()["monitoring"].dead_lettered == 1
    assert outbox.counts()["monitoring"].queued == 0


def test_past_its_backlog_a_live_sink_skips_ahead_and_says_how_much(outbox):
    sink = FakeSink()
    fill(outbox, 10)
    make_delivery(outbox, sink, max_backlog=4).step(outbox)
    assert sink.taken == [7, 8, 9, 10]
    assert outbox.counts()["monitoring"].skipped == 6


def test_it_stops_when_told_and_follows_a_file_that_was_replaced(tmp_path):
    sink, stop = FakeSink(), threading.Event()
    path = tmp_path / "outbox.db"
    fill(Outbox(path, 10 << 20), 1)
    thread = threading.Thread(target=Delivery(lambda: Outbox(path, 10 << 20), sink).run, args=(stop,))
    thread.start()
    try:
        wait_for(lambda: sink.taken == [1])
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"outbox.db{suffix}").rename(tmp_path / f"aside.db{suffix}")
        fill(Outbox(path, 10 << 20), 1)
        wait_for(lambda: sink.taken == [1, 1])
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def wait_for(condition):
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("condition did not come true")


class FakeSession:
    """Answers like a monitoring service that cannot take any body with the word poison in it."""

    def __init__(self, status):
        self.status = status
        self.posts = 0

    def post(self, url, data, headers, timeout):
        self.posts += 1
        answer = requests.Response()
        answer.status_code = self.status if b"poison" in data else 202
        found = orjson.loads(data)["predictions"]
        answer._content = orjson.dumps(
            {
                "rejected": [
                    {"pointer": f"/predictions/{position}", "prediction_id": "bad", "reason": "unknown model"}
                    for position, event in enumerate(found)
                    if event.get("prediction_id") == "bad"
                ]
            }
        )
        return answer


def queued(*ids):
    return [
        QueuedEvent(seq, 0.0, "prediction", b'{"prediction_id":"%s"}' % name.encode())
        for seq, name in enumerate(ids, 1)
    ]


def sink_with(session):
    sink = MonitoringSink("http://monitoring.invalid", "token")
    sink._session = session
    return sink


def test_a_batch_that_monitoring_cannot_take_is_split_until_the_culprit_is_alone():
    refused = sink_with(FakeSession(422)).deliver(queued("a", "b", "poison", "d", "e"))
    assert [refusal.seq for refusal in refused] == [3]
    assert "422" in refused[0].reason


def test_one_event_that_no_body_can_hold_leaves_the_rest_of_its_batch_in_order():
    session = FakeSession(413)
    refused = sink_with(session).deliver(queued(*(f"e{number}" for number in range(311)), "poison", "last"))
    assert [refusal.seq for refusal in refused] == [312]
    assert session.posts < 25


def test_what_monitoring_rejects_one_by_one_is_returned_with_its_reason():
    refused = sink_with(FakeSession(422)).deliver(queued("good", "bad"))
    assert refused == [RefusedEvent(2, "unknown model")]


def test_an_event_is_not_rejected_for_another_one_of_the_same_id():
    target = QueuedEvent(3, 0.0, "target", b'{"prediction_id":"bad"}')
    refused = sink_with(FakeSession(422)).deliver([target, *queued("good", "bad")])
    assert refused == [RefusedEvent(2, "unknown model")]


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_any_other_failure_of_monitoring_is_tried_again(status):
    with pytest.raises(SinkUnavailable, match=str(status)):
        sink_with(FakeSession(status)).deliver(queued("poison"))


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"rejected":[{}]}', b'{"rejected":5}'])
def test_an_answer_that_is_not_monitorings_ends_no_delivery(body):
    session = FakeSession(202)
    answer = session.post("", b'{"predictions":[]}', {}, 1)
    answer._content = body
    session.post = lambda *_, **__: answer
    with pytest.raises(SinkUnavailable, match="not monitoring"):
        sink_with(session).deliver(queued("a"))
