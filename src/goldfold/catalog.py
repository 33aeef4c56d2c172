"""Every name that a config can use, and where it is defined: name -> ``package.module:name``.

This is the only list of names: choices, error messages, the JSON schema, the reference page and the contract tests are
derived from it, and the first entry of each is the default. Definitions are given as text, so that nothing is loaded and no
job depends on an entry that it does not use. A config may also name a user-defined function, ``package.module:function``.
"""

Entries = dict[str, str]


def _of(module: str, names: str) -> Entries:
    """Entries, separated by spaces, that are named as they are defined in a module."""
    return {name: f"{module}:{name}" for name in names.split()}


TASKS: Entries = {
    "classification": "goldfold.tasks.classification",
    "ordinal": "goldfold.tasks.ordinal",
    "multilabel": "goldfold.tasks.multilabel",
    "regression": "goldfold.tasks.regression",
    "segmentation": "goldfold.tasks.segmentation",
    "detection": "goldfold.tasks.detection",
    "points": "goldfold.tasks.points",
}
"""Packages, each with the facets below; a user-defined task is one class, ``package.module:Class``."""
FACETS: Entries = {
    "facts": "facts:FACTS",
    "examine": "target:examine",
    "target": "target:Target",
    "learn": "learn:Learn",
    "infer": "infer:Infer",
    "output": "output:Output",
    "tables": "output:Tables",
    "score": "score:Score",
    "decided": "decided:decided",
    "decide": "decide:Decide",
    "external": "external:External",
    "submit": "submit:Submit",
    "show": "show:Show",
}
"""Facets of a task: ``module:name`` within its package. A job depends on those that its stage uses."""

# --- by the output of a network: values per image, maps of classes, boxes

NETWORKS: dict[str, Entries] = {
    "values": {
        "timm": "goldfold.models.timm_models:build",
        **{
            name: f"goldfold.models.{name}:build"
            for name in ("small_resnet", "densenet7x7", "dual_branch", "inception_fsd", "dilated_group_conv", "clip")
        },
    },
    "maps": {
        **_of(
            "goldfold.models.smp_models",
            "unet unetplusplus fpn linknet manet pan pspnet deeplabv3 deeplabv3plus segformer upernet dpt",
        ),
        "fused_features": "goldfold.models.fused_features:build",
        "mask2former": "goldfold.models.mask2former:build",
    },
    "boxes": {
        "fcos": "goldfold.models.detectors:fcos",
        "retinanet": "goldfold.models.detectors:retinanet",
        "faster_rcnn": "goldfold.models.detectors:faster_rcnn",
        **_of("goldfold.models.query_detectors", "rt_detr_v2 d_fine detr"),
        "ultralytics": "goldfold.models.ultralytics_networks:build",
    },
}
POOLINGS: Entries = {
    "gem": "goldfold.models.blocks:GeM",
}
"""Poolings of maps (images, channels, height, width) to features (images, channels), for `models[].head`."""
OWN_LOSS = frozenset({"mask2former"})
"""Networks for masks whose outputs in training know their loss, so that `train.loss` has no effect on training."""
OWN_TRAINER: Entries = {"ultralytics": "train_ultralytics"}
"""Networks that another library trains: name -> script, in ``workflow/scripts``, that does the work of the stage train."""
LATE_PARAMS: dict[str, frozenset[str]] = dict.fromkeys(
    NETWORKS["boxes"], frozenset({"score_threshold", "nms_iou", "max_boxes"})
)
"""Parameters of networks that take effect only after training: changing them retrains nothing."""

AGGREGATIONS: Entries = {
    **_of("goldfold.models.aggregation", "mean attention concat lstm transformer"),
}
"""Ways in which the images of a case become one output of a network."""

# --- by target: label, order (a label whose classes are in order), labels, value, mask, boxes, points

LOSSES: dict[str, Entries] = {
    "label": {
        **_of("goldfold.losses.classification", "cross_entropy focal bce class_balanced"),
        "bi_tempered": "goldfold.losses.bi_tempered:bi_tempered",
        "symmetric_cross_entropy": "goldfold.losses.classification:symmetric_cross_entropy",
        "asymmetric": "goldfold.losses.classification:asymmetric",
        "soft_auc": "goldfold.losses.classification:soft_auc",
        **_of("goldfold.losses.arcface", "arcface dynamic_arcface"),
    },
    "order": {
        **_of("goldfold.losses.ordinal", "cumulative earth_mover"),
        **_of("goldfold.losses.classification", "cross_entropy focal"),
    },
    "labels": {
        **_of("goldfold.losses.multilabel", "bce focal class_balanced asymmetric soft_auc"),
    },
    "value": {
        **_of("goldfold.losses.regression", "mse smooth_l1 l1 huber log_cosh quantile"),
    },
    "mask": {
        **_of("goldfold.losses.segmentation", "ce bce"),
        **_of("goldfold.losses.overlap", "dice jaccard tversky"),
        "focal": "goldfold.losses.segmentation:focal",
        "lovasz": "goldfold.losses.overlap:lovasz",
        **_of("goldfold.losses.segmentation", "topk_ce ohem_ce"),
    },
    "boxes": {},
    "points": {
        **_of("goldfold.losses.points", "peak_focal bce mse"),
    },
}
_HEADS: Entries = {
    "logistic": "goldfold.heads.linear:logistic",
    "mlp": "goldfold.heads.mlp:mlp",
    "knn": "goldfold.heads.neighbours:knn",
    "boosted": "goldfold.heads.boosted:boosted",
}
HEADS: dict[str, Entries] = {
    "label": {**_HEADS, "zero_shot": "goldfold.heads.zero_shot:zero_shot"},
    "labels": _HEADS,
    "value": {"ridge": "goldfold.heads.linear:ridge", **{name: _HEADS[name] for name in ("mlp", "knn", "boosted")}},
}
"""Heads that are fitted to the embeddings of a frozen backbone."""
HEADS_WITHOUT_SEED = frozenset({"logistic", "ridge", "knn", "zero_shot"})
"""Heads that draw nothing at random: they have one run per fold, under the first seed."""
DISTILLATIONS: Entries = {
    "label": "goldfold.losses.distillation:Classes",
    "labels": "goldfold.losses.distillation:Labels",
    "value": "goldfold.losses.distillation:Numbers",
}
"""Losses against a teacher, by the kind of target that can be distilled."""
EMBEDDED = "goldfold.models.embedding:embedded"
"""Head of a network that embeds."""
NEIGHBOURS = "goldfold.models.neighbours:head"
"""The same, of a member that predicts by neighbours."""
STUDENT = "goldfold.training.distilling:distilled"
"""Training with a teacher."""
AUXILIARY = "goldfold.training.auxiliary:with_auxiliary"
"""Training with auxiliary targets."""
FIXMATCH: Entries = {
    "label": "goldfold.training.fixmatch:matched",
}
"""Training on unlabelled images, by the kind of target that they can have."""
_GENERATORS: Entries = {"mae": "goldfold.generating.mae:mae"}
GENERATORS: dict[str, Entries] = dict.fromkeys(("label", "labels", "value"), _GENERATORS)
"""Makers of further training images, by the kind of target that these can have."""
METRICS: dict[str, Entries] = {
    "label": {
        "accuracy": "goldfold.metrics.classification:ACCURACY",
        "balanced_accuracy": "goldfold.metrics.classification:BALANCED_ACCURACY",
        "f1_macro": "goldfold.metrics.classification:F1_MACRO",
        "f1_micro": "goldfold.metrics.classification:ACCURACY",
        "log_loss": "goldfold.metrics.classification:LOG_LOSS",
        "quadratic_kappa": "goldfold.metrics.classification:QUADRATIC_KAPPA",
        "roc_auc": "goldfold.metrics.classification:ROC_AUC",
        "f1": "goldfold.metrics.positives:F1",
        "mcc": "goldfold.metrics.positives:MCC",
        "average_precision": "goldfold.metrics.positives:AVERAGE_PRECISION",
        "partial_auc": "goldfold.metrics.positives:PARTIAL_AUC",
        "auc_above_tpr": "goldfold.metrics.positives:AUC_ABOVE_TPR",
        **_of("goldfold.metrics.positives", "pf1 map_at_k"),
        "gap": "goldfold.metrics.positives:GAP",
    },
    "order": {
        "quadratic_kappa": "goldfold.metrics.classification:QUADRATIC_KAPPA",
        "mae": "goldfold.metrics.ordinal:MAE",
        "accuracy": "goldfold.metrics.classification:ACCURACY",
        "balanced_accuracy": "goldfold.metrics.classification:BALANCED_ACCURACY",
        "f1_macro": "goldfold.metrics.classification:F1_MACRO",
        "log_loss": "goldfold.metrics.classification:LOG_LOSS",
        "roc_auc": "goldfold.metrics.classification:ROC_AUC",
    },
    "labels": {
        "f1_macro": "goldfold.metrics.multilabel:F1_MACRO",
        "f1_micro": "goldfold.metrics.multilabel:F1_MICRO",
        "roc_auc": "goldfold.metrics.multilabel:ROC_AUC",
        "map": "goldfold.metrics.multilabel:MAP",
        "log_loss": "goldfold.metrics.multilabel:LOG_LOSS",
        "mcc": "goldfold.metrics.label_ranking:MCC",
        "partial_auc": "goldfold.metrics.label_ranking:PARTIAL_AUC",
        "auc_above_tpr": "goldfold.metrics.label_ranking:AUC_ABOVE_TPR",
        **_of("goldfold.metrics.label_ranking", "pf1 map_at_k"),
        "gap": "goldfold.metrics.label_ranking:GAP",
    },
    "value": {
        "rmse": "goldfold.metrics.regression:RMSE",
        "mae": "goldfold.metrics.regression:MAE",
        "r2": "goldfold.metrics.regression:r2",
        "quadratic_kappa": "goldfold.metrics.regression:QUADRATIC_KAPPA",
        "rmsle": "goldfold.metrics.regression:RMSLE",
        "pearson": "goldfold.metrics.regression:PEARSON",
        "spearman": "goldfold.metrics.regression:SPEARMAN",
    },
    "mask": {
        "dice": "goldfold.metrics.segmentation:dice_of_set",
        "iou": "goldfold.metrics.segmentation:iou_of_set",
        "dice_per_image": "goldfold.metrics.segmentation:dice_per_image",
        "iou_per_image": "goldfold.metrics.segmentation:iou_per_image",
        **_of("goldfold.metrics.surfaces", "boundary_iou boundary_f1"),
        "hausdorff": "goldfold.metrics.surfaces:HAUSDORFF",
        "instance_ap": "goldfold.metrics.instances:instance_ap",
    },
    "boxes": {
        "ap": "goldfold.metrics.detection:AP",
        "ap50": "goldfold.metrics.detection:AP50",
        "ap75": "goldfold.metrics.detection:AP75",
        "ap_small": "goldfold.metrics.detection:AP_SMALL",
        "ap_medium": "goldfold.metrics.detection:AP_MEDIUM",
        "ap_large": "goldfold.metrics.detection:AP_LARGE",
        "ar100": "goldfold.metrics.detection:average_recall",
        "f1": "goldfold.metrics.detection:F1",
    },
    "points": {
        "fbeta": "goldfold.metrics.points:FBETA",
        "ap": "goldfold.metrics.points:AP",
        "count_mae": "goldfold.metrics.points:COUNT_MAE",
        "count_rmse": "goldfold.metrics.points:COUNT_RMSE",
        "mean_distance": "goldfold.metrics.points:MEAN_DISTANCE",
        "pck": "goldfold.metrics.points:PCK",
    },
}
OF_MASKS = frozenset({"boundary_iou", "boundary_f1", "hausdorff", "instance_ap"})
"""Metrics that read masks, where others take counts of pixels: they are computed only where a config asks for them."""
_AVERAGES: Entries = {
    **_of("goldfold.ensembling.average", "probability geometric logit rank power vote"),
}
ENSEMBLES: dict[str, Entries] = {
    "label": _AVERAGES,
    "labels": {name: _AVERAGES[name] for name in ("probability", "logit", "rank", "power", "vote")},
    "value": {
        "mean": "goldfold.ensembling.values:mean",
        "median": "goldfold.ensembling.values:median",
    },
    "mask": {
        **{name: _AVERAGES[name] for name in ("probability", "geometric", "logit", "power")},
        "vote": "goldfold.ensembling.maps:vote",
    },
    "boxes": {
        **_of("goldfold.ensembling.boxes", "wbf nms soft_nms nmw"),
    },
    "points": {
        **_of("goldfold.ensembling.points", "merged strongest"),
    },
}
"""Methods that combine the predictions of several members into one."""
_AVERAGE: Entries = {"average": "goldfold.ensembling.averaging:Average"}
_FITTED: Entries = {
    **_AVERAGE,
    "fitted_average": "goldfold.ensembling.averaging:FittedAverage",
    "hill_climbing": "goldfold.ensembling.hill_climbing:HillClimbing",
    "simplex": "goldfold.ensembling.simplex:Simplex",
    "stacking": "goldfold.ensembling.stacking:linear",
    "boosted_stacking": "goldfold.ensembling.boosting:boosted",
}
FUSIONS: dict[str, Entries] = {
    "label": _FITTED,
    "labels": _FITTED,
    "value": _FITTED,
    "mask": _AVERAGE,
    "boxes": {**_AVERAGE, "fitted_fusion": "goldfold.ensembling.fitted_fusion:FittedFusion"},
    "points": _AVERAGE,
}
"""First steps of the ensemble, which combine the members' predictions into one, most by one of the methods above."""
_THRESHOLDS: Entries = {"thresholds": "goldfold.ensembling.thresholds:Thresholds"}
_DECISIONS: Entries = {**_THRESHOLDS, "temperature": "goldfold.ensembling.temperature:Temperature"}
POSTPROCESSING: dict[str, Entries] = {
    "label": {
        **_DECISIONS,
        "unknown": "goldfold.ensembling.unknown:Unknown",
        "prediction_sets": "goldfold.ensembling.sets:PredictionSets",
    },
    "labels": _DECISIONS,
    "value": {"prediction_intervals": "goldfold.ensembling.sets:PredictionIntervals"},
    "mask": {
        **_THRESHOLDS,
        "components": "goldfold.ensembling.mask_components:components",
        "instances": "goldfold.ensembling.mask_instances:instances",
    },
    "boxes": {},
    "points": {"spacing": "goldfold.ensembling.spacing:Spacing", **_THRESHOLDS},
}
"""Later steps of the ensemble, which change the combined prediction."""

CLASS_WEIGHTS: Entries = {
    "inverse_frequency": "goldfold.losses.class_weights:inverse_frequency",
    "effective_number": "goldfold.losses.class_weights:effective_number",
}
"""Weights of classes for the loss of one label per image."""
_MIXES: Entries = {
    "mixup": "goldfold.samples.mixing.values:mixup",
    "cutmix": "goldfold.samples.mixing.values:cutmix",
    "mosaic": "goldfold.samples.mixing.values:mosaic",
}
MIXES: dict[str, Entries] = {
    "label": _MIXES,
    "labels": _MIXES,
    "value": {"mixup": _MIXES["mixup"]},
    "mask": {
        "cutmix": "goldfold.samples.mixing.maps:cutmix",
        "mosaic": "goldfold.samples.mixing.maps:mosaic",
        "copy_paste": "goldfold.samples.mixing.maps:copy_paste",
    },
    "boxes": {
        "mixup": "goldfold.samples.mixing.boxes:mixup",
        "cutmix": "goldfold.samples.mixing.boxes:cutmix",
        "mosaic": "goldfold.samples.mixing.boxes:mosaic",
        "copy_paste": "goldfold.samples.mixing.boxes:copy_paste",
    },
    "points": {
        "mixup": "goldfold.samples.mixing.points:mixup",
        "cutmix": "goldfold.samples.mixing.points:cutmix",
        "mosaic": "goldfold.samples.mixing.points:mosaic",
    },
}
"""Ways of making one training sample of several."""

# --- for all tasks

SCHEDULES: Entries = {
    **_of("goldfold.optim.schedules", "constant cosine cyclic multistep one_cycle"),
    "plateau": "goldfold.optim.plateau:Plateau",
    "poly": "goldfold.optim.schedules:poly",
    "step": "goldfold.optim.schedules:step",
}
"""Optimizers are timm's, see `goldfold.config.libraries`."""
HOOKS: Entries = {
    "agc": "goldfold.engine.hooks.agc:Agc",
    "clip": "goldfold.engine.hooks.clip:Clip",
    "clip_value": "goldfold.engine.hooks.clip:ClipValue",
    "early_stopping": "goldfold.engine.hooks.early_stopping:EarlyStopping",
    "ema": "goldfold.engine.hooks.ema:Ema",
    "max_hours": "goldfold.engine.hooks.max_hours:MaxHours",
    "swa": "goldfold.engine.hooks.swa:Swa",
}
"""Called before and after the steps of training."""
UPDATES: Entries = {
    "plain": "goldfold.engine.updates:plain",
    "sam": "goldfold.engine.sam:sam",
}
"""Rules that turn the gradient into a step."""
SAMPLERS: Entries = {
    **_of("goldfold.samples.samplers", "shuffled balanced weighted oversampled"),
}
"""Which training cases an epoch has, and in which order."""
PRESETS: Entries = {
    **_of("goldfold.samples.presets.reading", "none light medium heavy medical broad"),
}
"""Lists of augmentations; their contents are YAML files in `goldfold.samples.presets`."""
AUGMENTATIONS: Entries = {
    "shift_scale_rotate": "goldfold.samples.geometric:shift_scale_rotate",
    "elastic": "goldfold.samples.geometric:elastic",
    "randaugment": "goldfold.samples.randaugment:randaugment",
    "vignette": "goldfold.samples.vignette:vignette",
    "only_channels": "goldfold.samples.conditions:only_channels",
    "only_square": "goldfold.samples.conditions:only_square",
    "only_without_boxes": "goldfold.samples.conditions:only_without_boxes",
}
"""Steps besides the transforms of albumentations, which are named as in that library."""
TURNS: Entries = _of("goldfold.inference.views", "identity hflip vflip rot90 rot180 rot270 transpose antitranspose")
"""Views that can be inverted on maps and boxes."""
INVERTED: Entries = TURNS | {
    "scales": "goldfold.inference.scales:scales",
    "random": "goldfold.random_views:random",
}
"""Views of the tasks that predict maps and boxes; `random` is one if its augmentations move no pixel."""
VIEWS: Entries = {
    **TURNS,
    **_of("goldfold.inference.views", "shift_left shift_right shift_up shift_down zoom_in zoom_out"),
    **_of("goldfold.inference.crops", "crop five_crop ten_crop"),
    **INVERTED,
}
SPLITTERS: Entries = {
    "stratified": "goldfold.splits.stratified:stratified",
    "group": "goldfold.splits.stratified:group",
    "stratified_group": "goldfold.splits.stratified:stratified_group",
    "multilabel_stratified": "goldfold.splits.multilabel:multilabel_stratified",
    "multilabel_stratified_group": "goldfold.splits.multilabel:multilabel_stratified_group",
    "ordered": "goldfold.splits.ordered:ordered",
    "ordered_blocks": "goldfold.splits.ordered:ordered_blocks",
    "predefined": "goldfold.splits.predefined:predefined",
}
SOURCES: Entries = {
    "folder": "goldfold.sources.folder:read",
    "csv": "goldfold.sources.table:read",
    "masks": "goldfold.sources.masks:read",
    "tiles": "goldfold.sources.tiles:read",
    "instances": "goldfold.sources.instances:read",
    "rle": "goldfold.sources.rle:read",
    "coco": "goldfold.sources.coco:read",
    "voc": "goldfold.sources.voc:read",
    "yolo": "goldfold.sources.yolo:read",
    "points": "goldfold.sources.points:read",
}
DEMOS: Entries = {
    "digits": "goldfold.demo.digits:write",
    "digits_labels": "goldfold.demo.digits:write_labels",
    "digits_ink": "goldfold.demo.digits:write_ink",
    "scenes_masks": "goldfold.demo.scenes:write",
    "scenes_boxes": "goldfold.demo.scenes:write",
    "placed_digits": "goldfold.demo.placed:write",
    "placed_boxes": "goldfold.demo.placed:write",
}
"""Generated data sets that can be used as sources; an ordinary source reads them (`goldfold.config.demo`)."""
