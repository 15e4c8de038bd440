"""API keys: each has a name and scopes, and is known by its SHA-256 alone.

A fast hash is right for them: a key is 256 random bits, which nobody finds by trying, and no request waits for it.
A slow hash protects what people choose; these keys are made by `python -m sextant.keys` and chosen by nobody.
"""

import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sextant.contracts.errors import SettingsError

Scope = Literal["predict", "feedback", "read", "admin"]
CHECK_SECONDS = 1.0
"""How long a change of the file may go unnoticed."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """Who holds it, what it opens, and how it is recognised."""

    name: str
    digest: str
    scopes: frozenset[str]


def digest_of(key: str) -> str:
    """What is stored in place of a key."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class StoredKey(BaseModel):
    """A key as its file holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created_at: datetime


class KeyFile(BaseModel):
    """The file's content; without keys nobody may pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[StoredKey, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if len({key.name for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same name")
        return self


def read_key_file(path: Path) -> KeyFile:
    """The file's keys; raises SettingsError with one line that quotes nothing of it."""
    try:
        return KeyFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} (API_KEYS_FILE) cannot be read: {error.strerror}") from None
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, wrong["loc"])) or "file"
        raise SettingsError(f"{path} (API_KEYS_FILE) is no key file: {where}: {wrong['msg']}") from None


class KeyRing:
    """The keys in force; follows its file within a second, and opens no door because it is gone or broken."""

    def __init__(
        self,
        fixed: Iterable[Key] = (),
        path: Path | None = None,
        *,
        must_exist: bool = False,
        internal: Iterable[Key] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises SettingsError when the file is broken, or missing although it must exist.

        `internal` keys are those of our own programs: they pass, but do not close the doors to others.
        """
        self._fixed = {key.digest: key for key in fixed}
        self._internal = {key.digest: key for key in internal}
        self._path, self._clock = path, clock
        self._from_file: Mapping[str, Key] | None = None
        self._seen: tuple[int, ...] | None = None
        self._check_at = clock() + CHECK_SECONDS
        self.problem: str | None = None
        """Why the file is not followed; the keys that it held before stay in force."""

        if path and (must_exist or path.exists()):
            self._seen = _identity(path)
            self._read(path)

    @property
    def closed(self) -> bool:
        """Whether a key is asked for: as soon as there is one, or a file for them."""
        self._follow()
        return self._from_file is not None or bool(self._fixed)  # at every request, so it costs next to nothing

    def find(self, given: str) -> Key | None:
        """The key that was given, or None."""
        self._follow()
        digest = digest_of(given)
        # Whoever times the look-up learns of digests, which nobody can choose.
        for keys in (self._from_file or {}, self._fixed, self._internal):
            if (key := keys.get(digest)) and hmac.compare_digest(key.digest, digest):
                return key
        return None

    def _follow(self) -> None:
        if self._path is None or self._clock() < self._check_at:
            return
        self._check_at = self._clock() + CHECK_SECONDS
        if (found := _identity(self._path)) == self._seen:
            return
        self._seen = found
        try:
            self._read(self._path)
        except SettingsError as error:
            if found is not None and self._from_file is None:
                self._from_file = {}  # whoever puts a file there wants the doors closed
            self.problem = f"{error}; the keys that were in force before stay so"
            log.error("the keys cannot be followed", reason=self.problem)

    def _read(self, path: Path) -> None:
        found = read_key_file(path).keys
        self._from_file = {key.sha256: Key(key.name, key.sha256, frozenset(key.scopes)) for key in found}
        self.problem = None
        log.info("keys are in force", names=sorted(key.name for key in found))


def _identity(path: Path) -> tuple[int, ...] | None:
    """What changes with the file's content; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
