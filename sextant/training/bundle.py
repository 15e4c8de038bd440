"""Writes a trained model as a bundle: files are staged beside their destination, then published at once."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.contracts.errors import Fatal
from sextant.contracts.model_bundle import (
    MODEL_CARD,
    NULLS,
    ONNX_MODEL,
    PIPELINE,
    REFERENCE,
    Manifest,
    ModelBundle,
    file_sha256,
    publish,
)
from sextant.training.card import model_card
from sextant.training.fit import TrainedModel, libraries
from sextant.training.split import Split
from sextant.use_cases.use_case import UseCase

TRUSTED_PACKAGES = ("sklearn.", "numpy.")
"""Packages whose types a pipeline.skops may name; any other type would be code that nobody has reviewed."""

MeasureNulls = Callable[[Manifest, pd.DataFrame, npt.NDArray[np.intp]], bytes]
"""Makes nulls.json from all rows that were predicted unseen, by time, and the reference's positions in them."""


class UntrustedPipeline(Fatal):
    """The pipeline holds types that may not be loaded from a file."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which bundle this is: its version, and the source and period of its training data."""

    version: str
    source: str
    period: str


def write_bundle(
    models_dir: Path,
    use_case: UseCase,
    split: Split,
    model: TrainedModel,
    origin: Origin,
    *,
    measure_nulls: MeasureNulls,
) -> ModelBundle:
    """Publish the model under its origin's version and make it the live one."""
    with _staging_folder(models_dir / use_case.name) as staged:
        (staged / ONNX_MODEL).write_bytes(model.onnx)
        trusted = _write_pipeline(staged / PIPELINE, model.pipeline)
        manifest = Manifest(
            name=use_case.name,
            version=origin.version,
            task=use_case.task,
            feature_schema=model.schema,
            target=use_case.target,
            classes=model.classes,
            segments=use_case.segments,
            time=use_case.time if split.timing else None,
            trusted_types=trusted,
            onnx_max_difference=model.onnx_difference,
            metrics=model.metrics,
            holdout_metrics=model.holdout_metrics,
            data_source=origin.source,
            data_period=origin.period,
            libraries=libraries(),
            files={},
        )
        scored = scored_frame(manifest, split, model)
        scored.iloc[split.reference_positions].to_parquet(staged / REFERENCE, index=False)
        if manifest.time:
            (staged / NULLS).write_bytes(measure_nulls(manifest, scored, split.reference_positions))
        card = model_card(manifest, use_case.about, split, model)
        (staged / MODEL_CARD).write_text(card, encoding="utf-8")
        files = {path.name: file_sha256(path) for path in sorted(staged.iterdir())}
        return publish(models_dir, manifest.model_copy(update={"files": files}), staged)


def scored_frame(manifest: Manifest, split: Split, model: TrainedModel) -> pd.DataFrame:
    """All rows that were predicted unseen, with these predictions; the reference is some of them."""
    rows = split.scored
    frame = rows.features.assign(prediction=model.scored.values, target=rows.target)
    if model.classes is not None and model.scored.probabilities is not None:
        columns = [f"probability_{name}" for name in model.classes]
        frame[columns] = model.scored.probabilities
    wanted = dict.fromkeys([*manifest.segments, *([manifest.time] if manifest.time else [])])
    return pd.concat([frame, rows.context[[name for name in wanted if name not in frame]]], axis=1)


@contextmanager
def _staging_folder(beside: Path) -> Iterator[Path]:
    """A folder on the same file system as its destination; removed afterwards unless it was moved there."""
    beside.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(dir=beside, prefix=".staging-"))
    staged.chmod(0o755)  # mkdtemp makes it private, but services run as other users
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _write_pipeline(path: Path, pipeline: Any) -> tuple[str, ...]:
    """Write pipeline.skops and return the types to trust; raises UntrustedPipeline for any other package's."""
    from zipfile import ZIP_DEFLATED

    import skops.io

    skops.io.dump(pipeline, path, compression=ZIP_DEFLATED, compresslevel=6)
    types = tuple(sorted(skops.io.get_untrusted_types(file=path)))
    if strangers := [name for name in types if not name.startswith(TRUSTED_PACKAGES)]:
        raise UntrustedPipeline(f"the pipeline has types outside scikit-learn and NumPy: {', '.join(strangers)}")
    skops.io.load(path, trusted=list(types))
    return types
