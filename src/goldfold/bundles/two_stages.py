"""Bundles of results in two stages, which contain the bundle of their detector."""

from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.bundles import form
from goldfold.bundles.finished import ENSEMBLE, FOLDS, Finished, finished

CROP = "crop/run.json"
FILES = ("ensemble/oof.npz", "ensemble/weights.json", "ensemble/fitted.json")
"""Files of a detector that tell one from another."""


def detector_of(found: Finished) -> Finished | None:
    """Finished results of the detector by whose boxes images were cropped, beside these; None without one.

    Raises:
        DataError: they are missing, or have changed since then.
    """
    if found.prefix + "crop/train.csv" not in found.record(FOLDS)["inputs"]:
        return None
    record = found.record(CROP)
    detector = finished(found.root.parent / Path(record["recipe"]["settings"]["detector"]).name)
    for name in FILES:
        if record["inputs"].get(detector.prefix + name) != detector.digest(name, ENSEMBLE):
            raise DataError(
                f"{detector.root}: {name} is not that by whose boxes the images of {found.root} are cropped. Run snakemake to "
                f"completion first."
            )
    return detector


def with_detector(manifest: form.Manifest, found: Finished, inner: form.Manifest) -> form.Manifest:
    """The manifest of a bundle with that of the detector within it.

    Args:
        found: the results that are exported.
    """
    settings = found.record(CROP)["recipe"]["settings"]
    roi = {"method": "detector", **settings["roi"], "member": settings["member"]}
    how = manifest.preprocessing.model_copy(update={"roi": roi})
    own_code = list(dict.fromkeys([*manifest.own_code, *inner.own_code]))
    return manifest.model_copy(update={"preprocessing": how, "own_code": own_code, "schema_version": form.SCHEMA})
