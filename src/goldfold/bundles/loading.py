"""A bundle in memory: what it is, and its predictions of new images."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold import components
from goldfold.base.errors import DataError, cause, unknown
from goldfold.bundles import form

if TYPE_CHECKING:
    from goldfold.bundles.predictions import Predictions


class Bundle:
    """A trained ensemble that was exported by ``goldfold export``."""

    def __init__(self, folder: Path, manifest: form.Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.manifest.name

    @property
    def task(self) -> str:
        """``classification``, ``multilabel``, ``regression``, ``segmentation``, ``detection``, or a task of your own."""
        return str(self.manifest.task["name"])

    @property
    def classes(self) -> list[str]:
        """Names of the classes in their order; of numbers, the ranges that training images were balanced by."""
        return self.manifest.classes

    @property
    def members(self) -> list[str]:
        """Names of the members: ``<model>-seed<seed>``."""
        return [member.name for member in self.manifest.members]

    @property
    def score(self) -> form.Score:
        """Out-of-fold score of the ensemble: ``metric``, ``value``, ``low`` and ``high`` (95 % interval)."""
        return self.manifest.score

    def predict(
        self,
        images: str | Path | Sequence[str | Path],
        *,
        table: str | Path | None = None,
        member: str | None = None,
        batch_size: int | None = None,
        device: str = "auto",
        boxes: Sequence[str] = (),
        progress: Callable[[int, str], Any] | None = None,
    ) -> "Predictions":
        """Predict images; those that cannot be read are named in the result, not raised.

        Args:
            images: files or folders; folders are searched with all that is below them. With a table, the folder that
                its names are relative to.
            table: CSV of cases, where these may have several images or networks take metadata, in the form of the tables
                of training.
            member: one member alone in place of the ensemble.
            batch_size: images at once; by default as in the results that the bundle was made of.
            device: ``auto``, ``cpu`` or ``cuda``.
            boxes: files of the parts to cut out, where `data.roi` took them from boxes.
            progress: (total, unit) -> counts the work, as `tqdm` does by ``advance`` and ``close``.

        Raises:
            GoldfoldError: no image can be read, or there is no such member or device.
        """
        from goldfold.bundles.predicting import predict

        chosen = self.manifest.members if member is None else [self._member(member)]
        named = [images] if isinstance(images, str | Path) else list(images)
        return predict(self.folder, self.manifest, chosen, named, table, batch_size, device, boxes, progress)

    def _member(self, name: str) -> form.Member:
        found = next((member for member in self.manifest.members if member.name == name), None)
        if found is None:
            raise unknown("member", name, self.members)
        return found

    def __repr__(self) -> str:
        score = self.score
        value = "" if score.value is None else f", {score.metric} {score.value:.4g}"
        return f"<Bundle {self.name!r}: {self.task}, {len(self.members)} members{value}>"


def load(folder: str | Path, trust: Sequence[str] = ()) -> Bundle:
    """Load a bundle; every file that prediction reads is compared with its digest.

    Args:
        trust: modules of your own that the bundle may import, where its network, task, views or ensemble method are yours.

    Raises:
        GoldfoldError: it is no bundle, of a newer version, or changed since it was exported.
    """
    from goldfold import tasks

    manifest = form.read(folder)
    _refuse_strange_code(folder, manifest, trust)
    for name in (file for member in manifest.members for file in member.weights):
        form.check_file(folder, name, manifest.files[name])
    try:
        tasks.output(manifest.task, manifest.classes)
    except TypeError as error:  # settings that the task does not take
        raise DataError(f"{folder}: {cause(error)}. {form.AGAIN}") from error
    return Bundle(Path(os.path.abspath(folder)), manifest)


def _refuse_strange_code(folder: str | Path, manifest: form.Manifest, trust: Sequence[str]) -> None:
    """Nothing is imported because a bundle says so: it may come from anywhere."""
    for kind, written, known in manifest.components():
        if ":" not in (name := components.name_of(written)):
            components.place(name, known, f"{kind} in {folder}")
    modules = {place: place.partition(":")[0] for place in manifest.places_of_own_code()}
    if strange := {place: module for place, module in modules.items() if module not in trust}:
        flags = " ".join(f"--trust {module}" for module in dict.fromkeys(strange.values()))
        raise DataError(
            f"{folder} uses code that is not goldfold's and not in the bundle: {', '.join(strange)}. Where it is yours and "
            f"importable here, add {flags} (in Python: goldfold.load(..., trust={[*dict.fromkeys(strange.values())]}))."
        )
    for place in modules:
        components.at(place, f"{folder}: {place!r}")
