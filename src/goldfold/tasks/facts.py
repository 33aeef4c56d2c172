"""Facts of a task that the config is checked against; reading them loads nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from goldfold import catalog
from goldfold.components import Several


@dataclass(frozen=True)
class NoSettings:
    """No settings of its own."""


@dataclass(frozen=True)
class Facts:
    """What the config may ask of a task."""

    target: str
    """What data sources must bring, and its column: ``label``, ``labels``, ``value``, ``mask`` or ``boxes``."""
    columns: tuple[str, ...]
    """Columns of a table of images that training depends on, besides the id."""
    metrics: Mapping[str, str]
    """Names, the default first, each with its place ``module:name``; so for losses, methods, networks and views."""
    reported: tuple[str, ...]
    """Metrics that the ensemble is scored by besides the one that counts."""
    methods: Mapping[str, str]
    """Ways to fuse members."""
    networks: Mapping[str, str]
    views: Mapping[str, str]
    losses: Mapping[str, str]
    fusions: Mapping[str, str] = field(default_factory=lambda: {"average": catalog.FUSIONS["label"]["average"]})
    """Steps of the ensemble that make one prediction of the members'."""
    postprocessing: Mapping[str, str] = field(default_factory=dict)
    """Steps after these."""
    scores_decisions_alone: bool = False
    """Whether every metric looks at decisions, so that thresholds can be fitted for it."""
    default_loss: Several | None = None
    """None where networks bring their own."""
    loss_keys: tuple[str, ...] = ("loss",)
    """Keys of the config's ``train`` that `Learn.loss` takes."""
    ensemble_keys: tuple[str, ...] = ()
    """Keys of the config's ``ensemble``, besides method and weights, that `Output.fuse` takes."""
    submission_keys: tuple[str, ...] = ()
    """Keys of the config's ``submission``, besides sample and id_column, that `Submit.form` takes."""
    submission_files: tuple[str, ...] = ()
    """Files that `Submit.write_extras` writes beside the table; a name ending in ``/`` is a folder."""
    settings: type = NoSettings
    """Dataclass of the config's ``task_params``."""
    post_training_settings: tuple[str, ...] = ()
    """Settings that matter after predicting only: changing them retrains nothing."""
    unit: str = "images"
    """Plural noun for what `Target.content` counts: images, objects, pixels."""
    kinds: tuple[str, str] = ("class", "classes")
    """Singular and plural noun for ``classes``: class and classes, range and ranges."""
    cached: tuple[str, ...] = ()
    """Columns, besides the image's, that a piece of the cache is made from."""
    cache_files: tuple[str, ...] = ()
    """Files that such a piece holds besides the images."""
    shown: tuple[str, ...] = ()
    """Columns of the truth that are worth reading beside a prediction."""
    weighs_samples: bool = True
    """Whether the loss can give pseudo-labelled images another weight."""
    labels_by_agreement: bool = False
    """Whether pseudo labels are of images on which several predictions agree, so that there must be several."""
    on_missing_label: str = "quarantine"
    """Default of ``data.on_missing_label``."""
    bad_label_policies: tuple[str, ...] = ("fail", "quarantine")
    """Values of ``data.on_bad_label``, the default first."""
    resizes: tuple[str, ...] = ("squash", "pad", "crop")
    """Ways to put images into the network's frame."""
    takes_cases: bool = False
    """Whether a case may have several images, as it may where a network gives numbers per class."""
    takes_metadata: bool = False
    """Whether networks may take metadata: `Infer.model` then takes ``metadata_branch``, see `goldfold.tasks.logits.network`."""
    follows_roi: bool = True
    """Whether targets and predictions move with the part that is cut out of an image (`data.roi`)."""
