import copy
import inspect
import json
import re
from typing import Any, get_args

import pytest

from goldfold.config import load, names, parse, slices
from goldfold.config.data import Csv, Data, Digits, Folder, Folds
from goldfold.config.learning import Train
from goldfold.config.root import Config, Ensemble, Metric, View
from goldfold.config.schema import schema
from goldfold.runtime.errors import ConfigError

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
        ["metrik: unknown key", "nearest is 'metric'", "allowed: data, ensemble, folds"],
    ),
    ("nested key", {"folds": {"n_fold": 3}}, ["folds.n_fold: unknown key", "nearest is 'n_folds'", "n_folds, seed"]),
    ("shared train key", {"train": {"epoch": 3}}, ["train.epoch: unknown key", "nearest is 'epochs'", "accumulate"]),
    (
        "model's train key",
        {"models": small(train={"leraning": 1, "epochs": 2})},
        ["models[0].train.leraning: unknown key", "allowed: accumulate"],
    ),
    ("model's key", {"models": small(backbon="x")}, ["models[0].backbon: unknown key", "nearest is 'backbone'"]),
    ("key of a source", {"data": {**CSV, "labels_column": "x"}}, ["data.labels_column", "nearest is 'label_column'"]),
    ("key of another source", {"data": {"source": "digits", "test": "x"}}, ["data.test: unknown key", "directory"]),
    ("Literal", {"metric": "acuracy"}, ["metric = 'acuracy'", "nearest is 'accuracy'", "'log_loss'"]),
    ("nested Literal", {"train": {"schedule": "cosin"}}, ["train.schedule = 'cosin'", "nearest is 'cosine'", "'poly'"]),
    ("Literal of numbers", {"data": {"source": "digits", "channels": 2}}, ["data.channels = 2", "allowed: 1 or 3"]),
    ("text for whole number", {"train": {"epochs": "3"}}, ["train.epochs = '3'", "valid integer"]),
    ("float for whole number", {"train": {"epochs": 3.5}}, ["train.epochs = 3.5", "valid integer"]),
    ("text for number", {"models": small(dropout="much")}, ["models[0].dropout = 'much'", "valid number"]),
    ("NaN", {"train": {"lr": float("nan")}}, ["train.lr = nan", "greater than 0"]),
    ("infinite", {"train": {"lr": float("inf")}}, ["train.lr = inf", "finite number"]),
    ("null for text", {"name": None}, ["name = None", "valid string"]),
    ("number out of range", {"train": {"label_smoothing": 1}}, ["train.label_smoothing = 1", "less than 1"]),
    ("text for section", {"train": "fast"}, ["train = 'fast'", "valid dictionary"]),
    ("name not a file name", {"name": "../x"}, ["name = '../x'", "match pattern"]),
    ("missing in a source", {"data": {"source": "csv", "train": "a"}}, ["data.images: missing; it must be given"]),
    ("missing in a model", {"models": [{"network": "small_resnet", "image_size_px": 8}]}, ["models[0].name: missing"]),
    (
        "no size and no backbone to bring one",
        {"models": [{"name": "a", "network": "small_resnet"}]},
        ["models[0] (a).image_size_px: missing", "only a timm backbone brings its own"],
    ),
    ("source", {"data": {"source": "cvs"}}, ["data.source = 'cvs'", "nearest is 'csv'", "'digits', 'folder', 'csv'"]),
    ("no source", {"data": {}}, ["data.source = None", "'digits', 'folder', 'csv'"]),
    ("data as text", {"data": "digits"}, ["data = 'digits'", "valid dictionary"]),
    ("no models", {"models": []}, ["models = []", "at least 1 item"]),
    ("models not a list", {"models": {"a": 1}}, ["models = {'a': 1}", "valid list"]),
    ("view", {"tta": ["identity", "hflipp"]}, ["tta[1] = 'hflipp'", "nearest is 'hflip'", "'zoom_out'"]),
    ("views twice", {"tta": ["hflip", "hflip"]}, ["tta: named more than once: hflip"]),
    ("no views", {"tta": []}, ["tta = []", "at least 1 item"]),
    ("seeds twice", {"seeds": [0, 1, 0]}, ["seeds: named more than once: 0"]),
    ("negative seed", {"seeds": [-1]}, ["seeds[0] = -1", "greater than or equal to 0"]),
    ("members of one name", {"models": [SMALL, SMALL]}, ["two members are named 'a'", "give each its own name"]),
    (
        "backbone",
        {"models": [{"name": "a", "backbone": "resnet19", "image_size_px": 32}]},
        ["models[0] (a).backbone = 'resnet19'", "nearest is 'resnet1", "timm.list_models"],
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
            "allowed: small_resnet, timm",
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
        ["data.group_column is set", "folds.splitter is 'stratified'", "use stratified_group or group"],
    ),
    ("predefined without column", {"folds": {"splitter": "predefined"}, "data": CSV}, ["needs data.fold_column"]),
    (
        "rounds without pools",
        {"data": CSV, "pseudo_labels": {"rounds": 1}},
        ["pseudo_labels.rounds", "no test or unlabeled images", "set rounds: 0"],
    ),
    (
        "odd batch with mixup",
        {"models": small(train={"batch_size": 33, "mixup_alpha": 0.2})},
        ["models[0] (a).train.batch_size = 33", "must be even with mixup"],
    ),
    (
        "odd batch with cutmix",
        {"models": small(train={"batch_size": 33, "cutmix_alpha": 1})},
        ["models[0] (a).train.batch_size = 33", "must be even with mixup or cutmix"],
    ),
    (
        "weight of no model",
        {"models": small(name="resnet"), "ensemble": {"weights": {"resnt": 1.0}}},
        ["ensemble.weights.resnt: no model of that name", "nearest is 'resnet'", "allowed: resnet"],
    ),
    ("weights all zero", {"ensemble": {"weights": {"a": 0.0}}}, ["ensemble.weights: all are zero", "positive"]),
    ("warm-up too long", {"train": {"epochs": 2, "warmup_epochs": 2}}, ["train: warmup_epochs 2 must be less than"]),
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


@pytest.mark.parametrize("key", ["name", "data", "models"])
def test_each_key_that_must_be_given_is_missed(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: missing; it must be given"):
        parse({name: value for name, value in BASE.items() if name != key})


def test_all_mistakes_are_told_at_once() -> None:
    lines = errors_of({"metrik": 1, "metric": "x", "folds": {"n_folds": 1}})
    assert sorted(line.split()[0] for line in lines) == ["folds.n_folds", "metric", "metrik:"]


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


def test_a_negative_ensemble_weight_is_told_in_one_line() -> None:
    lines = errors_of({"ensemble": {"weights": {"a": -1.0}}})
    assert lines == ["ensemble.weights.a = -1.0: must not be negative"]


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
    assert config.rounds == list(range(config.pseudo_labels.rounds + 1))


def test_splits_follow_the_data() -> None:
    with_pools = {**CSV, "test": "te.csv", "unlabeled": "pool"}
    assert parse({**BASE, "data": CSV}).splits == ["train"]
    config = parse({**BASE, "data": with_pools, "pseudo_labels": {"rounds": 1, "sources": ["unlabeled"]}})
    assert config.splits == ["train", "test", "unlabeled"]
    assert config.pseudo_sources == ["unlabeled"]


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


def test_choices_in_the_config_are_the_keys_of_the_registries() -> None:
    from goldfold.data.sources import SOURCES
    from goldfold.data.splits import SPLITTERS
    from goldfold.data.transforms import FLIPS, PRESETS
    from goldfold.ensembling import METHODS
    from goldfold.inference.views import VIEWS
    from goldfold.losses import LOSSES
    from goldfold.metrics import METRICS
    from goldfold.models import MODELS
    from goldfold.optim import SCHEDULES
    from goldfold.tasks import TASKS

    sources = {next(iter(field(kind, "source"))) for kind in get_args(get_args(Data)[0])}
    pairs = {
        "metrics": (literals(Metric), METRICS),
        "losses": (field(Train, "loss"), LOSSES),
        "schedules": (field(Train, "schedule"), SCHEDULES),
        "views": (literals(View), VIEWS),
        "splitters": (field(Folds, "splitter"), SPLITTERS),
        "sources": (sources, SOURCES),
        "methods": (field(Ensemble, "method"), METHODS["probabilities"]),
        "presets": (field(Train, "augment"), PRESETS),
        "flips": (field(Train, "flips"), FLIPS),
        "networks": (set(names.NETWORKS), MODELS),
        "tasks": (field(Config, "task"), TASKS),
    }
    assert len(pairs) == 11
    for name, (choices, registry) in pairs.items():
        assert choices == set(registry), name
        assert len(choices) == len(registry) > 0, name


def test_networks_that_take_a_backbone_are_marked_so() -> None:
    from goldfold.models import MODELS

    parameters = {name: inspect.signature(builder).parameters for name, builder in MODELS.items()}
    for fact, parameter in (("has_backbone", "backbone"), ("has_drop_path", "drop_path")):
        takes = {name: parameter in found for name, found in parameters.items()}
        assert takes == {name: getattr(network, fact) for name, network in names.NETWORKS.items()}, fact


@pytest.mark.parametrize("kind", [Digits, Folder, Csv])
def test_a_source_takes_exactly_the_settings_that_the_manifest_hands_it(kind: Any) -> None:
    from goldfold.data.sources import SOURCES

    source = next(iter(field(kind, "source")))
    given = {name: "x" for name, entry in kind.model_fields.items() if entry.is_required() and name != "source"}
    handed = slices.manifest(parse({**BASE, "data": {"source": source, **given}}))["source"]
    assert set(handed) - {"source"} == set(inspect.signature(SOURCES[source]).parameters)


def test_backbones_read_from_timm_s_files_are_those_that_timm_lists() -> None:
    import timm

    listed = set(timm.list_models())
    assert len(listed) > 1000
    assert names.timm_backbones() == listed


def test_optimizers_read_from_timm_s_files_hold_all_that_timm_lists() -> None:
    from timm.optim import list_optimizers

    listed = set(list_optimizers())
    assert len(listed) > 50
    assert listed - names.timm_optimizers() == names.SECOND_ORDER


def test_slices_name_only_what_their_stage_depends_on() -> None:
    config = parse({**BASE, "models": small(train={"lr": 0.5}), "train": {"epochs": 9}})
    assert slices.learning(config, "a")["train"]["lr"] == 0.5
    assert "train" not in slices.network(config, "a")
    assert slices.network(config, "a")["size"] == [8, 8]
    assert slices.cache_spec(config, "a") == "8x8-squash"
    assert "loader_workers" not in slices.runtime(config)
    assert json.loads(json.dumps(slices.learning(config, "a"))) == slices.learning(config, "a"), "plain builtins only"
