"""A versioned model on disk: data/models/<name>/<version>/ with a manifest that vouches for every file."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sextant.contracts.errors import BundleError
from sextant.contracts.files import write_atomically
from sextant.contracts.schema import RESERVED_COLUMNS, FeatureSchema, Task

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"
ONNX_MODEL = "model.onnx"
PIPELINE = "pipeline.skops"
REFERENCE = "reference.parquet"
NULLS = "nulls.json"
"""What scores are without drift, measured with the bundle on consecutive rows; only where it has event times."""

MODEL_CARD = "MODEL_CARD.md"
CURRENT = "current"
CREATED_AT = "created_at"
"""As a manifest's `time`: the prediction's own time (UTC) is the event's."""


class Manifest(BaseModel):
    """What a bundle holds and where it comes from; written last, so a bundle with a manifest is complete."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    task: Task
    feature_schema: FeatureSchema
    target: str = Field(description="What the target is, with its unit: 'duration in minutes'")
    classes: tuple[str, ...] | None = Field(None, description="In the order of the model's probabilities")
    segments: tuple[str, ...] = Field(
        (), description="Features or context columns by whose values drift and performance are reported"
    )
    time: str | None = Field(
        None,
        min_length=1,
        description="Feature or context column with the event's local time as ISO 8601 text, or `created_at`: the "
        "prediction's own time (UTC); null: the model's events have no time",
    )
    runtime: Literal["onnx", "skops"] = "onnx"
    trusted_types: tuple[str, ...] = Field(
        (), description="Types in pipeline.skops that skops does not know; a bundle cannot vouch for them itself"
    )
    onnx_max_difference: float | None = Field(
        None, description="Largest difference from scikit-learn when created"
    )
    metrics: Mapping[str, float] = Field(
        description="On the reference rows, whose predictions are by pipelines that have not seen them"
    )
    holdout_metrics: Mapping[str, float] = Field(
        {}, description="Of the served model on the days after the reference; empty without event times"
    )
    data_source: str
    data_period: str
    libraries: Mapping[str, str]
    files: Mapping[str, str] = Field(description="sha256 of every file, by file name")

    @field_validator("files")
    @classmethod
    def _files_are_in_the_folder(cls, files: Mapping[str, str]) -> Mapping[str, str]:
        if any("/" in name or name in {"", ".", "..", MANIFEST} for name in files):
            raise ValueError("a file is not one of the bundle's folder")
        return files

    @field_validator("segments")
    @classmethod
    def _segments_are_free(cls, segments: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(segments)) < len(segments) or RESERVED_COLUMNS & set(segments):
            raise ValueError(f"segments are not unique, or one of {sorted(RESERVED_COLUMNS)}")
        return segments

    @field_validator("time")
    @classmethod
    def _time_is_free(cls, time: str | None) -> str | None:
        if time in RESERVED_COLUMNS - {CREATED_AT}:
            raise ValueError(f"the time column is one of {sorted(RESERVED_COLUMNS - {CREATED_AT})}")
        return time


class ModelBundle:
    """A bundle whose manifest was read and whose files were verified."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    def file(self, name: str) -> Path:
        """The path of one of the bundle's verified files; raises BundleError for any other."""
        if name != MANIFEST and name not in self.manifest.files:
            raise BundleError(f"model bundle {self.path} has no {name} that its manifest lists")
        return self.path / name

    def reference(self) -> "pd.DataFrame":
        """Rows judged unseen: features (categories as strings), `prediction`, `target`, segments and time."""
        import pandas as pd  # heavy, and the prediction service never asks for the reference

        return pd.read_parquet(self.file(REFERENCE))

    @property
    def reference_sha256(self) -> str:
        """Identifies the reference rows, for caches of what is derived from them."""
        return self.manifest.files[REFERENCE]


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load_bundle(models_dir: Path, name: str, version: str | None = None) -> ModelBundle:
    """The named version (default: the current one), verified; raises BundleError with what to do."""
    version = version or current_version(models_dir, name)
    path = models_dir / name / version
    try:
        manifest = Manifest.model_validate_json((path / MANIFEST).read_bytes())
    except OSError:
        raise BundleError(f"model bundle {path} has no readable {MANIFEST}; run: python prepare.py") from None
    except ValidationError as error:
        raise BundleError(
            f"{path / MANIFEST} is not a manifest ({error.error_count()} errors); run: python prepare.py --force"
        ) from None
    if (manifest.name, manifest.version) != (name, version):
        raise BundleError(
            f"model bundle {path} says that it is version {manifest.version!r} of {manifest.name!r}; "
            "its folder must have the same names"
        )
    if unlisted := sorted({file.name for file in path.iterdir()} - manifest.files.keys() - {MANIFEST}):
        raise BundleError(f"model bundle {path} has files that its manifest does not list: {', '.join(unlisted)}")
    for file_name, expected in manifest.files.items():
        _verify_file(path / file_name, expected)
    return ModelBundle(path, manifest)


def _verify_file(path: Path, expected: str) -> None:
    try:
        actual = file_sha256(path)
    except OSError:
        raise BundleError(f"model file {path} is missing; run: python prepare.py --force") from None
    if actual != expected:
        raise BundleError(f"model file {path} is corrupt (its checksum is wrong); run: python prepare.py --force")


def current_version(models_dir: Path, name: str) -> str:
    """The live version of a model; raises BundleError when there is none."""
    try:
        return (models_dir / name / CURRENT).read_text().strip()
    except OSError:
        raise BundleError(f"there is no model {name!r} in {models_dir}; run: python prepare.py") from None


def model_names(models_dir: Path) -> list[str]:
    """The models that have a live version, sorted."""
    return sorted(path.parent.name for path in models_dir.glob(f"*/{CURRENT}"))


def publish(models_dir: Path, manifest: Manifest, staged: Path) -> ModelBundle:
    """Move a folder of finished files into place, with its manifest, and make it the live version."""
    folder = models_dir / manifest.name
    folder.mkdir(parents=True, exist_ok=True)
    (staged / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
    path = folder / manifest.version
    if path.exists():
        shutil.rmtree(path)
    staged.replace(path)
    set_current(models_dir, manifest.name, manifest.version)
    return ModelBundle(path, manifest)


def set_current(models_dir: Path, name: str, version: str) -> None:
    """Name the live version, atomically: a running service sees the old one or the new one."""
    folder = models_dir / name
    if not (folder / version / MANIFEST).is_file():
        raise BundleError(f"model {name!r} has no version {version!r} in {models_dir}")
    write_atomically(folder / CURRENT, version + "\n")
