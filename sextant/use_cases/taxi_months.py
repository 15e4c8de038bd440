"""Where months of green-taxi trips come from: the TLC's site, a folder of files, or a generator."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from sextant.use_cases.download import ONE_QUICK_TRY, PERSISTENT, RetryPolicy, download
from sextant.use_cases.synthetic_trips import synthetic_month
from sextant.use_cases.use_case import Source, SourceError, SourceRequest

TLC_URL = "https://d37ci6vzurychx.cloudfront.net/trip-data"
REFERENCE_MONTH, TRAFFIC_MONTH = "2021-01", "2022-01"
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
FILE_NAME = re.compile(rf"green_tripdata_({MONTH.pattern})\.parquet")
PARQUET_MAGIC = b"PAR1"
COLUMNS = [
    "lpep_pickup_datetime",
    "lpep_dropoff_datetime",
    "PULocationID",
    "DOLocationID",
    "trip_distance",
    "payment_type",
    "passenger_count",
]


def open_source(request: SourceRequest) -> Source:
    """The requested source with its months available; raises SourceError with one sentence."""
    for month in (request.reference, request.traffic):
        if month is not None and not MONTH.fullmatch(month):
            raise SourceError(f"{month!r} is not a month; write it as YYYY-MM, for example {REFERENCE_MONTH}")
    named: dict[str, Callable[[SourceRequest], Source]] = {"auto": _auto, "tlc": _tlc, "synthetic": _synthetic}
    return named.get(request.source, _folder)(request)


def read_month(path: Path) -> pd.DataFrame:
    """The columns of one month that Sextant uses; raises SourceError when the file is not such a month."""
    try:
        return pd.read_parquet(path, columns=COLUMNS)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors or OSErrors
        reason = str(error).splitlines()[0][:200]
        raise SourceError(f"{path} cannot be read as a month of green-taxi trips: {reason}") from None


def _auto(request: SourceRequest) -> Source:
    try:
        return _downloaded(request, ONE_QUICK_TRY)
    except SourceError as error:
        request.say(f"!!! NO REAL DATA: {error}; continuing with SYNTHETIC trips (--source synthetic) !!!")
        return _synthetic(request)


def _tlc(request: SourceRequest) -> Source:
    return _downloaded(request, PERSISTENT)


def _downloaded(request: SourceRequest, policy: RetryPolicy) -> Source:
    reference, traffic = request.reference or REFERENCE_MONTH, request.traffic or TRAFFIC_MONTH
    for month in (reference, traffic):
        url, path = f"{TLC_URL}/{_file_name(month)}", request.raw_dir / _file_name(month)
        download(url, path, magic=PARQUET_MAGIC, policy=policy)
    return Source("tlc", reference, traffic, lambda month: read_month(request.raw_dir / _file_name(month)))


def _synthetic(request: SourceRequest) -> Source:
    reference = request.reference or REFERENCE_MONTH
    return Source("synthetic", reference, request.traffic or TRAFFIC_MONTH, synthetic_month)


def _folder(request: SourceRequest) -> Source:
    folder = Path(request.source)
    if not folder.is_dir():
        raise SourceError(f"the source {request.source!r} is neither auto, tlc, synthetic nor a folder")
    months = sorted(found[1] for path in folder.iterdir() if (found := FILE_NAME.fullmatch(path.name)))
    if not months:
        raise SourceError(f"there is no green_tripdata_YYYY-MM.parquet in {folder}")
    reference = _chosen(request.reference, months, folder) or months[0]
    traffic = _chosen(request.traffic, months, folder) or (months[-1] if months[-1] != reference else None)
    return Source("files", reference, traffic, lambda month: read_month(folder / _file_name(month)))


def _chosen(month: str | None, months: Sequence[str], folder: Path) -> str | None:
    if month is not None and month not in months:
        raise SourceError(f"there is no {_file_name(month)} in {folder}; it has: {', '.join(months)}")
    return month


def _file_name(month: str) -> str:
    return f"green_tripdata_{month}.parquet"
