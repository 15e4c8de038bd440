"""The model card: what a bundle is, what it was trained on and how good it is, for people to read."""

from sextant.contracts.model_bundle import Manifest
from sextant.training.alarm_rate import alarm_rate
from sextant.training.fit import TrainedModel
from sextant.training.split import Split

TEMPLATE = """\
# {manifest.name} {manifest.version}

{about}

- **Task:** {manifest.task}; the target is {manifest.target}.
- **Data:** {manifest.data_source}, period {manifest.data_period}.
  {split}
- **Alarms:** {alarms}.
- **Pipeline:** {steps}.
- **Served by:** `model.onnx`, which differs from scikit-learn by at most {manifest.onnx_max_difference:.2g}
  on rows that it has not seen.

## Features

| feature | kind | known values | description |
| --- | --- | --- | --- |
{features}

## On rows that it has not seen

{measures}

The baseline always predicts {baseline}.

## Limits

The model knows the period above and nothing since: that is what Sextant watches. Values outside the known ones are
still served, and counted.
"""


AT_RANDOM = """\
Split at random: {training:,} rows for training, {reference:,} held-out rows to evaluate it and to measure drift
  against (`reference.parquet`), {holdout:,} more for undrifted replays."""

BY_TIME = """\
Split by time: {training:,} rows of {history} for training;
  {reference:,} of them are what drift is measured against (`reference.parquet`), each with the prediction of a
  pipeline that has not seen its day; {holdout:,} rows of {later} for undrifted replays."""


def model_card(manifest: Manifest, about: str, split: Split, model: TrainedModel) -> str:
    """The card as Markdown, with the figures of this training run."""
    timing = split.timing
    return TEMPLATE.format(
        manifest=manifest,
        about=about,
        split=(BY_TIME if timing else AT_RANDOM).format(
            training=len(split.training),
            reference=len(split.reference_positions),
            holdout=len(split.holdout),
            history=timing and timing.history,
            later=timing and timing.holdout,
        ),
        alarms=alarms(split),
        steps=", then ".join(type(step).__name__ for _, step in model.pipeline.steps),
        features="\n".join(_feature_rows(model)),
        measures="\n".join(_measure_rows(model)),
        baseline="the most common class" if model.classes else "the median",
    )


def alarms(split: Split) -> str:
    """How many days the reference spans, and which rate of false alarms can be stated after them."""
    if split.timing is None:
        return f"the reference has no event times: {alarm_rate(None)}"
    history = split.timing.history
    return f"the reference spans {history}: {alarm_rate(history.days)}"


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
    """The reference rows; and where there are later days, the served model on them."""
    by_name = [model.metrics, model.baseline, *([model.holdout_metrics] if model.holdout_metrics else [])]
    first = "reference rows, cross-fitted" if model.holdout_metrics else "reference rows"
    heads = ["measure", first, "baseline", *(["served model on later days"] if model.holdout_metrics else [])]
    rows = [[name, *(_figure(column.get(name)) for column in by_name)] for name in model.metrics]
    return [f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows]]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
