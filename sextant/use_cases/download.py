"""Fetches a file over HTTP so that an interruption costs nothing and a half file is never taken for a whole."""

import re
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests
from tqdm import tqdm

from sextant.use_cases.sources import SourceError

CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection, a silence and the pause between attempts last (seconds), and how many attempts."""

    connect: float
    read: float
    attempts: int
    pause: float = 1.0


PATIENT = Patience(connect=10, read=30, attempts=4)
SHORT = Patience(connect=3, read=8, attempts=1)


class _Interrupted(Exception):
    """The transfer broke off; what has arrived is kept and the rest can be asked for."""


def download(url: str, path: Path, *, magic: bytes = b"", patience: Patience = PATIENT) -> None:
    """Put the file at `path` unless it is there already; raises SourceError with the reason.

    What has arrived waits in `<name>.part`, beside it the server's ETag, so that a later call asks only for
    the rest, and for the whole when the file has changed meanwhile. `magic` is how the file must begin and
    end: a portal's log-in page that answers 200 is not taken for data.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, patience.attempts + 1):
        try:
            _attempt(url, path, magic, patience)
            return
        except (requests.RequestException, _Interrupted) as error:
            if attempt == patience.attempts:
                raise SourceError(f"{url} cannot be downloaded ({_reason(error)})") from None
            time.sleep(patience.pause)
        except OSError as error:
            raise SourceError(f"{path} cannot be written ({error.strerror or error})") from None


def _attempt(url: str, path: Path, magic: bytes, patience: Patience) -> None:
    part, etag = path.with_name(path.name + ".part"), path.with_name(path.name + ".etag")
    headers = {"Accept-Encoding": "identity"}  # sizes are compared byte by byte
    if part.exists() and etag.exists():
        headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": etag.read_text()}
    timeout = (patience.connect, patience.read)
    with closing(requests.get(url, headers=headers, stream=True, timeout=timeout)) as answer:
        resumed = _is_rest(answer, part)
        if not resumed:
            _remember(etag, answer.headers.get("ETag"))
        with part.open("ab" if resumed else "wb") as stream:
            _receive(answer, stream, path.name)
    etag.unlink(missing_ok=True)
    if not _bounded_by(part, magic):
        part.unlink()
        raise SourceError(f"{url} answers with something else than the file")
    part.replace(path)


def _is_rest(answer: requests.Response, part: Path) -> bool:
    """Whether the answer is the rest of the file, not the whole; raises when it is neither."""
    if answer.status_code == 416:  # the part is as long as the file or longer: begin again
        part.unlink(missing_ok=True)
        raise _Interrupted("the part did not fit the file")
    if answer.status_code not in (200, 206):
        raise SourceError(f"{answer.url} answers {answer.status_code}")
    return answer.status_code == 206


def _bounded_by(part: Path, magic: bytes) -> bool:
    content = part.read_bytes()
    return content.startswith(magic) and content.endswith(magic)


def _remember(etag: Path, value: str | None) -> None:
    if value and not value.startswith("W/"):  # a weak ETag does not vouch for bytes
        etag.write_text(value)
    else:
        etag.unlink(missing_ok=True)


def _receive(answer: requests.Response, stream: BinaryIO, label: str) -> None:
    start = stream.tell()
    total = _total_size(answer, start)
    with tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=label, disable=None) as bar:
        for chunk in answer.iter_content(CHUNK):
            stream.write(chunk)
            bar.update(len(chunk))
    if total is not None and stream.tell() != total:
        raise _Interrupted(f"{stream.tell()} of {total} bytes arrived")


def _total_size(answer: requests.Response, start: int) -> int | None:
    if found := re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", "")):
        return int(found[1])
    length = answer.headers.get("Content-Length")
    return None if length is None else start + int(length)


def _reason(error: Exception) -> str:
    """One line for a person out of the nest of messages that requests and urllib3 make."""
    if isinstance(error, requests.Timeout):
        return "the server does not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection: " + ("name not known" if "resolve" in str(error).lower() else "unreachable")
    return str(error).splitlines()[0][:200]
