"""Downloads a file over HTTP, resumes after an interruption, and never takes a partial file for a whole one."""

import re
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests
from tqdm import tqdm

from sextant.use_cases.use_case import SourceError

CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Time-outs for connecting and reading, and the pause between attempts, in seconds; how many attempts."""

    connect_timeout: float
    read_timeout: float
    attempts: int
    pause: float = 1.0


PERSISTENT = RetryPolicy(connect_timeout=10, read_timeout=30, attempts=4)
ONE_QUICK_TRY = RetryPolicy(connect_timeout=3, read_timeout=8, attempts=1)


class _Interrupted(Exception):
    """The transfer broke off; what has arrived is kept, and the rest can be requested."""


def download(url: str, path: Path, *, magic: bytes, policy: RetryPolicy) -> None:
    """Download the file to `path` unless it is already there; raises SourceError with the reason.

    What has arrived is kept in `<name>.part`, with the server's ETag beside it, so that a later call requests
    only the rest, or the whole file if it has changed meanwhile. `magic` is how the file must begin and end:
    a portal's log-in page served with status 200 is not taken for data.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, policy.attempts + 1):
        try:
            _attempt(url, path, magic, policy)
            return
        except (requests.RequestException, _Interrupted) as error:
            if attempt == policy.attempts:
                raise SourceError(f"{url} cannot be downloaded ({_reason(error)})") from None
            time.sleep(policy.pause)
        except OSError as error:
            raise SourceError(f"{path} cannot be written ({error.strerror or error})") from None


def _attempt(url: str, path: Path, magic: bytes, policy: RetryPolicy) -> None:
    part, etag = path.with_name(path.name + ".part"), path.with_name(path.name + ".etag")
    headers = {"Accept-Encoding": "identity"}  # sizes are compared byte by byte
    if part.exists() and etag.exists():
        headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": etag.read_text()}
    timeout = (policy.connect_timeout, policy.read_timeout)
    with closing(requests.get(url, headers=headers, stream=True, timeout=timeout)) as response:
        resumed = _is_rest(response, part)
        if not resumed:
            _remember(etag, response.headers.get("ETag"))
        with part.open("ab" if resumed else "wb") as stream:
            _receive(response, stream, path.name)
    etag.unlink(missing_ok=True)
    if not _bounded_by(part, magic):
        part.unlink()
        raise SourceError(f"{url} returns something other than the file")
    part.replace(path)


def _is_rest(response: requests.Response, part: Path) -> bool:
    """Whether the response is the rest of the file, not the whole; raises when it is neither."""
    if response.status_code == 416:  # the part is as long as the file or longer: begin again
        part.unlink(missing_ok=True)
        raise _Interrupted("the downloaded part does not match the file")
    if response.status_code not in (200, 206):
        raise SourceError(f"{response.url} returned {response.status_code}")
    return response.status_code == 206


def _bounded_by(part: Path, magic: bytes) -> bool:
    content = part.read_bytes()
    return content.startswith(magic) and content.endswith(magic)


def _remember(etag: Path, value: str | None) -> None:
    if value and not value.startswith("W/"):  # a weak ETag does not vouch for bytes
        etag.write_text(value)
    else:
        etag.unlink(missing_ok=True)


def _receive(response: requests.Response, stream: BinaryIO, label: str) -> None:
    start = stream.tell()
    total = _total_size(response, start)
    with tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=label, disable=None) as bar:
        for chunk in response.iter_content(CHUNK):
            stream.write(chunk)
            bar.update(len(chunk))
    if total is not None and stream.tell() != total:
        raise _Interrupted(f"{stream.tell()} of {total} bytes arrived")


def _total_size(response: requests.Response, start: int) -> int | None:
    if found := re.fullmatch(r"bytes \d+-\d+/(\d+)", response.headers.get("Content-Range", "")):
        return int(found[1])
    length = response.headers.get("Content-Length")
    return None if length is None else start + int(length)


def _reason(error: Exception) -> str:
    """One line for people, instead of the nested messages of requests and urllib3."""
    if isinstance(error, requests.Timeout):
        return "the server does not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection: " + ("unknown host" if "resolve" in str(error).lower() else "unreachable")
    return str(error).splitlines()[0][:200]
