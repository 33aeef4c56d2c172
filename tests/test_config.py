import copy
import inspect
import json
import re
from importlib.util import find_spec
from typing import Any, get_args

import pytest

from goldfold import catalog, components, tasks
from goldfold.base.errors import ConfigError
from goldfold.catalog import TASKS
from goldfold.config import libraries, load, parse, slices, typed, with_classes
from goldfold.config.data import Named
from goldfold.config.learning import Train
from goldfold.config.schema import schema
from goldfold.config.trial_keys import as_written
from goldfold.optim.cycles import cycle_ends
from goldfold.planning.plan import plan_of
from goldfold.samples.transforms import FLIPS

SMALL = {"name": "a", "network": "small_resnet", "image_size_px": 8}
BASE: dict[str, Any] = {"name": "t", "data": {"source": "digits"}, "models": [SMALL]}
CSV = {"source": "csv", "train": "t.csv", "images": "i"}


def small(**changes: Any) -> list[dict[str, Any]]:
    return [{**SMALL, **changes}]


def errors_of(changes: dict[str, Any]) -> list[str]:
    """Lines of the error, without the head; checks that the head counts them."""
    with pytest.raises(ConfigError) as caught:
        parse({**copy.deepcopy(BASE), **changes}, origin="my.yaml")
    head, *lines = str(caught.value).splitlines()
    assert head == f"my.yaml: {len(lines)} problem{'s' if len(lines) > 1 else ''}"
    return [line.strip() for line in lines]


# (what is wrong, changes to a good config, what the one line must say: key and value, nearest or reason, allowed)
WRONG = [
    (
        "top-level key",
        {"metrik": "x"},
        [
            "metrik: unknown key",
            "nearest is 'metric'",
            "allowed: ablate, batch_norm, cache, data, ensemble, external, folds",
        ],
    ),
    (
        "nested key",
        {"folds": {"n_fold": 3}},
        ["folds.n_fold: unknown key", "nearest is 'n_folds'", "n_folds, rare_classes, seed"],
    ),
    (
        "training key elsewhere",
        {"epochs": 3},
        ["epochs: unknown key; it belongs under train: write train: {epochs: 3}"],
    ),
    (
        "training key of a model",
        {"models": small(distill={"teacher": "b"})},
        ["models[0].distill: unknown key; it belongs under train: write train: {distill: {'teacher': 'b'}}"],
    ),
    (
        "training key of a switch",
        {"ablate": {"x": {"mixup_alpha": 0.2}}},
        [").mixup_alpha: unknown key; it belongs under train: write train: {mixup_alpha: 0.2}"],
    ),
    *[
        (f"{key} in train", {"train": {key: value}}, [f"train.{key}: unknown key; it {belongs}"])
        for key, value, belongs in (
            ("image_size_px", 64, "belongs under cache, or under models[...]"),
            ("seeds", [1], "belongs at the top level"),
            ("tta", ["identity"], "belongs at the top level"),
            ("ablate", {}, "belongs at the top level"),
            ("n_folds", 3, "belongs under folds"),
            ("clean", {}, "belongs under rounds[...]"),
            ("start", "previous", "belongs under rounds[...]"),
            ("dropout", 0.1, "belongs under models[...]"),
            ("soup", ["a"], "belongs under models[...]"),
            ("teacher", "a", "belongs under distill, or under rounds[...]"),
            ("temperature", 2, "belongs under distill, or under fixmatch"),
            ("rho", 0.1, "is a parameter of sam: write update: {sam: {rho: 0.1}}"),
            (
                "patience",
                3,
                "is a parameter of plateau, early_stopping: write schedule: {plateau: {patience: 3}}, or hooks: [{",
            ),
        )
    ],
    ("key of rounds", {"clean": {}}, ["clean: unknown key; it belongs under rounds[...]"]),
    (
        "key of a teacher",
        {"rounds": [{}, {"threshold": 0.9}]},
        ["rounds[1].threshold: unknown key; it belongs under teacher, or under pseudo_labels"],
    ),
    (
        "key of another source",
        {"data": {"source": "digits", "label_column": "x"}},
        ["data.label_column: unknown key; allowed: channels, "],
    ),
    (
        "teacher without a section",
        {"train": {"distill": "big"}},
        ["train.distill = 'big': write a section: {teacher: big}"],
    ),
    ("shared train key", {"train": {"epoch": 3}}, ["train.epoch: unknown key", "nearest is 'epochs'", "accumulate"]),
    (
        "model's train key",
        {"models": small(train={"leraning": 1, "epochs": 2})},
        ["models[0].train.leraning: unknown key", "allowed: accumulate"],
    ),
    ("model's key", {"models": small(backbon="x")}, ["models[0].backbon: unknown key", "nearest is 'backbone'"]),
    ("key of a source", {"data": {**CSV, "label_colum": "x"}}, ["data.label_colum", "nearest is 'label_column'"]),
    ("key of another source", {"data": {"source": "digits", "test": "x"}}, ["data.test: unknown key", "directory"]),
    (
        "name of the task's",
        {"metric": "acuracy"},
        ["metric = 'acuracy'", "nearest is 'accuracy'", "allowed with classification: accuracy, ", "log_loss"],
    ),
    ("nested Literal", {"train": {"schedule": "cosin"}}, ["train.schedule = 'cosin'", "nearest is 'cosine'", "poly"]),
    ("no channel", {"data": {"source": "digits", "channels": 0}}, ["data.channels = 0", "at least 1"]),
    (
        "no rule for 16 bits",
        {"data": {"source": "digits", "scale_16bit": [4095, 0]}},
        ["data.scale_16bit: [4095, 0]", "full_range, min_max, percentile, or two values [black, white]"],
    ),
    (
        "a pattern without an id",
        {"data": {**CSV, "stack_pattern": "{channel}"}},
        ["data.stack_pattern", "{id} and {channel}"],
    ),
    (
        "channels that files cannot share",
        {"data": {**CSV, "stack": ["r", "g"], "channels": 3}},
        ["channels = 3: 2 files per image cannot share them evenly"],
    ),
    (
        "two ways to name files",
        {"data": {**CSV, "image_columns": ["a", "b"], "stack": ["r", "g"]}},
        ["image_columns and stack do not go together"],
    ),
    ("text for whole number", {"train": {"epochs": "3"}}, ["train.epochs = '3'", "valid integer"]),
    ("float for whole number", {"train": {"epochs": 3.5}}, ["train.epochs = 3.5", "valid integer"]),
    ("text for number", {"models": small(dropout="much")}, ["models[0].dropout = 'much'", "valid number"]),
    ("NaN", {"train": {"lr": float("nan")}}, ["train.lr = nan", "greater than 0"]),
    ("infinite", {"train": {"lr": float("inf")}}, ["train.lr = inf", "finite number"]),
    ("null for text", {"name": None}, ["name = None", "valid string"]),
    ("number out of range", {"train": {"label_smoothing": 1}}, ["train.label_smoothing = 1", "less than 1"]),
    (
        "text for section",
        {"train": "fast"},
        ["train = 'fast'", "write a section, {key: value}; allowed keys: accumulate"],
    ),
    (
        "number for section",
        {"train": {"lr_scale": 0.1}},
        ["train.lr_scale = 0.1: write a section", "keys: backbone, head, norm"],
    ),
    ("name for list", {"train": {"mix": "mixup"}}, ["train.mix = 'mixup': write a list: [mixup]"]),
    ("nothing for list", {"tta": None}, ["tta = None: write a list: [...]"]),
    ("list for section", {"task_params": ["x"]}, ["task_params = ['x']: write a section: {name: value}"]),
    ("name not a file name", {"name": "../x"}, ["name = '../x'", "match pattern"]),
    ("missing in a source", {"data": {"source": "csv", "train": "a"}}, ["data.images: missing; it is required"]),
    ("missing in a model", {"models": [{"network": "small_resnet", "image_size_px": 8}]}, ["models[0].name: missing"]),
    (
        "no size and no backbone to bring one",
        {"models": [{"name": "a", "network": "small_resnet"}]},
        ["models[0] (a).image_size_px: missing", "only a timm backbone has a default size"],
    ),
    (
        "source",
        {"data": {"source": "cvs"}},
        ["data.source = 'cvs'", "nearest is 'csv'", "allowed: 'folder', 'csv', 'masks'"],
    ),
    ("no source", {"data": {}}, ["data.source = None", "allowed: 'folder', 'csv', 'masks'"]),
    ("data as text", {"data": "digits"}, ["data = 'digits'", "valid dictionary"]),
    ("no models", {"models": []}, ["models = []", "at least 1 item"]),
    ("models not a list", {"models": {"a": 1}}, ["models = {'a': 1}", "write a list: [{'a': 1}]"]),
    ("view", {"tta": ["identity", "hflipp"]}, ["tta[1] = 'hflipp'", "nearest is 'hflip'", "zoom_out"]),
    ("views twice", {"tta": ["hflip", "hflip"]}, ["tta: named more than once: hflip"]),
    ("no views", {"tta": []}, ["tta = []", "at least 1 item"]),
    ("seeds twice", {"seeds": [0, 1, 0]}, ["seeds: named more than once: 0"]),
    ("negative seed", {"seeds": [-1]}, ["seeds[0] = -1", "at least 0"]),
    ("members of one name", {"models": [SMALL, SMALL]}, ["two members are named 'a'", "give each its own name"]),
    (
        "a model named as the ensemble",
        {"models": [SMALL, {**SMALL, "name": "ensemble"}]},
        ["models[1].name = 'ensemble': is the name of the ensemble; give the model another name"],
    ),
    (
        "backbone",
        {"models": [{"name": "a", "backbone": "resnet19", "image_size_px": 32}]},
        ["(a).backbone = 'resnet19'", "nearest are 'resnet1", "goldfold models --filter NAME"],
    ),
    (
        "no backbone",
        {"models": [{"name": "a", "image_size_px": 32}]},
        ["models[0] (a).backbone", "network 'timm' needs one", "resnet18"],
    ),
    ("backbone where none", {"models": small(backbone="resnet18")}, ["backbone = 'resnet18'", "takes none; remove it"]),
    (
        "network",
        {"models": small(network="small_resnt")},
        [
            "models[0] (a).network = 'small_resnt'",
            "nearest is 'small_resnet'",
            "allowed: timm, small_resnet",
            "package.module:function",
        ],
    ),
    ("own network's name", {"models": small(network="a:b:c")}, ["network = 'a:b:c'", "package.module:function"]),
    (
        "optimizer",
        {"models": small(train={"optimizer": "adamv"})},
        ["models[0] (a).train.optimizer = 'adamv'", "nearest is 'adam", "lamb", "sgd"],
    ),
    (
        "pretrained path",
        {"models": small(pretrained="no/such.pth")},
        ["models[0] (a).pretrained = 'no/such.pth'", "no such file", "give a path, true or false"],
    ),
    ("no published weights", {"models": small(pretrained=True)}, ["(a).pretrained = true", "give a path or false"]),
    ("image too small", {"models": small(image_size_px=2)}, ["(a).image_size_px = 2", "between 4 and 8192"]),
    ("group without column", {"folds": {"splitter": "group"}}, ["folds.splitter = 'group'", "data.group_column"]),
    (
        "stratified group without column",
        {"folds": {"splitter": "stratified_group"}, "data": CSV},
        ["folds.splitter = 'stratified_group'", "needs data.group_column"],
    ),
    (
        "groups without group splitter",
        {"data": {**CSV, "group_column": "patient"}},
        ["there are groups (data.group_column or", "folds.splitter is 'stratified'", "use stratified_group or group"],
    ),
    ("predefined without column", {"folds": {"splitter": "predefined"}, "data": CSV}, ["needs data.fold_column"]),
    (
        "no order",
        {"folds": {"splitter": "ordered"}, "data": CSV},
        ["needs data.order_column (source csv) or folds.file (id"],
    ),
    (
        "order unused",
        {"data": {**CSV, "order_column": "day"}},
        ["data.order_column is set", "use ordered or ordered_blocks"],
    ),
    (
        "order twice",
        {"data": {**CSV, "order_column": "day"}, "folds": {"splitter": "ordered", "file": "config.yaml"}},
        ["data.order_column and folds.file both give the order; remove one"],
    ),
    (
        "sticky order",
        {"data": {**CSV, "order_column": "day"}, "folds": {"splitter": "ordered", "sticky": True}},
        ["folds.sticky: splitter 'ordered' depends on the order only, which new images shift; remove it"],
    ),
    (
        "file for another splitter",
        {"folds": {"file": "config.yaml"}},
        ["folds.file is set but folds.splitter is 'stratified'"],
    ),
    (
        "file that is not there",
        {"folds": {"file": "no.csv", "splitter": "predefined"}},
        ["folds.file = 'no.csv': no such file"],
    ),
    (
        "precision of a GPU on the CPU",
        {"runtime": {"device": "cpu", "precision": "fp16"}},
        ["runtime.precision = 'fp16': needs a GPU, and runtime.device is cpu; set precision: auto"],
    ),
    (
        "gap for another splitter",
        {"folds": {"gap": 2}},
        ["folds.gap = 2: only splitters ordered and ordered_blocks have a gap"],
    ),
    ("no tolerance", {"folds": {"tolerance": 0}}, ["folds.tolerance = 0"]),
    (
        "multilabel splitter that parts groups",
        {"data": {**CSV, "group_column": "patient"}, "folds": {"splitter": "multilabel_stratified"}},
        ["folds.splitter is 'multilabel_stratified'", "use multilabel_stratified_group or group"],
    ),
    (
        "extra images alone",
        {"data": {**CSV, "extra_images": "src"}},
        ["data.extra_images: there is no data.extra_train"],
    ),
    ("extra table missing", {"data": {**CSV, "extra_train": "no.csv"}}, ["data.extra_train = 'no.csv': no such file"]),
    (
        "rounds without pools",
        {"data": CSV, "pseudo_labels": {"rounds": 1}},
        ["pseudo_labels.rounds", "no test or unlabeled images", "set rounds: 0"],
    ),
    (
        "mixup short and long",
        {"models": small(train={"mixup_alpha": 0.2, "mix": [{"mixup": {"alpha": 1}}]})},
        ["models[0].train", "mix: 'mixup' is listed twice; mixup_alpha is its short form. Keep one"],
    ),
    (
        "probability above one",
        {"models": small(train={"mixup_alpha": 0.2, "mix_probability": 1.5})},
        ["models[0].train.mix_probability = 1.5", "at most 1"],
    ),
    (
        "mix misspelt",
        {"models": small(train={"mix": ["mosiac"]})},
        ["(a).train.mix = 'mosiac'", "nearest is 'mosaic'", "mixup, cutmix, mosaic, package.module:function"],
    ),
    (
        "parameter of a mix",
        {"models": small(train={"mix": [{"mosaic": {"alpha": 1}}]})},
        ["(a).train.mix", "mosaic does not take 'alpha'", "its parameters: least"],
    ),
    (
        "sampler misspelt",
        {"models": small(train={"sampler": "balance"})},
        ["(a).train.sampler = 'balance'", "nearest is 'balanced'", "shuffled, balanced, weighted, oversampled"],
    ),
    (
        "sampled by no column",
        {"data": {**CSV, "metadata": {"categorical": ["site"]}}, "train": {"sampler": {"weighted": {"by": "sight"}}}},
        ["by = 'sight': nearest is 'site'", "there are: class, site (list columns under data.metadata.categorical"],
    ),
    (
        "sampled by groups that are not there",
        {"data": CSV, "train": {"sampler": {"oversampled": {"by": "group"}}}},
        ["by = 'group'", "there are: class ", "groups come from data.groups, data.group_column"],
    ),
    (
        "weight of no model",
        {"models": small(name="resnet"), "ensemble": {"weights": {"resnt": 1.0}}},
        ["ensemble.weights.resnt: no model of that name", "nearest is 'resnet'", "allowed: resnet"],
    ),
    ("weights all zero", {"ensemble": {"weights": {"a": 0.0}}}, ["ensemble.weights: all are zero", "positive"]),
    ("warm-up too long", {"train": {"epochs": 2, "warmup_epochs": 2}}, ["train: warmup_epochs 2 must be less than"]),
    (
        "warm-up that nobody wrote",
        {"train": {"epochs": 1}},
        ["train: warmup_epochs 1 must be less than epochs 1: set train.warmup_epochs: 0, or more epochs"],
    ),
    ("one name for two columns", {"submission": {"id_column": "label"}}, ["submission: id_column and label_column"]),
    ("negative loader workers", {"runtime": {"loader_workers": -1}}, ["runtime.loader_workers = -1", "0"]),
]


@pytest.mark.parametrize(("changes", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_one_mistake_gives_one_line_that_says_key_value_and_what_is_allowed(
    changes: dict[str, Any], said: list[str]
) -> None:
    lines = errors_of(changes)
    about = [line for line in lines if said[0] in line]
    assert len(about) == 1, lines
    for words in said:
        assert words in about[0]


MASKS = {"source": "masks", "train": "i", "masks": "m"}
COCO = {"source": "coco", "train": "t.json", "images": "i"}
UNET = {"name": "a", "network": "unet", "backbone": "resnet18", "image_size_px": 64}
FCOS = {"name": "a", "network": "fcos", "backbone": "resnet18", "image_size_px": 64}
OF_TASK: dict[str, dict[str, Any]] = {
    "classification": {"data": CSV, "models": [SMALL]},
    "ordinal": {"data": CSV, "models": [SMALL]},
    "multilabel": {"data": {**CSV, "label_separator": " "}, "models": [SMALL]},
    "regression": {"data": {**CSV, "target_column": "y"}, "models": [SMALL]},
    "segmentation": {"data": MASKS, "models": [UNET]},
    "detection": {"data": COCO, "models": [FCOS]},
    "points": {"data": {"source": "points", "train": "t.csv", "images": "i"}, "models": [UNET]},
}
"""The smallest sections of a config of each task."""

# (task, changes to a good config of it, what the one line must say)
WRONG_FOR_TASK = [
    ("classification", {"data": MASKS}, ["data.source = 'masks'", "brings mask", "'classification' needs label"]),
    ("segmentation", {"data": CSV}, ["data.source = 'csv'", "brings label", "'segmentation' needs mask"]),
    ("detection", {"data": MASKS}, ["data.source = 'masks'", "brings mask", "'detection' needs boxes"]),
    (
        "multilabel",
        {"data": CSV},
        ["data.source = 'csv'", "brings label,", "needs labels; set data.label_separator or data.label_columns"],
    ),
    ("regression", {"data": CSV}, ["data.source = 'csv'", "brings label,", "needs value; set data.target_column"]),
    (
        "classification",
        {"data": {**CSV, "target_column": "y"}},
        ["data.source = 'csv'", "brings value,", "needs label; for one label per image, remove data.label_separator"],
    ),
    (
        "regression",
        {"train": {"cutmix_alpha": 1}},
        [
            "train.cutmix_alpha = 1: task 'regression' cannot use cutmix (a number has no share",
            "multilabel",
            "regression: mixup",
        ],
    ),
    ("regression", {"train": {"mix": ["copy_paste"]}}, ["train.mix = 'copy_paste'", "can: segmentation, detection."]),
    ("regression", {"submission": {"format": "label"}}, ["submission.format: task 'regression' does not use it"]),
    ("multilabel", {"task_params": {"threshold": "0.4"}}, ["task_params.threshold = '0.4'", "valid number"]),
    (
        "regression",
        {"data": {**CSV, "target_column": "y", "test": "t.csv"}, "pseudo_labels": {"rounds": 1}},
        ["pseudo_labels.rounds", "there is only one of each; add a seed, a model or a view to tta, or set rounds: 0"],
    ),
    (
        "regression",
        {
            "data": {**CSV, "target_column": "y", "test": "t.csv"},
            "models": [*BASE["models"], {**BASE["models"][0], "name": "mute"}],
            "ensemble": {"weights": {"mute": 0}},
            "pseudo_labels": {"rounds": 1},
        },
        ["pseudo_labels.rounds", "there is only one of each; add a seed, a model or a view to tta, or set rounds: 0"],
    ),
    ("classification", {"metric": "dice"}, ["metric = 'dice'", "allowed with classification: accuracy, balanced"]),
    ("segmentation", {"metric": "ap50"}, ["metric = 'ap50'", "allowed with segmentation: dice, iou"]),
    ("points", {"data": MASKS}, ["data.source = 'masks'", "brings mask", "'points' needs points or boxes"]),
    ("points", {"task_params": {"stride": 3}}, ["task_params.stride = 3"]),
    ("points", {"ensemble": ["average", "thresholds", "spacing"]}, ["changes the points that 'thresholds' decides on"]),
    ("points", {"models": [{**UNET, "network": "mask2former"}]}, ["(a).network = 'mask2former'", "unet, unetplusplus"]),
    ("points", {"models": [{**UNET, "windows": True}]}, ["windows: task 'points' needs whole images; remove it"]),
    ("detection", {"metric": "ap5"}, ["metric = 'ap5'", "nearest is 'ap", "allowed with detection: ap, ap50"]),
    (
        "classification",
        {"ensemble": {"method": "wbf"}},
        ["ensemble.method = 'wbf'", "allowed with classification: prob"],
    ),
    ("segmentation", {"ensemble": {"method": "rank"}}, ["ensemble.method = 'rank'", "segmentation: probability, geom"]),
    ("detection", {"ensemble": {"method": "logit"}}, ["ensemble.method = 'logit'", "allowed with detection: wbf, nms"]),
    ("segmentation", {"tta": ["zoom_in"]}, ["tta[0] = 'zoom_in'", "allowed with segmentation: identity, hflip"]),
    ("detection", {"tta": ["hflip", "shift_up"]}, ["tta[1] = 'shift_up'", "allowed with detection: identity, hflip"]),
    ("classification", {"train": {"loss": "dice"}}, ["models[0] (a).train.loss = 'dice'", "cross_entropy, focal"]),
    (
        "segmentation",
        {"train": {"loss": {"dice": 1, "cross_entropy": 1}}},
        ["train.loss = 'cross_entropy'", "ce, dice"],
    ),
    (
        "detection",
        {"train": {"loss": "focal"}},
        ["train.loss: task 'detection' does not use it; detectors have losses of their own"],
    ),
    ("classification", {"models": [UNET]}, ["(a).network = 'unet'", "timm, small_resnet, densenet7x7, "]),
    ("segmentation", {"models": [FCOS]}, ["(a).network = 'fcos'", "deeplabv3, ", "unet, "]),
    ("detection", {"models": [SMALL]}, ["(a).network = 'small_resnet'", "fcos, retinanet, faster_rcnn"]),
    (
        "segmentation",
        {"train": {"mix": ["mixup"]}},
        [
            "train.mix = 'mixup': task 'segmentation' cannot use mixup (a pixel has one class",
            "cutmix, mosaic, copy_paste, pack",
        ],
    ),
    ("segmentation", {"train": {"label_smoothing": 0.1}}, ["train.label_smoothing: task 'segmentation' does not"]),
    ("classification", {"task_params": {"threshold": 0.5}}, ["task_params.threshold: unknown key", ": nothing"]),
    (
        "segmentation",
        {"task_params": {"treshold": 0.4}},
        ["task_params.treshold: unknown key", "nearest is 'threshold'"],
    ),
    ("segmentation", {"task_params": {"threshold": "much"}}, ["task_params.threshold = 'much'", "valid number"]),
    ("segmentation", {"task_params": {"threshold": "0.4"}}, ["task_params.threshold = '0.4'", "valid number"]),
    ("segmentation", {"task_params": {"threshold": 1.5}}, ["task_params.threshold = 1.5", "at most 1"]),
    ("segmentation", {"task_params": {"threshold": None}}, ["task_params.threshold = None", "valid number"]),
    ("detection", {"task_params": {"least_score": True}}, ["task_params.least_score = True", "valid number"]),
    ("detection", {"task_params": {"least_score": -0.1}}, ["task_params.least_score = -0.1: must be at least 0"]),
    ("detection", {"task_params": {"box_fields": ["label", "x3"]}}, ["task_params.box_fields.1 = 'x3'", "'x1', 'y1'"]),
    ("detection", {"task_params": {"box_fields": []}}, ["task_params.box_fields = []", "at least 1 item"]),
    (
        "detection",
        {"data": {**COCO, "test_images": "t"}, "pseudo_labels": {"rounds": 1, "weight": 0.5}},
        ["pseudo_labels.weight = 0.5", "task 'detection' has no sample weights; set 1"],
    ),
    ("segmentation", {"ensemble": {"iou_threshold": 0.4}}, ["ensemble.iou_threshold", "'segmentation' has no boxes"]),
    ("classification", {"ensemble": {"skip_threshold": 0.1}}, ["ensemble.skip_threshold", "has no boxes to fuse"]),
    (
        "segmentation",
        {"data": {**MASKS, "mask_values": "all"}},
        ["data.mask_values = 'all'", "'index', 'nonzero' or 'bits'"],
    ),
    (
        "segmentation",
        {"data": {**MASKS, "mask_values": {"a": 70000}}},
        ["data.mask_values = 70000", "must be a whole number from 0 to 65535"],
    ),
    (
        "segmentation",
        {"data": {**MASKS, "mask_values": {"a": 1, "b": 1}}},
        ["data.mask_values", "'a' and 'b'", "value 1"],
    ),
    (
        "segmentation",
        {"data": {**MASKS, "mask_values": {"a": 1, "b": 2}, "ignore_value": 2}},
        ["data.ignore_value = 2", "is the value of class 'b'"],
    ),
    (
        "segmentation",
        {"data": {**MASKS, "ignore_value": -1}},
        ["data.ignore_value = -1", "must be a whole number from 0"],
    ),
    ("detection", {"data": {**COCO, "mask_values": "index"}}, ["data.mask_values: unknown key", "allowed: channels"]),
    ("detection", {"data": {**COCO, "on_bad_label": "cut"}}, ["data.on_bad_label = 'cut'", "'quarantine' or 'drop'"]),
    (
        "classification",
        {"data": {**CSV, "on_bad_label": "drop"}},
        ["on_bad_label = 'drop'", "with classification: fail"],
    ),
    (
        "segmentation",
        {"data": {**MASKS, "on_bad_label": "drop"}},
        ["on_bad_label = 'drop'", "segmentation: fail, quara"],
    ),
    (
        "segmentation",
        {"submission": {"format": "label"}},
        ["submission.format = 'label'", "allowed with segmentation: auto, instances"],
    ),
    ("detection", {"submission": {"label_column": "x"}}, ["submission.label_column: task 'detection' does not use it"]),
    ("segmentation", {"models": [{**UNET, "resize": "crop"}]}, ["(a).resize = 'crop'", "segmentation: squash, pad"]),
    (
        "detection",
        {"ensemble": {"method": "soft_nms", "iou_threshold": 0.4}},
        ["ensemble.iou_threshold: soft_nms of ensemble-boxes has none; remove it"],
    ),
    ("segmentation", {"train": {"validate_every": 0}}, ["train.validate_every = 0", "at least 1"]),
    ("segmentation", {"data": {**MASKS, "groups": "none.csv"}}, ["data.groups = 'none.csv'", "no such file or folder"]),
    ("detection", {"task": "detektion"}, ["unknown task 'detektion'", "nearest is 'detection'", "allowed: classif"]),
    ("detection", {"task": "no_such_module:Task"}, ["task 'no_such_module:Task'", "must be importable where the job"]),
    ("detection", {"task": "goldfold.tasks.detection:Detector"}, ["has no attribute 'Detector'", "must be importable"]),
]


@pytest.mark.parametrize(
    ("task", "changes", "said"),
    WRONG_FOR_TASK,
    ids=[f"{task} {json.dumps(changes)[:60]}" for task, changes, _ in WRONG_FOR_TASK],
)
def test_what_does_not_go_with_the_task_is_told_in_one_line(
    task: str, changes: dict[str, Any], said: list[str]
) -> None:
    lines = errors_of({"task": task, **OF_TASK[task], **changes})
    about = [line for line in lines if said[0] in line]
    assert len(about) == 1, lines
    for words in said:
        assert words in about[0]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"label_column": "a", "target_column": "b"},
            "label_column and target_column are given, but there is one target",
        ),
        (
            {"label_columns": ["a"], "label_separator": "|"},
            "label_separator separates the labels of label_column, not of label_c",
        ),
        (
            {"empty_label": "no_class"},
            "empty_label needs several labels per image: set label_separator or label_columns",
        ),
        (
            {"label_separator": " ", "classes": ["big cat"]},
            "classes: 'big cat' contains label_separator ' ', so it would be read",
        ),
        ({"label_separator": "a"}, "label_separator 'a' must be blanks, or characters without blanks around them"),
        ({"label_separator": "| "}, "label_separator '| ' must be blanks, or characters without blanks around them"),
        (
            {"label_columns": ["a", "b"], "classes": ["b", "c"]},
            "classes and label_columns must name the same; 'a' is in one",
        ),
        (
            {"metadata": {"numeric": ["a"], "categorical": ["a"]}},
            "'a' is listed as numeric and as categorical; keep one",
        ),
        ({"metadata": {"categorical": ["label"]}}, "metadata: 'label' is also label_column; remove it from metadata"),
        ({"target_column": "y", "metadata": {"numeric": ["y"]}}, "metadata: 'y' is also target_column; remove it"),
        ({"metadata": {"categorical": ["id"]}}, "metadata: 'id' is also id_column; remove it from metadata"),
    ],
)
def test_columns_that_contradict_each_other_are_told(keys: dict[str, Any], said: str) -> None:
    lines = errors_of({"data": {**CSV, **keys}})
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.parametrize("task", TASKS)
def test_what_the_config_leaves_to_the_task_is_filled_in(task: str) -> None:
    config = parse({**BASE, "task": task, **OF_TASK[task]})
    kind = tasks.facts(task)
    assert (config.metric, config.ensemble.method) == (next(iter(kind.metrics)), next(iter(kind.methods)))
    assert config.data.on_missing_label == kind.on_missing_label
    assert config.models[0].train.loss is None, "the task's own, which no single name need stand for"
    named = {"metric": list(kind.metrics)[-1], "ensemble": {"method": list(kind.methods)[-1]}}
    asked = parse({**BASE, "task": task, **OF_TASK[task], **named})
    assert (asked.metric, asked.ensemble.method) == (list(kind.metrics)[-1], list(kind.methods)[-1])
    for policy in ("quarantine", "fail"):
        data = {**OF_TASK[task]["data"], "on_missing_label": policy}
        assert parse({**BASE, "task": task, **OF_TASK[task], "data": data}).data.on_missing_label == policy


def test_settings_of_a_task_may_be_written_with_an_exponent_like_every_number() -> None:
    config = parse({**BASE, "task": "detection", **OF_TASK["detection"], "task_params": {"least_score": "1e-3"}})
    assert slices.late_task(config)["least_score"] == 0.001


def test_settings_that_matter_late_reach_the_late_stages_alone() -> None:
    shared = {**BASE, "task": "segmentation", **OF_TASK["segmentation"]}
    plain, late = parse(shared), parse({**shared, "task_params": {"threshold": 0.3}})
    assert slices.task(plain) == slices.task(late)
    assert slices.manifest(plain) == slices.manifest(late)
    assert slices.late_task(late) == {**slices.task(late), "threshold": 0.3}
    assert slices.fusing(plain) == {"method": "probability"}
    boxes = parse({**BASE, "task": "detection", **OF_TASK["detection"], "ensemble": {"iou_threshold": 0.4}})
    assert slices.fusing(boxes) == {"method": "wbf", "iou_threshold": 0.4, "skip_threshold": 0.0}


@pytest.mark.parametrize("key", ["name", "data", "models"])
def test_each_key_that_must_be_given_is_missed(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: missing; it is required"):
        parse({name: value for name, value in BASE.items() if name != key})


def test_all_mistakes_are_told_at_once() -> None:
    lines = errors_of({"metrik": 1, "report": {"gallery": "x"}, "folds": {"n_folds": 1}})
    assert sorted(line.split()[0] for line in lines) == ["folds.n_folds", "metrik:", "report.gallery"]


def test_all_names_that_are_not_of_the_task_are_told_at_once() -> None:
    wrong = {"metric": "x", "ensemble": {"method": "y"}, "task_params": {"z": 1}, "models": small(network="w")}
    lines = errors_of({**wrong, "train": {"loss": "v"}})
    assert sorted(line.split()[0] for line in lines) == [
        "ensemble.method", "metric", "models[0]", "models[0]", "task_params.z:",
    ]  # fmt: skip


def test_a_mistake_in_the_shared_train_block_is_told_once_however_many_models_inherit_it() -> None:
    models = [{**SMALL, "name": name} for name in "abc"]
    lines = errors_of({"train": {"lr": -1, "epoch": 3}, "models": models})
    assert len(lines) == 2
    assert lines[0].startswith("train.lr = -1")
    assert lines[1].startswith("train.epoch: unknown key")


def test_a_model_s_own_mistake_is_told_beside_the_shared_block_s() -> None:
    models = [{**SMALL, "name": "a"}, {**SMALL, "name": "b", "train": {"lr": -2}}]
    lines = errors_of({"train": {"lr": -1}, "models": models})
    assert [line.split(":")[0] for line in lines] == ["train.lr = -1", "models[1].train.lr = -2"]


@pytest.mark.parametrize("weight", [-1.0, 1e308])
def test_an_ensemble_weight_without_meaning_is_told_in_one_line(weight: float) -> None:
    (line,) = errors_of({"ensemble": {"weights": {"a": weight}}})
    assert line.startswith(f"ensemble.weights.a = {weight:g}: must be from 0 to 1,000,000; only the ratio")


def test_a_weight_that_is_not_a_number_names_its_model() -> None:
    assert errors_of({"ensemble": {"weights": {"a": "much"}}})[0].startswith("ensemble.weights.a = 'much'")


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_ensemble_weights_must_be_finite(weight: float) -> None:
    models = [SMALL, {**SMALL, "name": "b"}]
    lines = errors_of({"models": models, "ensemble": {"weights": {"a": weight}}})
    assert len(lines) == 1
    assert "ensemble.weights" in lines[0]
    assert "finite" in lines[0]


@pytest.mark.parametrize(
    ("text", "number"), [("1e-3", 1e-3), ("3E-4", 3e-4), ("1.e-2", 1e-2), ("5e+0", 5.0), ("2", 2.0)]
)
def test_numbers_may_be_written_with_an_exponent_and_no_dot(tmp_path: Any, text: str, number: float) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "name: t\ndata: {source: digits}\nensemble: {weights: {a: 1}}\n"
        f"train: {{lr: {text}, weight_decay: {text}, clip_norm: {text}}}\n"
        "models: [{name: a, network: small_resnet, image_size_px: 8}]\n"
    )
    train = load(file).models[0].train
    assert (train.lr, train.weight_decay, train.clip_norm) == (number, number, number)


def test_an_ensemble_weight_may_be_written_with_an_exponent_like_every_number() -> None:
    assert parse({**BASE, "ensemble": {"weights": {"a": "1e-1"}}}).ensemble.weights == {"a": 0.1}


@pytest.mark.parametrize("text", ["1e", "e-3", "1e-3x", "0x10", "one"])
def test_text_that_is_no_number_is_not_made_one(text: str) -> None:
    assert f"train.lr = {text!r}" in errors_of({"train": {"lr": text}})[0]


def test_a_model_s_train_overrides_the_shared_block_key_by_key() -> None:
    config = parse(
        {
            **BASE,
            "train": {"epochs": 7, "lr": 0.5, "batch_size": 16},
            "models": [SMALL, {**SMALL, "name": "b", "train": {"lr": 0.25}}],
        }
    )
    assert [(model.train.epochs, model.train.lr, model.train.batch_size) for model in config.models] == [
        (7, 0.5, 16),
        (7, 0.25, 16),
    ]


@pytest.mark.usefixtures("in_tmp")
def test_a_backbone_brings_its_input_size_where_none_is_given() -> None:
    import timm

    models = [{"name": "a", "backbone": "test_vit"}, {"name": "b", "backbone": "test_vit", "image_size_px": [64, 32]}]
    config = parse({**BASE, "models": models})
    assert config.models[0].size == timm.get_pretrained_cfg("test_vit").input_size[1:]
    assert config.models[1].size == (64, 32)


def test_parsing_leaves_the_given_values_alone() -> None:
    values = {**copy.deepcopy(BASE), "train": {"epochs": 7}}
    before = copy.deepcopy(values)
    parse(values)
    assert values == before


@pytest.mark.parametrize("values", [None, {}, [], "text"])
def test_an_empty_config_says_what_it_must_hold(values: Any) -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml: empty; it must hold keys such as name, data and models"):
        parse(values, origin="x.yaml")


def test_a_missing_or_malformed_file_is_named(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("name: [1\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml: not valid YAML"):
        load(tmp_path / "bad.yaml")


def test_the_shipped_config_is_valid(repo: Any) -> None:
    config = load(repo / "config.yaml")
    assert config.results == f"results/{config.name}"
    assert len(config.every_round) == config.pseudo_labels.rounds + 1


def test_splits_follow_the_data() -> None:
    with_pools = {**CSV, "test": "te.csv", "unlabeled": "pool"}
    assert parse({**BASE, "data": CSV}).splits == ["train"]
    config = parse({**BASE, "data": with_pools, "pseudo_labels": {"rounds": 1, "sources": ["unlabeled"]}})
    assert config.splits == ["train", "test", "unlabeled"]
    assert config.every_round[1].teacher.sources == ["unlabeled"]


def test_the_schema_file_is_in_step_with_the_code(repo: Any) -> None:
    text = (repo / "workflow/schemas/config.schema.json").read_text()
    assert text == schema(), "renew it with: python -m goldfold.config.schema"
    assert set(json.loads(text)["required"]) == {"name", "data", "models"}


def test_the_schema_describes_every_key_that_needs_words() -> None:
    described = re.findall(r'"description": "([^"]+)', schema())
    assert len(described) > 40


def literals(annotation: Any) -> set[Any]:
    return set(get_args(annotation))


def field(section: Any, name: str) -> set[Any]:
    return literals(section.model_fields[name].annotation)


SOURCE_KINDS = get_args(get_args(Named)[0])


def test_the_sources_of_the_config_are_those_of_the_catalog() -> None:
    sources = {next(iter(field(kind, "source"))) for kind in SOURCE_KINDS}
    assert sources == {*catalog.SOURCES, *catalog.DEMOS}
    assert (len(sources), len(catalog.DEMOS)) == (17, 7)
    assert field(Train, "flips") == set(FLIPS)


TASK_OF_TARGET = {tasks.facts(name).target: name for name in TASKS if name != "ordinal"}


def test_every_source_is_asked_for_its_settings() -> None:
    assert len(SOURCE_KINDS) == 17
    assert {kind.target for kind in SOURCE_KINDS} == set(TASK_OF_TARGET)


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_a_source_takes_exactly_the_settings_that_the_manifest_hands_it(kind: Any) -> None:

    source = next(iter(field(kind, "source")))
    given = {name: "x" for name, entry in kind.model_fields.items() if entry.is_required() and name != "source"}
    splitter = {"folds": {"splitter": "group"}} if source.startswith("scenes_") else {}
    task = TASK_OF_TARGET[kind.target]
    config = parse({"name": "t", "task": task, **OF_TASK[task], "data": {"source": source, **given}, **splitter})
    handed = slices.manifest(config)["source"]
    asked_for = {"roi_columns", "refuse"}  # handed where data.roi is method: column alone; and by init alone
    asked_for |= {"frame_column", "overlap"}  # handed where it is set alone
    asked_for |= (
        {"absent_class", "ignore_value", "classes"} if handed["source"] == "masks" else set()
    )  # of files by class
    assert handed["source"] == {"digits": "csv", "scenes": "masks", "placed": "csv"}.get(
        source.split("_")[0], source
    ) or source in ("scenes_boxes", "placed_boxes")
    reader = components.load(handed["source"], catalog.SOURCES, "source")
    assert set(handed) - {"source", "outside_links"} == set(inspect.signature(reader).parameters) - asked_for


def test_backbones_read_from_timm_s_files_are_those_that_timm_lists() -> None:
    import timm

    listed = set(timm.list_models())
    assert len(listed) > 1000
    assert libraries.timm_backbones() == listed


def test_a_mistake_in_the_training_of_all_models_is_reported_once() -> None:
    models = [{**SMALL, "name": "a"}, {**SMALL, "name": "b", "train": {"loss": "foc"}}]
    wrong = {**BASE, "models": models, "train": {"optimizer": {"adamw": {"momentum": 1}}}}
    with pytest.raises(ConfigError) as error:
        parse(wrong)
    assert str(error.value).count("does not take 'momentum'") == 1
    assert "(b).train.loss = 'foc'" in str(error.value)


@pytest.mark.skipif(any(map(find_spec, ("apex", "bitsandbytes"))), reason="its optimizers may be used")
def test_an_optimizer_without_its_library_is_reported_with_the_same_method_in_timm() -> None:
    known = libraries.timm_optimizers()
    foreign = [name for name, place in known.items() if place.startswith(("apex.", "bitsandbytes."))]
    assert len(foreign) > 10
    for name in foreign:
        (line,) = errors_of({"train": {"optimizer": f"lookahead_{name}" if name == "fusedlamb" else name}})
        plain = name.removeprefix("fused").removeprefix("bnb").removesuffix("8bit")
        advice = f"Use {plain}, the same method in torch or timm" if plain in known else "Choose another, e.g. adamw"
        assert "its library is not installed. It needs a GPU and" in line
        assert line.endswith(advice)


def test_optimizers_read_from_timm_s_files_hold_all_that_timm_lists() -> None:
    from timm.optim import list_optimizers

    listed = set(list_optimizers())
    assert len(listed) > 50
    assert listed - set(libraries.timm_optimizers()) == libraries.SECOND_ORDER


def test_the_teacher_depends_on_method_and_weights_of_its_models_and_not_on_a_weight_that_is_the_default() -> None:
    def teaching(**ensemble: Any) -> Any:
        return slices.teaching(parse({**BASE, "data": CSV, "ensemble": ensemble}), ["a", "b"])

    assert teaching() == {"weights": {}, "settings": {"method": "probability"}}
    assert teaching(weights={"a": 1}) == teaching()
    assert teaching(weights={"a": 0.5}, method="rank") == {"weights": {"a": 0.5}, "settings": {"method": "rank"}}
    of_another = parse({**BASE, "data": CSV, "ensemble": {"weights": {"a": 2}}})
    assert slices.teaching(of_another, ["b", "c"])["weights"] == {}
    assert slices.teaching(of_another, ["a"])["weights"] == {}, "a sole teacher"


def test_slices_name_only_what_their_stage_depends_on() -> None:
    config = parse({**BASE, "models": small(train={"lr": 0.5}), "train": {"epochs": 9}})
    assert slices.learning(config, "a")["train"]["lr"] == 0.5
    assert "train" not in slices.network(config, "a")
    assert slices.network(config, "a")["size"] == [8, 8]
    assert plan_of(config).specs["a"] == "8x8-squash"
    assert "loader_workers" not in slices.runtime(config)
    assert json.loads(json.dumps(slices.learning(config, "a"))) == slices.learning(config, "a"), "plain builtins only"


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("true", True),
        ("null", None),
        ("2026-11-22", "2026-11-22"),
        ("a: b: c", "a: b: c"),
        ({"lr": "0.1", "epochs": "3", "ema": "false"}, {"lr": 0.1, "epochs": 3, "ema": False}),
        (["hflip", {"size": ["12", "16"]}], ["hflip", {"size": [12, 16]}]),
        (0.5, 0.5),
    ],
)
def test_values_of_the_command_line_are_those_of_a_file(given: Any, known: Any) -> None:
    assert typed(given) == known


def test_a_metric_reaches_the_training_only_where_it_chooses_the_epoch() -> None:
    def watched(checkpoint: str, metric: Any) -> dict[str, Any]:
        train = {"checkpoint": checkpoint}
        return slices.watched(parse({**BASE, "train": train, **({"metric": metric} if metric else {})}), "a")

    assert watched("last", "roc_auc") == watched("last", "log_loss") == watched("last", None)
    assert watched("best", "roc_auc")["metric"] == "roc_auc"
    own = {"goldfold.metrics.classification:f1_macro": {}}
    assert watched("last", own) == watched("last", None)
    assert watched("best", own)["metric"] == "goldfold.metrics.classification:f1_macro"
    assert set(watched("last", None)["reported"]) == set(tasks.facts("classification").reported) - {"accuracy"}


def test_a_quick_look_is_short_and_has_a_folder_of_its_own() -> None:
    train = {"epochs": 90, "batch_size": 64, "lr": 0.1}
    own = {**SMALL, "train": {"epochs": 50, "optimizer": "sgd"}}
    values = {
        **BASE, "train": train, "models": [own], "seeds": [3, 4], "folds": {"n_folds": 7, "tolerance": 0.1},
        "pseudo_labels": {"rounds": 2}, "submission": {"sample": "s.csv"},
    }  # fmt: skip
    before = copy.deepcopy(values)
    quick = parse({**values, "quick": True})
    assert values == before
    made = quick.models[0].train
    assert (quick.results, quick.seeds, quick.folds.n_folds, len(quick.every_round)) == ("results/t-quick", [3], 2, 2)
    assert (made.epochs, made.batch_size, made.lr, made.optimizer) == (1, 16, 0.1, "sgd")
    assert (quick.submission.sample, quick.folds.tolerance, quick.report.shift) == (None, None, False)
    assert slices.manifest(quick)["most_rows"] == 64
    assert "most_rows" not in slices.manifest(parse(BASE))


def test_cycles_of_a_quick_run_have_equal_lengths_in_an_epoch_each() -> None:
    growing = {"epochs": 62, "snapshots": 5, "schedule": {"cosine": {"cycles": 5, "cycle_mult": 2, "min_lr": 1e-5}}}
    for values in ({"train": growing}, {"models": small(train=growing)}):
        made = parse({**BASE, **values, "quick": True}).models[0].train
        assert (made.epochs, made.schedule) == (5, {"cosine": {"cycles": 5, "min_lr": 1e-5}})
        assert cycle_ends(made.schedule, 2 * made.epochs, 0) == [2, 4, 6, 8, 10]


def test_a_quick_look_weights_no_classes_by_name_as_its_images_may_lack_them() -> None:
    rounds = [{}, {"train": {"class_weights": {"3": 4}}}]
    settings = {"train": {"class_weights": {"3": 2}}, "rounds": rounds, "quick": True}
    config = parse({**BASE, **settings, "models": [{**SMALL, "train": {"class_weights": {"3": 3}}}]})
    assert [config.model("a", number).train.class_weights for number in (0, 1)] == [None, None]
    kept = parse({**BASE, "train": {"class_weights": "inverse_frequency"}, "quick": True})
    assert kept.models[0].train.class_weights == "inverse_frequency"


def test_a_quick_look_keeps_folds_that_the_data_give() -> None:
    data = {"source": "csv", "train": "t.csv", "images": "i", "fold_column": "fold"}
    values = {**BASE, "data": data, "folds": {"n_folds": 7, "splitter": "predefined"}, "quick": True}
    assert parse(values).folds.n_folds == 7
    with pytest.raises(ConfigError, match="train = 'fast': write a section, "):
        parse({**BASE, "train": "fast", "quick": True})


def test_problems_of_trials_have_the_keys_of_switches_and_rounds() -> None:
    rounds = [{}, {"train": {"augment": ["HorizontalFlip"], "class_weights": {"3": 2}}}]
    weighted = {"train": {"class_weights": {"7": 2}}}
    steps = ["average", {"unknown": {"label": "nwe"}}]
    values = {**BASE, "rounds": rounds, "ablate": {"x": {"train": {"lr": 0.1}}}, "ensemble": steps}
    config = parse({**values, "models": small(**weighted)})
    found = {
        as_written(problem, one["written"]) for one in slices.network_checks(config)
        for problem in ("train.augment = 1", "train.lr = 2", "train.augmented")
    }  # fmt: skip
    assert found == {
        "models (a): train.augment = 1", "models (a): train.lr = 2", "models (a): train.augmented",
        "ablate.x (with a): train.augment = 1", "ablate.x (with a): train.lr = 2", "ablate.x (with a): train.augmented",
        "rounds[1].train.augment = 1",
    }  # fmt: skip
    assert with_classes.settings(config)["weighted_classes"] == {
        "models (a).train.class_weights": ["7"], "ablate.x (with a).train.class_weights": ["7"],
        "rounds[1].train.class_weights": ["3"], "ensemble: unknown.label": ["nwe"],
    }  # fmt: skip
