"""Facts of a task for the config check; importing them is cheap."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from goldfold import catalog
from goldfold.components import Several


@dataclass(frozen=True)
class NoSettings:
    """Settings of a task without any."""


@dataclass(frozen=True)
class Facts:
    """Properties of a task, and the components that a config may choose for it."""

    target: str
    """Kind of target that data sources provide, and its column: ``label``, ``labels``, ``value``, ``mask``, ``boxes``,
    ``points``."""
    columns: tuple[str, ...]
    """Columns of the image table that training depends on, besides the id."""
    metrics: Mapping[str, str]
    """``module:name`` by name, the default first; likewise for losses, methods, networks and views."""
    reported: tuple[str, ...]
    """Further metrics reported for the ensemble, besides the config's metric."""
    methods: Mapping[str, str]
    """Methods to fuse members."""
    networks: Mapping[str, str]
    views: Mapping[str, str]
    losses: Mapping[str, str]
    mixes: Mapping[str, str] = field(default_factory=dict)
    """Ways of mixing training samples."""
    fusions: Mapping[str, str] = field(default_factory=lambda: {"average": catalog.FUSIONS["label"]["average"]})
    """Ensemble steps that fuse the members into one prediction."""
    postprocessing: Mapping[str, str] = field(default_factory=dict)
    """Ensemble steps after the fusion."""
    scores_decisions_alone: bool = False
    """True if every metric uses decisions only, so that thresholds can be fitted for it."""
    default_loss: Several | None = None
    """None if networks compute their own loss."""
    loss_keys: tuple[str, ...] = ("loss",)
    """Keys of the config's ``train`` that `Learn.loss` takes."""
    ensemble_keys: tuple[str, ...] = ()
    """Keys of the config's ``ensemble``, besides method and weights, that `Output.fuse` takes."""
    submission_keys: tuple[str, ...] = ()
    """Keys of the config's ``submission``, besides sample and id_column, that `Submit.form` takes."""
    submission_files: tuple[str, ...] = ()
    """Files that `Submit.write_extras` writes next to the table; a name ending in ``/`` is a folder."""
    chosen_files: Mapping[str, str] = field(default_factory=dict)
    """Setting of ``task_params`` -> further file that `Submit.write_extras` writes if it is set, else removes."""
    step_files: Mapping[str, str] = field(default_factory=dict)
    """Step of the ensemble -> further file that `Submit.write_extras` writes with it."""
    settings: type = NoSettings
    """Dataclass of the config's ``task_params``."""
    post_training_settings: tuple[str, ...] = ()
    """Settings used only after prediction, so that changing them retrains nothing."""
    unit: str = "images"
    """Plural noun for what `Target.content` counts: images, objects, pixels."""
    kinds: tuple[str, str] = ("class", "classes")
    """Singular and plural noun for ``classes``: class and classes, range and ranges."""
    cached: tuple[str, ...] = ()
    """Columns, besides those of the image, that a cache shard is made from."""
    cache_files: tuple[str, ...] = ()
    """Files in a cache shard, besides the images."""
    shown: tuple[str, ...] = ()
    """Columns of the truth to show with a prediction."""
    weighs_samples: bool = True
    """True if the loss supports another weight for pseudo-labelled images."""
    labels_by_agreement: bool = False
    """True if pseudo labels are chosen by agreement between predictions, so that several are needed."""
    pseudo_label_keys: tuple[str, ...] = ()
    """Keys of a config's teacher, besides its threshold, that apply to pseudo labels of the task: ``soft`` labels,
    ``class_thresholds``, ``adapt``, ``top_k``, ``ignore_band``, ``least_decided``."""
    cleans: bool = False
    """True if training rows can be cleaned of wrong labels: `Score.evidence` has ``probabilities`` (n, classes) and ``labels``
    (n,), see `goldfold.audit.mislabelled`."""
    on_missing_label: str = "quarantine"
    """Default of ``data.on_missing_label``."""
    bad_label_policies: tuple[str, ...] = ("fail", "quarantine")
    """Values of ``data.on_bad_label``, the default first."""
    resizes: tuple[str, ...] = ("squash", "pad", "crop")
    """Supported resize modes."""
    takes_cases: bool = False
    """True if a case may have several images, as for networks with one output per class."""
    takes_metadata: bool = False
    """True if networks may take metadata: `Infer.model` then has an argument ``metadata_branch``, see
    `goldfold.tasks.logits.network`."""
    is_ordered: bool = False
    """True if classes are in order by their nature, so that metrics of grades are always reported."""
    converts: tuple[str, ...] = ()
    """Other kinds of target that `Examine` turns into its own, such as boxes into their centres."""
    in_windows: bool = False
    """True if large images can be trained on and predicted in windows: `Target.in_windows` and `Infer.joined` exist."""
    follows_roi: bool = True
    """True if targets and predictions move with the region cropped from an image (`data.roi`)."""

    @property
    def every_submission_file(self) -> tuple[str, ...]:
        """All files that a submission may have besides its table."""
        return (*self.submission_files, *self.chosen_files.values(), *self.step_files.values())
