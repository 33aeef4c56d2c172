"""goldfold: from a folder of images to a submission and an unbiased score."""

from typing import TYPE_CHECKING

from goldfold.version import VERSION as __version__

if TYPE_CHECKING:  # `import goldfold` must not load torch and pandas
    from collections.abc import Sequence
    from pathlib import Path

    from goldfold.bundles.loading import Bundle
    from goldfold.results import Results

__all__ = ["__version__", "load", "open_results"]


def load(bundle: "str | Path", trust: "Sequence[str]" = ()) -> "Bundle":
    """Load a bundle written by ``goldfold export``, to predict new images; see `goldfold.bundles.loading.load`."""
    from goldfold.bundles import loading

    return loading.load(bundle, trust)


def open_results(results: "str | Path") -> "Results":
    """Open the folder of a finished run, such as ``results/mine``, to read scores, out-of-fold predictions and members."""
    from goldfold import results as opened

    return opened.open_results(results)
