"""Downloads against a real local server that breaks off, changes its file or answers nonsense."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sextant.use_cases.download import RetryPolicy, download
from sextant.use_cases.use_case import SourceError
from tests.file_server import FileServer

CONTENT = b"PAR1" + bytes(range(256)) * 1_000 + b"PAR1"
ONCE = RetryPolicy(connect_timeout=2, read_timeout=2, attempts=1, pause=0)
TWICE = RetryPolicy(connect_timeout=2, read_timeout=2, attempts=2, pause=0)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer({"month": CONTENT}).running() as running:
        yield running


def fetch(server: FileServer, path: Path, policy: RetryPolicy = ONCE, magic: bytes = b"PAR1") -> None:
    download(f"{server.url}/{path.name}", path, magic=magic, policy=policy)


def test_a_file_arrives_whole_and_leaves_nothing_beside_it(server: FileServer, tmp_path: Path) -> None:
    fetch(server, tmp_path / "raw" / "month")
    assert (tmp_path / "raw" / "month").read_bytes() == CONTENT
    assert len(list((tmp_path / "raw").iterdir())) == 1


def test_a_file_that_is_there_is_not_asked_for_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "month").write_bytes(b"mine")
    fetch(server, tmp_path / "month")
    assert server.requests == []
    assert (tmp_path / "month").read_bytes() == b"mine"


def test_a_broken_download_is_not_taken_for_a_whole_file(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = 100_000
    with pytest.raises(SourceError, match="cannot be downloaded"):
        fetch(server, tmp_path / "month")
    assert not (tmp_path / "month").exists()


def test_a_second_call_asks_only_for_the_rest(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = 200_000
    with pytest.raises(SourceError):
        fetch(server, tmp_path / "month")
    arrived = (tmp_path / "month.part").stat().st_size
    assert arrived > 0
    fetch(server, tmp_path / "month")
    assert server.requests == [None, f"bytes={arrived}-"]
    assert (tmp_path / "month").read_bytes() == CONTENT


def test_one_call_tries_again_by_itself(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = 200_000
    fetch(server, tmp_path / "month", TWICE)
    assert (tmp_path / "month").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_whole(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = 200_000
    with pytest.raises(SourceError):
        fetch(server, tmp_path / "month")
    server.etag, server.files["month"] = '"second"', CONTENT[::-1].replace(b"1RAP", b"PAR1")
    fetch(server, tmp_path / "month")
    assert (tmp_path / "month").read_bytes() == server.files["month"]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "month.part").write_bytes(CONTENT * 2)
    (tmp_path / "month.etag").write_text(server.etag)
    fetch(server, tmp_path / "month", TWICE)
    assert (tmp_path / "month").read_bytes() == CONTENT


def test_an_answer_that_is_not_the_file_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.files["month"] = b"<html>please log in</html>"
    with pytest.raises(SourceError, match="something other"):
        fetch(server, tmp_path / "month")
    assert not list(tmp_path.iterdir())


def test_a_file_that_the_server_lacks_is_named_with_the_status(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="2031-01 returned 404"):
        fetch(server, tmp_path / "2031-01")


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/month"
        with pytest.raises(SourceError, match="not answer in time"):
            download(
                url,
                tmp_path / "month",
                magic=b"",
                policy=RetryPolicy(connect_timeout=2, read_timeout=0.2, attempts=1),
            )
