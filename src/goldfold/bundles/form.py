"""Format of a bundle: ``bundle.json``, parsed strictly and checked against its own digest, and the weight files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from goldfold import catalog, components
from goldfold.base.errors import DataError, cause
from goldfold.base.files import is_intact, read_json, sealed, write_json
from goldfold.base.fingerprint import sha256_of
from goldfold.bundles.networks import Network, Part, Positive, Written
from goldfold.ensembling.with_metadata import metadata_of
from goldfold.samples.presets.reading import names
from goldfold.version import VERSION

SCHEMA = 6
"""Schema version, increased whenever earlier releases would read a new bundle wrongly or not at all."""
WITHOUT_DETECTOR = 5
"""Schema version of bundles that contain no detector."""
OF_STEPS = 4
"""Schema version of bundles in which steps after the networks take metadata or networks have own heads, but all networks average
the images of a case, and none embeds images."""
OF_NETWORKS = 3
"""Schema version of bundles in which networks take metadata, but no step after them, which earlier releases read too."""
WITHOUT_METADATA = 2
"""Schema version of bundles that take only images, which earlier releases read too."""
NAME, CARD, WEIGHTS = "bundle.json", "README.md", "weights"
DETECTOR = f"detector/{NAME}"
"""Bundle of the detector by whose boxes images are cropped, within the bundle."""

WeightFile = Annotated[str, Field(pattern=r"^weights/[\w.+-]+\.safetensors$")]


class Cases(Part):
    """Columns of tables of cases with several images, see `goldfold.config.table.Csv`."""

    id_column: str
    image_column: str | None = None
    case_column: str | None = None
    view_column: str | None = None
    view_columns: list[str] | None = None
    frame_column: str | None = Field(None, exclude_if=lambda column: column is None)
    columns: list[str] | None = Field(None, exclude_if=lambda columns: columns is None)
    """Column names for tables without a header."""
    views: list[str] | None = Field(None, exclude_if=lambda views: views is None)
    """Names of the views of the training cases; None if views are numbered."""


class Metadata(Part):
    """Tables with the metadata of cases, see `goldfold.config.table.Csv`."""

    id_column: str
    image_column: str | None = None
    image_columns: list[str] | None = None
    """Columns with the files of one image each."""
    columns: list[str] | None = None
    """Names of the columns of tables without a header."""
    numeric: list[str]
    categorical: list[str]


class Preprocessing(Part):
    """Settings from a file to a network's input, except the input size of each network."""

    channels: Positive
    scale_16bit: str | list[int]
    max_pixels: Positive
    roi: dict[str, Any] | None = None
    """Settings of the region of interest; None if images are used whole."""
    stack: list[str] | None = None
    """Channels stored in separate files."""
    stack_pattern: str = ""
    cases: Cases | None = None
    """Columns that name the images of each case; None if each case is one image."""
    metadata: Metadata | None = Field(None, exclude_if=lambda metadata: metadata is None)
    """Metadata columns that networks or steps after them take; None if they take only images."""

    @property
    def is_detected(self) -> bool:
        """Return whether the bundle's own detector finds the region of interest."""
        return self.roi is not None and self.roi.get("method") == "detector"


class Member(Part):
    """A model with a seed: one network per fold, or networks that are trained on all rows."""

    name: str
    weight: Annotated[float, Field(gt=0)]
    network: Network
    weights: Annotated[list[WeightFile], Field(min_length=1)]
    """Weight file of each network."""


class Fitted(Part):
    """A step after the networks with its fitted parameters; null if it has none."""

    step: Written
    fitted: Any = None


class Score(Part):
    """Out-of-fold score of the ensemble with its 95 % interval; None if it is undefined."""

    metric: str
    value: float | None
    low: float | None
    high: float | None


class Manifest(Part):
    """Everything in a bundle except the weights."""

    schema_version: Annotated[int, Field(alias="schema")]
    goldfold: str
    name: str
    task: dict[str, Any]
    classes: list[str]
    preprocessing: Preprocessing
    members: Annotated[list[Member], Field(min_length=1)]
    views: Annotated[list[Written], Field(min_length=1)]
    batch_norm: Literal["trained", "adapted"]
    precision: str
    torch_threads: Positive
    """Torch threads of the run: the last digits of batch normalisation statistics depend on their number."""
    batch_size: Positive
    ensemble: dict[str, Any]
    """Fusion settings, as passed to `goldfold.tasks.protocol.Output.fuse`."""
    fusion: Fitted | None = None
    """Step that fuses members, unless it is an average with given weights."""
    postprocessing: list[Fitted] = []
    """Steps after the fusion."""
    score: Score
    optimistic: float | None = None
    """Score with steps fitted and scored on the same images; None if nothing is fitted."""
    draw_from: float | None = None
    """Boxes are drawn at or above this score: the threshold with the best out-of-fold F1."""
    validation: dict[str, Any]
    """Details of the validation for the model card: folds, splitter, seeds, rounds, image counts."""
    own_code: list[str]
    """User-defined components, ``package.module:name``."""
    versions: dict[str, str | None]
    files: dict[str, str]
    """sha256 of each other file of the bundle."""

    @property
    def stacks_metadata(self) -> bool:
        """Return whether a step after the networks takes metadata."""
        return any(metadata_of(one.step) for one in [self.fusion, *self.postprocessing] if one)

    def components(self) -> Iterator[tuple[str, Written, Mapping[str, str]]]:
        """Yield (kind, component, catalog entries of that kind)."""
        networks, averages = components.every(catalog.NETWORKS), components.every(catalog.ENSEMBLES)
        steps = components.every(catalog.FUSIONS) | components.every(catalog.POSTPROCESSING)
        yield "task", self.task["name"], catalog.TASKS
        yield from (("network", member.network.network, networks) for member in self.members)
        heads = (member.network.head for member in self.members)
        yield from (("pooling", head.pooling, catalog.POOLINGS) for head in heads if head and head.pooling)
        found = (member.network.views for member in self.members)
        yield from (("aggregation of views", views, catalog.AGGREGATIONS) for views in found if views)
        yield from (("view", view, catalog.VIEWS) for view in self.views)
        yield from (("augmentation", name, catalog.AUGMENTATIONS) for view in self.views for name in _own_steps(view))
        if "method" in self.ensemble:
            yield "ensemble method", self.ensemble["method"], averages
        for one in [self.fusion, *self.postprocessing]:
            if one:
                yield "ensemble step", one.step, steps
                name, params = components.parse(one.step)
                if ":" not in name and params.get("method") is not None:
                    yield "ensemble method", params["method"], averages

    def places_of_own_code(self) -> list[str]:
        """Return the components that are not in goldfold's catalog."""
        named = (name for _, written, known in self.components() if (name := components.name_of(written)) not in known)
        return list(dict.fromkeys(named))


def _own_steps(view: Written) -> list[str]:
    """User-defined augmentations within a view."""
    name, params = components.parse(view)
    return [step for step in names(params.get("augment", [])) if ":" in step] if name == "random" else []


def write(folder: Path, manifest: Manifest) -> None:
    """Write ``bundle.json`` with a digest of its content."""
    write_json(folder / NAME, sealed(manifest.model_dump(by_alias=True, mode="json")))


def read(folder: str | Path) -> Manifest:
    """Read ``bundle.json``; weight files are checked separately, by `check_file`.

    Raises:
        DataError: not a bundle, from a newer version, changed by hand, or invalid.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        made = " It is a results folder: run `goldfold export` on it first." * (Path(folder) / "ensemble").is_dir()
        problem = f"it has no {NAME}" if Path(folder).is_dir() else "it is not a folder"
        raise DataError(f"{folder} is not a bundle: {problem}. Pass a folder that `goldfold export` wrote.{made}")
    try:
        written = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {cause(error)}. Export the bundle again, or copy it again.") from error
    version = written.get("schema") if isinstance(written, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise DataError(f"{path} has no schema version, so it is not a goldfold bundle.")
    if version > SCHEMA:
        raise DataError(
            f"{path} has schema version {version}, written by goldfold {written.get('goldfold')}; goldfold {VERSION} "
            f"reads up to {SCHEMA}. Update goldfold."
        )
    if "digest" not in written or not is_intact(written):
        raise DataError(f"{path} has changed since `goldfold export` wrote it: its digest differs. {AGAIN}")
    return _parsed({key: value for key, value in written.items() if key != "digest"}, path)


AGAIN = "It was edited or damaged: export it again, or copy it again."


def _parsed(written: dict[str, Any], path: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate(written)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}. Export it again.") from error
    for member in manifest.members:
        if lost := [file for file in member.weights if file not in manifest.files]:
            raise DataError(f"{path}: member {member.name!r} lists {lost[0]!r}, which has no digest. {AGAIN}")
    return manifest


def check_file(folder: str | Path, name: str, digest: str) -> Path:
    """Return the path of a bundle file after checking its digest.

    Raises:
        DataError: the file is missing or changed since the export.
    """
    path = Path(folder) / name
    if not path.is_file():
        raise DataError(f"{path} is missing. Copy the whole folder of the bundle, or export it again.")
    if sha256_of(path) != digest:
        raise DataError(f"{path} has changed since `goldfold export` wrote it: its sha256 differs. {AGAIN}")
    return path
