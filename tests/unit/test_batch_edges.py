"""What stands at the edges of the batch flows: a bounded sample and a file that is whole or absent."""

from pathlib import Path

import pytest

from batch_flows.html_file import write_atomically
from batch_flows.sampling import sample_uniformly
from contracts.errors import Retryable


def test_a_stream_that_fits_is_kept_whole_and_in_order() -> None:
    sample = sample_uniformly(iter(range(5)), 5, seed=1)
    assert (sample.kept, sample.seen) == ([0, 1, 2, 3, 4], 5)


def test_an_empty_stream_gives_an_empty_sample() -> None:
    sample = sample_uniformly(iter(()), 5, seed=1)
    assert (sample.kept, sample.seen) == ([], 0)


def test_a_longer_stream_is_counted_whole_and_sampled_in_its_order() -> None:
    sample = sample_uniformly(iter(range(1_000)), 100, seed=1)
    assert sample.seen == 1_000
    assert len(set(sample.kept)) == 100
    assert sample.kept == sorted(sample.kept)


def test_the_same_seed_keeps_the_same_items_and_another_seed_others() -> None:
    first, again, other = (sample_uniformly(range(1_000), 50, seed=seed).kept for seed in (7, 7, 8))
    assert first == again != other


def test_each_part_of_the_stream_has_the_same_chance() -> None:
    counts = [0] * 10
    for seed in range(400):
        for item in sample_uniformly(range(100), 10, seed=seed).kept:
            counts[item // 10] += 1
    assert min(counts) > 330  # 400 are expected in each tenth, with a standard deviation of about 18
    assert max(counts) < 470


def test_a_file_is_written_whole_and_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "one.html"
    write_atomically(path, "first")
    write_atomically(path, "sécond")
    assert path.read_text(encoding="utf-8") == "sécond"
    assert [entry.name for entry in path.parent.iterdir()] == ["one.html"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "one.html").mkdir()  # a folder in the way: the last step, the move, cannot succeed
    with pytest.raises(Retryable, match=r"could not write .*one\.html: Is a directory"):
        write_atomically(tmp_path / "one.html", "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.html"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where the folder should be")
    with pytest.raises(Retryable, match="could not write"):
        write_atomically(tmp_path / "reports" / "one.html", "text")
