"""The model card: what a bundle is, what it was trained on and how good it is, for people to read."""

from sextant.contracts.model_bundle import Manifest
from sextant.training.fit import TrainedModel
from sextant.training.split import Split

TEMPLATE = """\
# {manifest.name} {manifest.version}

{about}

- **Task:** {manifest.task}; the target is {manifest.target}.
- **Data:** {manifest.data_source}, period {manifest.data_period}: {training:,} rows for training, {reference:,}
  held-out rows to evaluate it and to measure drift against (`reference.parquet`), {holdout:,} more for undrifted
  replays.
- **Pipeline:** {steps}.
- **Served by:** `model.onnx`, which differs from scikit-learn by at most {manifest.onnx_max_difference:.2g} on the
  held-out rows.

## Features

| feature | kind | known values | description |
| --- | --- | --- | --- |
{features}

## On the held-out rows

| measure | this model | baseline |
| --- | --- | --- |
{measures}

The baseline always predicts {baseline}.

## Limits

The model knows the period above and nothing since: that is what Sextant watches. Values outside the known ones are
still served, and counted.
"""


def model_card(manifest: Manifest, about: str, split: Split, model: TrainedModel) -> str:
    """The card as Markdown, with the figures of this training run."""
    return TEMPLATE.format(
        manifest=manifest,
        about=about,
        training=len(split.training),
        reference=len(split.reference),
        holdout=len(split.holdout),
        steps=", then ".join(type(step).__name__ for _, step in model.pipeline.steps),
        features="\n".join(_feature_rows(model)),
        measures="\n".join(_measure_rows(model)),
        baseline="the most common class" if model.classes else "the median",
    )


def _feature_rows(model: TrainedModel) -> list[str]:
    rows = []
    for feature in model.schema.features:
        if feature.categories is None:
            known = f"{feature.minimum:g} to {feature.maximum:g}"
        else:
            known = f"{len(feature.categories)} categories"
        rows.append(f"| `{feature.name}` | {feature.kind} | {known} | {feature.description} |")
    return rows


def _measure_rows(model: TrainedModel) -> list[str]:
    baseline = {name: f"{value:.3f}" for name, value in model.baseline.items()}
    return [f"| {name} | {value:.3f} | {baseline.get(name, '')} |" for name, value in model.metrics.items()]
