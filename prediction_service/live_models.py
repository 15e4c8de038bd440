"""The models that are live now; a new version that is published is picked up without a restart."""

import threading
from collections.abc import Collection, Mapping
from pathlib import Path

import structlog

from prediction_service.errors import ModelUnavailable, UnknownModel
from prediction_service.predictor import load_predictor
from prediction_service.records import ModelInterface
from sextant.contracts.errors import BundleError
from sextant.contracts.model_bundle import current_version, load_bundle, model_names

log = structlog.get_logger(__name__)
LOOK_EVERY = 1.0


def _fingerprint(bundle: Path) -> tuple[object, ...]:
    """Tells a version and its files from any that replace them, without reading them."""
    files = ((path.name, path.lstat()) for path in sorted(bundle.glob("*")))
    return (bundle, *((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in files))


class LiveModels:
    """The predictors of all current versions in a models folder."""

    def __init__(self, models_dir: Path, trusted_types: Collection[str] = ()) -> None:
        """Load every current bundle; raises BundleError when there is none, or none that loads."""
        self._models_dir = models_dir
        self._trusted_types = trusted_types
        self._models: dict[str, ModelInterface] = {}
        self._failed: dict[str, tuple[object, ...]] = {}
        self._broken: dict[str, str] = {}
        self._stopped = threading.Event()
        self.refresh()
        if not self._models:
            reasons = "; ".join(self._broken.values())
            raise BundleError(reasons or f"there is no model in {models_dir}; run: python prepare.py")

    def _load(self, name: str) -> ModelInterface:
        return ModelInterface(load_predictor(load_bundle(self._models_dir, name), self._trusted_types))

    def __getitem__(self, name: str) -> ModelInterface:
        try:
            return self._models[name]
        except KeyError:
            if reason := self._broken.get(name):
                raise ModelUnavailable(f"model {name!r} cannot be served: {reason}") from None
            known = ", ".join(sorted(self._models))
            raise UnknownModel(f"there is no model {name!r}; live models: {known}") from None

    @property
    def broken(self) -> Mapping[str, str]:
        """Why the current version of a model does not load; an older one may still be live."""
        return dict(self._broken)

    def all(self) -> list[ModelInterface]:
        """Every live model, by name."""
        return [self._models[name] for name in sorted(self._models)]

    def refresh(self) -> None:
        """Swap in what was published since the last look; a bundle that does not load changes nothing.

        It is tried again when `current` names another version, or a file of the bundle was replaced.
        """
        for name in model_names(self._models_dir):
            found: tuple[object, ...] = ()
            try:
                version = current_version(self._models_dir, name)
                if name in self._models and self._models[name].manifest.version == version:
                    self._works(name)
                    continue
                found = _fingerprint(self._models_dir / name / version)
                if self._failed.get(name) == found:
                    continue
                self._models = {**self._models, name: self._load(name)}
                self._works(name)
                log.info("model is live", model=name, version=self._models[name].manifest.version)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the old version goes on serving
                self._failed[name] = found
                self._broken = {**self._broken, name: str(error)}
                old = "the old one stays live" if name in self._models else "there is no older one to serve"
                log.error(f"model version does not load; {old}", model=name, reason=str(error))

    def _works(self, name: str) -> None:
        self._failed.pop(name, None)
        self._broken = {other: reason for other, reason in self._broken.items() if other != name}

    def watch(self) -> None:
        """Keep refreshing in a thread of its own until close()."""
        threading.Thread(target=self._watch, name="live-models", daemon=True).start()

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_EVERY):
            self.refresh()

    def close(self) -> None:
        """Stop watching."""
        self._stopped.set()
