"""The catalog and the grammar of components: names, parameters, what is refused before any job."""

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from goldfold import catalog, components, plain_types, signatures, tasks
from goldfold.base.errors import ConfigError
from goldfold.components import Kind, problems
from goldfold.config import chosen, kinds, load, parse
from goldfold.config.libraries import albumentations_transforms, timm_optimizers
from goldfold.inference import views
from goldfold.losses import classification, combined
from goldfold.metrics import Metric
from goldfold.metrics.classification import Labelled
from goldfold.optim import build_optimizer, build_schedule
from goldfold.samples import transforms
from test_config import BASE

pytestmark = pytest.mark.usefixtures("in_tmp")


def entries() -> Iterator[tuple[str, str]]:
    """(kind and name, place) of everything in the catalog."""
    for kind, names in vars(catalog).items():
        if (
            kind.isupper()
            and kind[0] != "_"
            and isinstance(names, dict)
            and kind not in ("LATE_PARAMS", "OWN_TRAINER", "TASKS", "FACETS")
        ):
            for name, value in names.items():
                for inner, place in value.items() if isinstance(value, dict) else [(name, value)]:
                    yield f"{kind} {name} {inner}", place


EVERY = dict(entries())


def test_the_catalog_names_each_kind() -> None:
    """Besides tasks, which are packages of facets, see test_dense_tasks."""
    assert len(EVERY) > 90
    assert {name.split()[0] for name in EVERY} == {
        "NETWORKS", "LOSSES", "METRICS", "ENSEMBLES", "SCHEDULES", "UPDATES", "HOOKS", "AUGMENTATIONS", "TURNS", "VIEWS",
        "SPLITTERS", "SOURCES", "FUSIONS", "POSTPROCESSING", "DEMOS", "CLASS_WEIGHTS", "POOLINGS", "SAMPLERS", "MIXES", "PRESETS",
        "DISTILLATIONS", "FIXMATCH", "INVERTED", "GENERATORS", "AGGREGATIONS", "HEADS",
    }  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_a_signature_read_from_the_source_is_that_of_the_loaded_function(name: str) -> None:
    loaded, read = components.at(EVERY[name], name), signatures.read(EVERY[name])
    function = loaded.function if isinstance(loaded, Metric) else loaded
    if not callable(function):  # a view without parameters
        return
    taken = inspect.signature(function).parameters
    bound = set(getattr(function, "keywords", ()))
    expected = [p.name for p in taken.values() if p.kind.name not in ("VAR_POSITIONAL", "VAR_KEYWORD")]
    assert [part.name for part in read.parameters] == [part for part in expected if part not in bound]
    assert read.takes_any == any(p.kind.name == "VAR_KEYWORD" for p in taken.values())


def test_a_default_that_is_a_constant_of_its_module_is_shown_by_its_value(in_tmp: Path) -> None:
    Path("constants.py").write_text(
        "WIDTHS = (1, 2)\nSHARE: float = 1 / 16\nMADE = list('ab')\n"
        "def f(a=WIDTHS, b=SHARE, c=MADE, d=None, e=print): ...\n"
    )
    clear()
    sys.path.insert(0, str(in_tmp))
    try:
        defaults = [part.default for part in signatures.read("constants:f").parameters]
    finally:
        sys.path.remove(str(in_tmp))
    assert defaults == ["(1, 2)", "1 / 16", "MADE", "None", "print"]


@pytest.mark.parametrize(
    ("target", "name"), [(target, name) for target, names in catalog.LOSSES.items() for name in names]
)
def test_every_loss_fits_the_way_it_is_called(target: str, name: str) -> None:
    assert list(problems(name, kinds.LOSSES[target], catalog.LOSSES[target])) == []


@pytest.mark.parametrize(
    ("target", "name"), [(target, name) for target, names in catalog.METRICS.items() for name in names]
)
def test_every_metric_and_way_to_fuse_fits_the_way_it_is_called(target: str, name: str) -> None:
    assert list(problems(name, kinds.METRICS[target], catalog.METRICS[target])) == []
    for method in catalog.ENSEMBLES.get(target, {}):
        assert list(problems(method, kinds.METHODS[target], catalog.ENSEMBLES[target])) == []


OWN = """
def own_loss(logits, target, gamma, beta=1.0):
    return logits.sum(dim=1)

def own_any(logits, target, **more):
    return logits.sum(dim=1)

def own_short(logits):
    return logits.sum(dim=1)

class Own:
    def __init__(self, logits, target, beta=1): ...

from functools import partial
bound = partial(own_loss, gamma=2)
CONSTANT = 3
"""
LABEL = (kinds.LOSSES["label"], catalog.LOSSES["label"])


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("focl", "nearest is 'focal'; allowed: cross_entropy, focal, bce, class_balanced, "),
        ({"focal": {"gama": 3}}, "focal does not take 'gama'; nearest is 'gamma'; its parameters: gamma"),
        ({"cross_entropy": {"gamma": 3}}, "cross_entropy does not take 'gamma'; its parameters: none"),
        ({"focal": {"logits": 3}}, "focal does not take 'logits'; its parameters: gamma"),
        ("own:own_loss", "own:own_loss needs 'gamma'; write {own:own_loss: {gamma: ...}}"),
        ("own:own_los", "module 'own' (own.py) has no 'own_los'; nearest is 'own_loss'; it has own_loss, own_any,"),
        ("cosine", "is a schedule; allowed: cross_entropy, focal"),
        ("own:own_short", "takes 1 argument, but a loss is called with (logits, target)"),
        ("nowhere:loss", "there is no module 'nowhere'; looked for in "),
        ("own_folder.nowhere:loss", "there is no module 'own_folder.nowhere'; looked for in "),
        ("own_broken:own_loss", "module 'own_broken' (own_broken.py, line 2) is not valid Python: "),
        ("own:CONSTANT", "'CONSTANT' of module 'own' (own.py) is 3, which cannot be called"),
        ({"focal": 3, "cross_entropy": {}}, "write a name, or {name: {parameter: value}}"),
        ({"own:own_loss": {"gamma": 1, "bta": 2}}, "own:own_loss does not take 'bta'; nearest is 'beta'; its"),
    ],
)
def test_a_component_that_cannot_be_built_is_refused_without_loading_it(
    written: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(OWN + "\nraise SystemExit('loaded')\n")
    (tmp_path / "own_broken.py").write_text("\ndef own_loss(:")
    (tmp_path / "own_folder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    clear()
    found = list(problems(written, *LABEL))
    assert len(found) == 1
    assert said in found[0]


def clear() -> None:
    for function in (signatures.read, signatures._file, signatures._tree):
        function.cache_clear()


@pytest.mark.parametrize(
    "written",
    [
        {"own:own_loss": {"gamma": 1}}, {"own:own_any": {"whatever": 1}}, "own:bound", {"own:Own": {"beta": 2}}, "focal",
        {"focal": None}, {"focal": {}},
    ],
)  # fmt: skip
def test_a_component_that_fits_is_accepted(written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    clear()
    assert list(problems(written, *LABEL)) == []


def config(**changes: Any) -> Any:
    values = {
        "name": "x", "data": {"source": "digits"}, "models": [{"name": "a", "network": "small_resnet", "image_size_px": 8}],
    }  # fmt: skip
    return parse({**values, **changes})


def test_each_key_takes_parameters_in_one_grammar() -> None:
    made = config(
        metric="log_loss", tta=["identity", {"shift_left": {"share": 0.1}}], ensemble={"method": {"rank": {}}},
        folds={"splitter": {"stratified": {}}},
        train={
            "loss": {"focal": {"gamma": 3, "weight": 0.5}, "cross_entropy": 1}, "optimizer": {"sgd": {"momentum": 0.8}},
            "schedule": {"cosine": {"min_lr": "1e-6"}},
            "augment": ["light", {"Rotate": {"limit": 30}}, {"OneOf": {"transforms": ["Blur", {"MedianBlur": {"p": 1}}]}}],
        },
        models=[{"name": "a", "network": {"small_resnet": {"widths": [8, 8]}}, "image_size_px": 8}],
    )  # fmt: skip
    train = made.models[0].train
    assert (made.ensemble.method, made.folds.splitter) == ("rank", "stratified")
    assert train.schedule == {"cosine": {"min_lr": 1e-6}}
    assert (made.models[0].network, made.models[0].params) == ("small_resnet", {"widths": [8, 8]})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": {"optimizer": {"adamw": {"momentum": 1}}}}, "adamw does not take 'momentum'; "),
        ({"train": {"schedule": {"cosine": {"min": 1}}}}, "cosine does not take 'min'; nearest is 'min_lr'"),
        ({"train": {"augment": [{"Rotate": {"limits": 1}}]}}, "Rotate does not take 'limits'; nearest is 'limit'"),
        ({"train": {"augment": ["Rotat"]}}, "nearest is 'Rotate'; allowed: "),
        ({"train": {"augment": [{"OneOf": {"transforms": ["Blr"]}}]}}, "nearest is 'Blur'"),
        ({"train": {"loss": {"focal": {"weight": 0}}}}, "focal: 0 is no weight; give a number above 0"),
        ({"train": {"loss": {"focal": [1]}}}, "focal: [1] is no weight; give a number above 0, or {parameter: value}"),
        ({"tta": [{"hflip": {"share": 1}}]}, "hflip does not take 'share'"),
        ({"metric": {"accuracy": {"beta": 1}}}, "accuracy does not take 'beta'"),
        ({"ensemble": {"method": {"rank": {"power": 1}}}}, "rank does not take 'power'"),
        ({"folds": {"splitter": {"group": {"x": 1}}}}, "group does not take 'x'"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused_with_the_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**changes)
    assert said in str(caught.value)


def test_optimizers_and_transforms_are_read_from_their_libraries_files() -> None:
    assert {"adamw", "sgd", "lamb", "lion"} <= set(timm_optimizers())
    adamw = [part.name for part in signatures.read(timm_optimizers()["adamw"]).parameters]
    assert adamw[:4] == ["params", "lr", "betas", "eps"]
    transforms = albumentations_transforms()
    assert len(transforms) > 90
    import albumentations as A

    assert [name for name in transforms if not hasattr(A, name)] == []
    assert [part.name for part in signatures.read(transforms["HorizontalFlip"]).parameters] == ["p"]


def test_a_new_entry_of_the_catalog_reruns_nothing(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = ["demo", "manifest", "folds", "cache", "train", "predict", "pseudo_label", "ensemble", "submit", "report"]
    one = load(repo / "config.yaml")
    before = {stage: chosen.places(one, stage, one.models[0].name) for stage in stages}
    for names in (*catalog.LOSSES.values(), *catalog.METRICS.values(), *catalog.ENSEMBLES.values(), catalog.VIEWS,
                  catalog.SCHEDULES, catalog.SPLITTERS, catalog.SOURCES, catalog.AUGMENTATIONS, catalog.TASKS,
                  catalog.HOOKS, catalog.UPDATES, catalog.DEMOS, catalog.CLASS_WEIGHTS, catalog.POOLINGS, catalog.SAMPLERS,
                  catalog.AGGREGATIONS, *catalog.MIXES.values(), *catalog.GENERATORS.values()):  # fmt: skip
        monkeypatch.setitem(names, "added", "goldfold.added:added")
    assert {stage: chosen.places(one, stage, one.models[0].name) for stage in stages} == before
    assert len(before["train"]) == 15


def test_parameters_reach_optimizer_schedule_and_transforms() -> None:
    model = torch.nn.Linear(2, 2)
    sgd = build_optimizer(model, {"sgd": {"momentum": 0.8, "nesterov": True}}, 0.1, 0.0)
    assert (sgd.defaults["momentum"], sgd.defaults["nesterov"]) == (0.8, True)
    assert build_optimizer(model, {"adamw": {"betas": [0.9, 0.95]}}, 0.1, 0.0).defaults["betas"] == (0.9, 0.95)
    schedule = build_schedule({"cosine": {"min_lr": 0.01}}, sgd, 100, 0)
    schedule.step(100)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.01)
    made = transforms.steps(["light", {"OneOf": {"transforms": [{"Blur": {"p": 1.0}}], "p": 0.2}}], (8, 8), 3, True)
    assert [type(one).__name__ for one in made] == ["Affine", "OneOf"]
    assert (made[1].p, made[1].transforms[0].p) == (0.2, 1.0)
    with pytest.raises(ConfigError, match="augmentation Rotate: "):
        transforms.steps([{"Rotate": {"limit": "far"}}], (8, 8), 3, True)


def test_a_weighted_sum_of_losses_with_parameters() -> None:
    logits, target = torch.randn(4, 3), torch.eye(3)[[0, 1, 2, 0]]
    wanted = {"focal": {"gamma": 3, "weight": 0.5}, "cross_entropy": 2}
    expected = 0.5 * classification.focal(logits, target, gamma=3) + 2 * classification.cross_entropy(logits, target)
    made = combined(catalog.LOSSES["label"], wanted)(logits, target)
    assert torch.equal(made.total, expected)
    assert list(made.parts) == ["focal(gamma=3)", "cross_entropy"]
    assert torch.equal(made.parts["focal(gamma=3)"], 0.5 * classification.focal(logits, target, gamma=3))
    listed = combined(catalog.LOSSES["label"], ["focal", {"focal": {"gamma": 3}}])(logits, target).total
    assert torch.allclose(listed, classification.focal(logits, target) + classification.focal(logits, target, gamma=3))
    assert combined(catalog.LOSSES["label"], "focal")(logits, target).parts == {}
    (twice,) = combined(catalog.LOSSES["label"], ["focal", "focal"])(logits, target).parts.values()
    assert torch.equal(twice, 2 * classification.focal(logits, target))


def test_the_parts_of_the_docs_train_score_and_fuse(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, settings = re.findall(r"```(?:python|yaml)\n(.*?)```", (repo / "docs/extending.md").read_text(), re.DOTALL)[
        :2
    ]
    (tmp_path / "mine.py").write_text(python)
    monkeypatch.syspath_prepend(str(tmp_path))
    clear()
    made = config(**yaml.safe_load(settings))
    train, task = made.models[0].train, tasks.facts("classification")
    logits, target = torch.randn(6, 3), torch.eye(3)[[0, 1, 2, 0, 1, 2]]
    assert combined(task.losses, train.loss)(logits, target).total.shape == (6,)
    metric = tasks.score({"name": "classification"}, ["a"]).metric(made.metric)
    assert metric.name == "top_k(k=3)"
    assert metric.value(Labelled(logits.softmax(1).numpy(), np.arange(6) % 3), np.arange(6)) == 1
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    build_schedule(train.schedule, optimizer, 100, 0).step(99)
    assert optimizer.param_groups[0]["lr"] == 0.5**3
    image = {"image": np.zeros((8, 8, 3), dtype=np.uint8)}
    assert transforms.Augment(train.augment, "none", (8, 8), 3)(image, 0)["image"].shape == (8, 8, 3)
    darker = views.build(made.tta)[1]
    assert darker.forward(torch.full((1, 3, 2, 2), 100, dtype=torch.uint8)).unique().tolist() == [70]
    fuse = components.load(made.ensemble.method, task.methods, "ensemble method")
    assert fuse(np.array([[[0.0]], [[1.0]], [[0.4]]]), [1, 1, 1]) == pytest.approx(0.4)
    assert {"mine:poly_cross_entropy", "mine:halves", "mine:grey"} <= set(chosen.places(made, "train", "a"))


def test_an_open_kind_asks_for_no_parameters() -> None:
    assert list(problems("goldfold.losses.classification:focal", Kind("component", is_open=True), {})) == []


# --- whole numbers


def _is_whole(part: signatures.Parameter) -> bool:
    return plain_types.allowed(part.annotation) - {"None"} == {"int"}


def test_a_fraction_a_bool_and_a_text_are_refused_for_every_parameter_that_is_a_whole_number() -> None:
    names = [(place, part) for place in EVERY.values() for part in signatures.read(place).parameters if _is_whole(part)]
    assert len(names) > 30
    for place, part in names:
        for value in (True, 2.5, "2", None):
            found = list(problems({place: {part.name: value}}, Kind("component", is_open=True), {}))
            is_none = value is None and ("None" in part.annotation or part.default == "None")
            assert found == ([] if is_none else [f"{part.name} = {value!r}: must be a whole number"]), place
        assert list(problems({place: {part.name: 2}}, Kind("component", is_open=True), {})) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": {"map_at_k": {"k": 2.5}}}, "metric = {'map_at_k': {'k': 2.5}}: k = 2.5: must be a whole number"),
        ({"metric": {"map_at_k": {"k": 2.0}}}, "k = 2.0: must be a whole number, written 2"),
        ({"ensemble": [{"boosted_stacking": {"trees": True}}]}, "trees = True: must be a whole number"),
        ({"ensemble": [{"hill_climbing": {"metric": {"map_at_k": {"k": 2.5}}}}]}, "k = 2.5: must be a whole number"),
        ({"tta": ["identity", {"random": {"augment": "light", "n": 1.5}}]}, "n = 1.5: must be a whole number"),
        ({"train": {"schedule": {"cosine": {"cycles": 1.5}}}}, "cycles = 1.5: must be a whole number"),
        ({"train": {"hooks": [{"early_stopping": {"patience": True}}]}}, "patience = True: must be a whole number"),
        ({"metric": {"own_metric:at": {"k": 1.5}}}, "k = 1.5: must be a whole number"),
        ({"train": {"loss": {"focal": {"gamma": "two"}}}}, "gamma = 'two': must be a number"),
        ({"ensemble": [{"stacking": {"penalty": "a"}}]}, "penalty = 'a': must be a number"),
        ({"train": {"hooks": [{"swa": {"start": "x"}}]}}, "start = 'x': must be a number"),
        ({"metric": {"own_metric:at": {"depth": 1.5}}}, "depth = 1.5: must be a whole number"),
    ],
)
def test_whole_numbers_are_checked_wherever_a_component_is_named(
    changes: dict[str, Any], said: str, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from typing import Optional\ndef at(p, y, k: int = 5, depth: 'Optional[int]' = None, share: float = 1): return 1.0\n"
    (in_tmp / "own_metric.py").write_text(code)
    monkeypatch.syspath_prepend(str(in_tmp))
    with pytest.raises(ConfigError, match=re.escape(said)):
        parse({**BASE, **changes})
    parse({**BASE, "metric": {"own_metric:at": {"k": 2, "depth": None, "share": 2.5}}})


@pytest.mark.parametrize(
    ("annotation", "refused", "wanted"),
    [
        ("int", [1.5, True, "2", None, 1e300], "a whole number"),
        (" int", [1.5], "a whole number"),
        ("int", [2.0], "a whole number, written 2"),
        *(
            (one, [1.5, True, "2"], "a whole number")
            for one in ("None | int", "typing.Optional[int]", "Union[int, None]")
        ),
        ("'int | None'", [1.5, True, "2"], "a whole number"),
        *((one, [True, "2", [1.0], None], "a number") for one in ("float", "int | float")),
        ("Optional[float]", [True, "2"], "a number"),
        ("bool", [1, 0.0, "yes", None], "true or false"),
    ],
)
def test_an_annotation_of_numbers_or_a_switch_refuses_others(annotation: str, refused: list[Any], wanted: str) -> None:
    part = signatures.Parameter("k", annotation=annotation)
    fit: list[Any] = [True, False] if annotation == "bool" else [2, -1] if "whole" in wanted else [2, 0.5]
    fit += [None] if "None" in annotation or "Optional" in annotation else []
    assert [plain_types.problem(value, part) for value in fit] == [""] * len(fit)
    assert [plain_types.problem(value, part) for value in refused] == [wanted] * len(refused)
    assert plain_types.problem("auto", replace(part, default="'auto'")) == ""


@pytest.mark.parametrize(
    "annotation",
    ["", "Any", "'not a type'", "not a type", " int |", "list[int]", "Sequence[int] | int", "Union[int, str]", "None"],
)
def test_other_annotations_refuse_nothing(annotation: str) -> None:
    part = signatures.Parameter("k", annotation=annotation)
    assert not any(plain_types.problem(value, part) for value in (1, 1.5, True, "a", None, [1]))
