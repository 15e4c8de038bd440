"""Which two model versions are compared, what each is called, and whether they can be compared at all."""

from dataclasses import dataclass

from sextant.contracts.errors import Rejected
from sextant.contracts.model_bundle import Manifest

FLOW = "compare-models"


@dataclass(frozen=True, slots=True)
class Choice:
    """A and B: two versions of one model, or two models of one task and target."""

    a: Manifest
    b: Manifest

    @property
    def one_model(self) -> bool:
        """Whether both are versions of the same model."""
        return self.a.name == self.b.name

    @property
    def names(self) -> tuple[str, str]:
        """What A and B are called: their versions, with the model where there are two."""
        if self.one_model:
            return self.a.version, self.b.version
        return f"{self.a.name} {self.a.version}", f"{self.b.name} {self.b.version}"

    @property
    def versions(self) -> str:
        """Both in one text, for the document's model_version; its model is A's."""
        other = self.b.version if self.one_model else self.names[1]
        return f"{self.a.version} vs {other}"

    @property
    def slug(self) -> str:
        """Both as part of a file name."""
        other = self.b.version if self.one_model else f"{self.b.name}_{self.b.version}"
        return f"{self.a.name}_{self.a.version}_vs_{other}"

    def side_of(self, model: str, version: str) -> int | None:
        """0 for a prediction of A, 1 for one of B, None for any other."""
        sides = ((self.a.name, self.a.version), (self.b.name, self.b.version))
        return sides.index((model, version)) if (model, version) in sides else None


def choose(a: Manifest, b: Manifest) -> Choice:
    """The choice, if their errors have the same meaning; raises Rejected with one sentence."""
    if (a.name, a.version) == (b.name, b.version):
        raise Rejected(f"{a.name} {a.version} cannot be compared with itself; name another version or model")
    for what, of_a, of_b in (("task", a.task, b.task), ("target", a.target, b.target)):
        if of_a != of_b:
            raise Rejected(
                f"{a.name} {a.version} and {b.name} {b.version} cannot be compared: "
                f"the {what} of one is {of_a}, of the other {of_b}"
            )
    return Choice(a, b)
