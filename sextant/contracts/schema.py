"""What a model's input looks like: the names, kinds and known ranges that every service agrees on."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

RESERVED_COLUMNS = frozenset({"prediction_id", "created_at", "prediction", "target"})
"""Column names that frames of predictions use beside the features."""

Kind = Literal["numerical", "categorical"]
Task = Literal["regression", "classification"]


class Feature(BaseModel):
    """One input column of a model and what is known of its values from training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    kind: Kind
    required: bool = True
    minimum: float | None = Field(None, description="Lower end of the known range (numerical)")
    maximum: float | None = Field(None, description="Upper end of the known range (numerical)")
    categories: tuple[str, ...] | None = Field(None, description="Known categories, as strings (categorical)")
    drift_method: str | None = Field(
        None, description="An Evidently stat test; None: Sextant's default for the kind"
    )
    smallest_effect: float | None = Field(
        None,
        gt=0,
        description="Drift below it is of no interest: how far values move on average, in the feature's unit, or "
        "how much one category's share changes",
    )
    description: str = ""


class FeatureSchema(BaseModel):
    """The features of a model in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[Feature, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_free(self) -> "FeatureSchema":
        names = [feature.name for feature in self.features]
        if len(set(names)) < len(names):
            raise ValueError("feature names are not unique")
        if taken := RESERVED_COLUMNS & set(names):
            raise ValueError(f"feature names {sorted(taken)} are reserved")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """All feature names, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def numerical(self) -> tuple[str, ...]:
        """Names of the numerical features, in order."""
        return tuple(feature.name for feature in self.features if feature.kind == "numerical")

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the categorical features, in order."""
        return tuple(feature.name for feature in self.features if feature.kind == "categorical")

    def __getitem__(self, name: str) -> Feature:
        return next(feature for feature in self.features if feature.name == name)
