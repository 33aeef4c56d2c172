"""A loaded bundle: its metadata and its predictions for new images."""

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold import components
from goldfold.base.errors import DataError, cause, unknown
from goldfold.bundles import form

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.bundles.predictions import Predictions


class Bundle:
    """A trained ensemble exported by ``goldfold export``."""

    def __init__(self, folder: Path, manifest: form.Manifest, detector: "Bundle | None" = None) -> None:
        """``detector`` is the bundle within this one by whose boxes images are cropped."""
        self.folder, self.manifest, self.detector = folder, manifest, detector

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.manifest.name

    @property
    def task(self) -> str:
        """``classification``, ``multilabel``, ``regression``, ``segmentation``, ``detection``, or a user-defined task."""
        return str(self.manifest.task["name"])

    @property
    def classes(self) -> list[str]:
        """Class names in order; for regression, the ranges that training images were balanced by."""
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
        """Predict images; unreadable images are listed in the result instead of raising an error.

        Args:
            images: files or folders, searched recursively. With ``table``, the folder that its paths are relative to.
            table: CSV of cases with several images or with metadata, in the same format as for training.
            member: use this member alone instead of the ensemble.
            batch_size: images per batch; default: as in the exported results.
            device: ``auto``, ``cpu`` or ``cuda``.
            boxes: files of regions of interest, where `data.roi` took them from boxes.
            progress: (total, unit) -> progress bar with methods ``advance`` and ``close``.

        Raises:
            GoldfoldError: no image can be read, or the member or device does not exist.
        """
        from goldfold.bundles.predicting import predict

        named = [images] if isinstance(images, str | Path) else list(images)
        chosen = self.chosen(member)
        detect = partial(self._detected, batch_size=batch_size, device=device) if self.detector else None
        return predict(self.folder, self.manifest, chosen, named, table, batch_size, device, boxes, progress, detect)

    def boxes(
        self,
        paths: Sequence[str],
        member: str | None = None,
        batch_size: int | None = None,
        device: str = "auto",
        progress: Callable[[int, str], Any] | None = None,
    ) -> "pd.DataFrame":
        """Boxes that a detector finds in images: `goldfold.crop.detector.COLUMNS`, of which ``id`` is the path of an image.

        An image that cannot be read has none.

        Args:
            paths: files, or stacks of files as in tables of images.

        Raises:
            GoldfoldError: no image can be read, or the member or device does not exist.
        """
        import pandas as pd

        from goldfold.bundles.predicting import predict_files
        from goldfold.crop.detector import of_table

        unique = list(dict.fromkeys(paths))
        files = pd.DataFrame({"id": unique, "path": unique})
        chosen = self.chosen(member)
        found = predict_files(
            self.folder, self.manifest, chosen, files, self._finder(files), batch_size, device, progress
        )
        return of_table(found.table)

    def _finder(self, files: "pd.DataFrame") -> Any:
        """Crops of a detector's own images; None if it takes them whole."""
        from goldfold.crop import fresh

        roi = self.manifest.preprocessing.roi
        return None if roi is None else fresh.finder(roi, files)

    def _detected(self, paths: list[str], **how: Any) -> "pd.DataFrame":
        """Boxes by the bundle's detector in the images that can be read; none if none can."""
        roi: Any = self.manifest.preprocessing.roi
        assert self.detector is not None
        return self.detector.boxes(paths, roi["member"], **how)

    def chosen(self, member: str | None) -> list[form.Member]:
        """Return the member of a name, or all members where it is None.

        Raises:
            ConfigError: there is none of that name.
        """
        return self.manifest.members if member is None else [self._member(member)]

    def _member(self, name: str) -> form.Member:
        """Return a member by its name, or by that of its model where this has one seed."""
        seeds = [one for one in self.manifest.members if re.fullmatch(rf"{re.escape(name)}-seed\d+", one.name)]
        of_model = seeds[0] if len(seeds) == 1 else None
        found = next((member for member in self.manifest.members if member.name == name), of_model)
        if found is None:
            raise unknown("member", name, self.members)
        return found

    def __repr__(self) -> str:
        score = self.score
        value = "" if score.value is None else f", {score.metric} {score.value:.4g}"
        return f"<Bundle {self.name!r}: {self.task}, {len(self.members)} members{value}>"


def load(folder: str | Path, trust: Sequence[str] = ()) -> Bundle:
    """Load a bundle; the digest of every file that prediction reads is checked.

    Args:
        trust: user modules that the bundle may import for a user-defined network, task, view or ensemble method.

    Raises:
        GoldfoldError: not a bundle, from a newer version, or changed since it was exported.
    """
    from goldfold import tasks

    manifest = form.read(folder)
    _refuse_untrusted_code(folder, manifest, trust)
    for name in (file for member in manifest.members for file in member.weights):
        form.check_file(folder, name, manifest.files[name])
    try:
        tasks.output(manifest.task, manifest.classes)
    except TypeError as error:  # settings that the task does not take
        raise DataError(f"{folder}: {cause(error)}. {form.AGAIN}") from error
    return Bundle(Path(os.path.abspath(folder)), manifest, _detector(folder, manifest, trust))


def _detector(folder: str | Path, manifest: form.Manifest, trust: Sequence[str]) -> Bundle | None:
    """The bundle within a bundle by whose boxes images are cropped; None if they are not.

    Raises:
        DataError: it is missing, or changed since it was exported.
    """
    if not manifest.preprocessing.is_detected:
        return None
    return load(form.check_file(folder, form.DETECTOR, manifest.files.get(form.DETECTOR, "")).parent, trust)


def _refuse_untrusted_code(folder: str | Path, manifest: form.Manifest, trust: Sequence[str]) -> None:
    """Refuse modules that the caller did not trust: a bundle may come from anywhere."""
    for kind, written, known in manifest.components():
        if ":" not in (name := components.name_of(written)):
            components.place(name, known, f"{kind} in {folder}")
    modules = {place: place.partition(":")[0] for place in manifest.places_of_own_code()}
    if untrusted := {place: module for place, module in modules.items() if module not in trust}:
        flags = " ".join(f"--trust {module}" for module in dict.fromkeys(untrusted.values()))
        raise DataError(
            f"{folder} uses code that is neither goldfold's nor in the bundle: {', '.join(untrusted)}. If you trust it and it "
            f"is importable here, add {flags} (in Python: goldfold.load(..., trust={[*dict.fromkeys(untrusted.values())]}))."
        )
    for place in modules:
        components.at(place, f"{folder}: {place!r}")
