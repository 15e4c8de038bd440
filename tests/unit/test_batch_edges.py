"""What stands at the edges of the batch flows: what is read of a window, and a file that is whole or absent."""

import resource
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from batch_flows.drift_report.rows import Sample, of_version, sample_uniformly
from batch_flows.reports.files import write_text
from batch_flows.store import Skipped, flaw_of
from batch_flows.time_range import TimeRange
from sextant.contracts.errors import Retryable
from sextant.contracts.events import Prediction

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def kept_of(stream: Iterable[int], limit: int, *, seed: int = 1) -> Sample[int]:
    return sample_uniformly(stream, limit, key=str, seed=seed)


def test_a_stream_that_fits_is_kept_whole() -> None:
    sample = kept_of(range(5), 5)
    assert (sorted(sample.kept), sample.seen) == ([0, 1, 2, 3, 4], 5)


def test_an_empty_stream_gives_an_empty_sample() -> None:
    sample = kept_of((), 5)
    assert (sample.kept, sample.seen) == ([], 0)


def test_a_longer_stream_is_counted_whole_and_no_item_is_kept_twice() -> None:
    sample = kept_of(range(1_000), 100)
    assert sample.seen == 1_000
    assert len(set(sample.kept)) == 100


def test_the_same_seed_keeps_the_same_items_and_another_seed_others() -> None:
    first, again, other = (kept_of(range(1_000), 50, seed=seed).kept for seed in (7, 7, 8))
    assert first == again
    assert set(first) != set(other)


def test_neither_the_order_of_a_stream_nor_its_parts_change_the_sample() -> None:
    whole = kept_of(range(1_000), 50)
    assert kept_of(reversed(range(1_000)), 50) == whole
    parts = kept_of(range(600), 50).kept + kept_of(range(600, 1_000), 50).kept
    assert kept_of(parts, 50).kept == whole.kept


def test_each_part_of_the_stream_has_the_same_chance() -> None:
    counts = [0] * 10
    for seed in range(400):
        for item in kept_of(range(100), 10, seed=seed).kept:
            counts[item // 10] += 1
    assert min(counts) > 330  # 400 are expected in each tenth, with a standard deviation of about 18
    assert max(counts) < 470


def test_no_more_items_are_held_than_are_kept() -> None:
    held: set[int] = set()

    class Item:
        def __init__(self, number: int) -> None:
            self.number = number
            held.add(number)

        def __del__(self) -> None:
            held.discard(self.number)

    most = 0

    def stream() -> Iterator[Item]:
        nonlocal most
        for number in range(2_000):
            yield Item(number)
            most = max(most, len(held))

    sample = sample_uniformly(stream(), 20, key=lambda item: str(item.number), seed=1)
    assert len(sample.kept) == 20
    assert most <= 22  # and the one that goes by


@pytest.mark.parametrize(("hours", "count"), [(24, 24), (1000, 24), (0.25, 15), (0.001, 1)])
def test_a_window_is_read_in_parts_that_make_it_up(hours: float, count: int) -> None:
    window = TimeRange(START, START + timedelta(hours=hours))
    parts = list(window.parts(24, timedelta(minutes=1)))
    assert len(parts) == count
    assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    assert all(one.end == next_one.start for one, next_one in pairwise(parts))
    assert all(part.start < part.end for part in parts)


def prediction(identifier: str = "p1", **changes: Any) -> Prediction:
    return replace(Prediction(identifier, "taxi", "v1", START, {"distance": 1.0}, 9.0), **changes)


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"features": None}, "its features is NoneType, not an object"),
        ({"features": [1, 2]}, "its features is list, not an object"),
        ({"context": "night"}, "its context is str, not an object"),
        ({"probabilities": [0.5, 0.5]}, "its probabilities is list, not an object"),
        ({"model_version": 3}, "its model_version is int, not text"),
    ],
)
def test_a_document_of_another_shape_has_a_named_flaw(changes: dict[str, Any], flaw: str) -> None:
    assert flaw_of(prediction(**changes)) == flaw


@pytest.mark.parametrize("changes", [{}, {"features": {}}, {"context": None}, {"probabilities": {"a": 1.0}}])
def test_a_missing_feature_or_context_is_no_flaw(changes: dict[str, Any]) -> None:
    assert flaw_of(prediction(**changes)) is None


def test_what_is_left_out_is_counted_with_an_example_that_no_order_changes() -> None:
    stream = [prediction("b", features=3), prediction("c"), prediction("a", features=4), prediction("d")]
    stream += [prediction("e", model_version="v0")]
    for order in (stream, stream[::-1]):
        skipped, others = Skipped(), Counter[str]()
        found = of_version(skipped.usable(order), "v1", others)
        assert {p.prediction_id for p in found} == {"c", "d"}
        assert (skipped.count, skipped.example) == (2, "a: its features is int, not an object")
        assert others == {"v0": 1}


def test_a_file_is_written_whole_and_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "one.html"
    write_text(path, "first")
    write_text(path, "sécond")
    assert path.read_text(encoding="utf-8") == "sécond"
    assert [entry.name for entry in path.parent.iterdir()] == ["one.html"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "one.html").mkdir()  # a folder in the way: the last step, the move, cannot succeed
    with pytest.raises(Retryable, match=r"could not write .*one\.html: Is a directory"):
        write_text(tmp_path / "one.html", "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.html"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where the folder should be")
    with pytest.raises(Retryable, match="could not write"):
        write_text(tmp_path / "reports" / "one.html", "text")


def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))  # longer files are refused midway
        with pytest.raises(Retryable, match=r"could not write .*one\.html: File too large"):
            write_text(tmp_path / "one.html", "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
