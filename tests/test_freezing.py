"""Parts of a network that are not trained, and unfreezing by epoch."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conftest import PLACE, Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError
from goldfold.config import parse
from goldfold.engine.depth import layers, stages
from goldfold.engine.hooks.freezing import Freezing
from goldfold.engine.parts import backbone
from goldfold.engine.state import Training
from goldfold.models import build
from goldfold.models.wrapping import Normalised
from goldfold.optim import build_optimizer
from goldfold.optim.freezing import first_epochs, frozen_parts, table
from goldfold.training.learner import network_of
from goldfold.training.spec import read
from jobs import bytes_of
from test_resume import run_until

STEPS = [[0, "backbone"], [1, {"first": 1}], [3, "none"]]
"""The backbone of a tiny network, which has two stages; then its first stage; then nothing."""


def network_of_kind(network: str, backbone: str | None, size: int = 64) -> torch.nn.Module:
    more = {} if backbone is None else {"backbone": backbone}
    with torch.device("meta"):
        return Normalised(build(network, n_classes=3, in_channels=3, image_size=(size, size), **more), 3)


@pytest.mark.parametrize(
    ("network", "backbone_of_it", "n", "second", "beyond"),
    [
        ("small_resnet", None, 4, "network.stages.1.0.body.0.weight", 0),
        ("timm", "test_resnet", 4, "network.layer2.0.conv1.weight", 0),
        ("timm", "test_convnext", 4, "network.stages.1.downsample.0.weight", 2),
        ("timm", "test_vit", 6, "network.blocks.1.attn.qkv.weight", 0),
        ("timm", "mobilenetv3_small_050", 6, "network.blocks.1.0.conv_pw.weight", 2),
        ("unet", "test_resnet", 4, "network.encoder.model.layer2.0.conv1.weight", 0),
        ("unet", "test_convnext", 4, "network.encoder.model.stages_1.downsample.0.weight", 0),
        ("unet", "test_efficientnet", 5, "network.encoder.model.blocks.1.0.conv_exp.weight", 0),
        ("dpt", "test_vit", 6, "network.encoder.model.blocks.1.attn.qkv.weight", 0),
        ("fcos", "test_resnet", 4, "network.model.backbone.body.layer2.0.conv1.weight", 0),
    ],
)
def test_stages_of_each_kind_of_network_are_counted_from_its_input(
    network: str, backbone_of_it: str | None, n: int, second: str, beyond: int
) -> None:
    model = network_of_kind(network, backbone_of_it, 160 if backbone_of_it == "test_vit" else 64)
    found, body = stages(model), backbone(model)
    assert len(found) == n
    assert second in found[1]
    first = next(name for name, _ in model.named_parameters() if name in body)
    assert first in found[0], "the stem belongs to the first stage"
    assert sum(map(len, found)) + beyond == len(body), "stages share nothing"


def test_layers_of_a_backbone_that_returns_features_are_those_of_the_whole_network() -> None:
    inner, (whole, last), (found, _) = (
        "network.encoder.model.", layers(network_of_kind("timm", "test_convnext")),
        layers(network_of_kind("unet", "test_convnext")),
    )  # fmt: skip
    assert {name.removeprefix(inner).replace("stages_", "stages.").replace("stem_", "stem.") for name in found} == {
        name.removeprefix("network.") for name in whole if not name.startswith("network.head")
    }
    assert found[f"{inner}stages_2.blocks.0.mlp.fc1.weight"] == whole["network.stages.2.blocks.0.mlp.fc1.weight"] < last


def small(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build("small_resnet", n_classes=3, in_channels=3, image_size=(8, 8), widths=(4, 6, 8))


def test_what_is_frozen_and_from_when_it_is_trained() -> None:
    model = small()
    begins = first_epochs(model, [(0, "backbone"), (2, {"all_but_last": 1}), (5, {"first": 1})])
    assert begins["stem.0.weight"] == begins["stages.0.0.body.0.weight"] == -1
    assert begins["stages.1.0.body.0.weight"] == 5
    assert begins["stages.2.0.body.0.weight"] == 2
    assert begins.keys() == backbone(model)
    assert first_epochs(model, []) == {}


@pytest.mark.parametrize(
    ("freeze", "said"),
    [
        ([(0, {"first": 4})], "freeze: first: 4: the backbone has 3 stages; give at most 3"),
        ([(0, {"all_but_last": 3})], "all_but_last: 3: the backbone has 3 stages; give at most 2, since training the last"),
        ([(0, {"first": 1}), (2, {"all_but_last": 1})], "all_but_last: 1 from epoch 2 on freezes parts that were trained"),
        ([(0, {"first": 2}), (2, {"all_but_last": 1})], "all_but_last: 1 from epoch 2 on freezes what was frozen before"),
    ],
)  # fmt: skip
def test_stages_that_there_are_not_and_freezing_again_are_refused(freeze: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        frozen_parts(small(), freeze)


def test_networks_that_do_not_say_their_parts_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"freeze: it is not known where the head .* get_classifier"):
        frozen_parts(torch.nn.Linear(2, 2), [(0, "backbone")])
    with pytest.raises(
        ConfigError, match=r"first: 1: the network does not say which stages it has; .* freeze: backbone"
    ):
        frozen_parts(network_of_kind("timm", "caformer_s18"), [(0, {"first": 1})])


@pytest.mark.parametrize("name", ["adamw", "lamb", "sgd", "lion", "lookahead_radam"])
def test_the_optimizer_treats_unfrozen_parameters_as_new_ones(name: str) -> None:
    """LAMB counts its steps by group, also those in which no parameter of the group had a gradient."""
    wanted = {name: {"max_grad_norm": None}} if name == "lamb" else name

    def stepped(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        for value in model.parameters():
            if value.requires_grad:
                value.grad = torch.ones_like(value)
        optimizer.step()

    model, training = small(), Training(torch.nn.Identity())
    freeze = [(0, "backbone"), (1, {"first": 1})]
    optimizer = build_optimizer(model, wanted, 0.1, 0.3, freeze=freeze)
    hook = Freezing(model, optimizer, frozen_parts(model, freeze), list)
    hook.before_epoch(training)
    for _ in range(6):
        stepped(model, optimizer)
    training.history = [{}]
    hook.before_epoch(training)
    hook.before_epoch(training)  # as after a resume
    other = small()
    fresh = build_optimizer(other, wanted, 0.1, 0.3)
    for _ in range(2):
        stepped(model, optimizer)
        stepped(other, fresh)
    kept = small().state_dict()
    for place, value in model.state_dict().items():
        if place.startswith(("stages.1", "stages.2")):
            assert torch.equal(value, other.state_dict()[place]), place
        elif not place.startswith("head"):
            assert torch.equal(value, kept[place]), place


def frozen_model(tiny: Tiny, freeze: Any, **train: Any) -> dict[str, Any]:
    """Settings of a training that freezes random weights, which a config does not allow."""
    made = tiny.model(train)
    return {**made, "train": {**made["train"], "freeze": freeze}}


def initial(tiny: Tiny, model: dict[str, Any]) -> dict[str, torch.Tensor]:
    spec = read(model, "squash", 3, PLACE)
    return network_of(spec, tasks.infer(tiny.task, tiny.classes)).state_dict()


@pytest.mark.parametrize(
    ("kind", "what", "settings"),
    [
        ("tiny", "backbone", {"clip_norm": 0.1, "update": "sam"}),
        ("tiny", {"first": 1}, {"ema_decay": 0.9, "accumulate": 2}),
        ("tiny", {"all_but_last": 1}, {"swa": {"start": 0.5}, "epochs": 4}),
        ("tiny", {"first": 2}, {"fixmatch": {"sources": ["unlabeled"], "mu": 1, "renew_epochs": 1, "threshold": 0.0}}),
        ("tiny_masks", {"first": 2}, {}),
        ("tiny_boxes", "backbone", {}),
    ],
)
def test_frozen_weights_and_statistics_keep_their_bytes_and_the_rest_is_trained(
    kind: str, what: Any, settings: dict[str, Any], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tiny: Tiny = request.getfixturevalue(kind)
    model = frozen_model(tiny, [[0, what]], weight_decay=0.5, **settings)
    unlabeled = {"unlabeled": [str(tiny.folds / "unlabeled.csv")], "caches": tiny.caches("train", "unlabeled")}
    tiny.train(tmp_path, model=model, **(unlabeled if "fixmatch" in settings else {}))
    before, after = initial(tiny, model), load_file(tmp_path / "model.safetensors")
    network = network_of(read(model, "squash", 3, PLACE), tasks.infer(tiny.task, tiny.classes))
    frozen = frozen_parts(network, [(0, what)])[0][1]
    buffers = {
        f"{place}.{name}"
        for place, layer in network.named_modules()
        for name, _ in layer.named_buffers(recurse=False)
        if f"{place}.weight" in frozen
    }
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert len(buffers) > 8
    assert frozen | buffers <= same
    assert {name for name, _ in network.named_parameters()} & same == frozen
    if "swa" in settings:
        assert {name for name in before if name.endswith("running_mean")} - same, "of layers that are trained"


def test_a_run_killed_around_an_unfreezing_ends_with_the_same_bytes(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four steps per epoch; unfreezing before steps 5 and 13."""
    how = {"epochs": 4, "batch_size": 5, "optimizer": "lamb", "ema_decay": 0.5, "layer_decay": 0.5}
    model = frozen_model(tiny, STEPS, **how)
    found = tiny.train(tmp_path / "whole", model=model)
    n = found["freeze"]
    assert [row["epoch"] for row in n] == [0, 1, 3]
    assert n[0]["frozen"] > n[1]["frozen"] > n[2]["frozen"] == 0
    log = capsys.readouterr().out
    assert [line for line in log.splitlines() if line.startswith("from epoch")] == [
        "from epoch 0 on:", "from epoch 1 on:", "from epoch 3 on:",
    ]  # fmt: skip
    for step in (2, 5, 6, 12, 13, 14, 16):
        folder = tmp_path / str(step)
        run_until(step, tiny, folder, model=model)
        assert tiny.train(folder, model=model)["resumed_at_step"] == [step - 1]
        assert bytes_of(folder) == bytes_of(tmp_path / "whole"), step


def test_the_log_has_parameters_and_rates_of_each_part() -> None:
    model = small()
    freeze = [(0, {"first": 1})]
    optimizer = build_optimizer(model, "adamw", 0.1, 0.3, layer_decay=0.5, lr_scale={"head": 10.0}, freeze=freeze)
    lines = [line.split() for line in table(model, optimizer.param_groups, 0.1)]
    assert [line[:2] for line in lines[1:-1]] == [["stage", "1"], ["stage", "2"], ["stage", "3"]]
    rows = {" ".join(line[:-3]) or line[0]: line[-3:] for line in lines[1:]}
    n = [
        sum(value.numel() for name, value in model.named_parameters() if name.startswith(place))
        for place in ("st", "h")
    ]
    assert rows["head"] == [str(n[1]), str(n[1]), "1"]
    assert rows["stage 1"][1:] == ["0", "-"]
    assert rows["stage 3"][1:] == [rows["stage 3"][0], "0.05"]
    assert rows["stage 2"][1:] == [rows["stage 2"][0], "0.025"]
    assert sum(int(row[0].replace(",", "")) for row in rows.values()) == sum(n)


def values_of(freeze: Any, pretrained: Any = True, **train: Any) -> dict[str, Any]:
    model = {"name": "m", "backbone": "test_resnet", "image_size_px": 64, "pretrained": pretrained}
    settings = {"epochs": 6, "freeze": freeze, **train}
    return {"name": "t", "data": {"source": "folder", "train": "raw"}, "models": [model], "train": settings}


@pytest.mark.parametrize(
    ("freeze", "said"),
    [
        ("all", "'all' leaves nothing to train; write backbone"),
        ("head", "write backbone .trains the head alone., .first: 2. or .all_but_last: 1. stages"),
        ({"first": 0}, "write backbone"),
        ({"first": 1, "all_but_last": 1}, "write backbone"),
        ([], "write backbone"),
        ("none", "nothing is frozen in epoch 0"),
        ([[1, "backbone"]], "begins with epoch 1; the first pair must be of epoch 0"),
        ([[0, "backbone"], [0, "none"]], "epoch 0 follows epoch 0; list the epochs in order"),
        ([[0, {"first": 2}], [2, "backbone"]], "backbone from epoch 2 on freezes as much as first: 2 before, or more"),
        (
            [[0, {"first": 2}], [2, {"first": 3}]],
            "first: 3 from epoch 2 on freezes as much as first: 2 before, or more",
        ),
        ([[0, {"all_but_last": 2}], [2, {"all_but_last": 1}]], "all_but_last: 1 from epoch 2 on freezes as much"),
        ([[0, "backbone"], [6, "none"]], "freeze: epoch 6 is never reached, since epochs is 6; epochs count from 0"),
    ],
)
def test_what_makes_no_sense_is_refused(freeze: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(values_of(freeze))


def test_two_ways_of_freezing_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"freeze: lr_scale: \{backbone: 0\} keeps the backbone's weights in all epochs"
    ):
        parse(values_of("backbone", lr_scale={"backbone": 0}))


def test_random_weights_are_not_frozen() -> None:
    message = r"models\[0\] \(m\)\.train\.freeze: pretrained is false and it is trained from scratch, so random weights"
    with pytest.raises(ConfigError, match=message):
        parse(values_of("backbone", pretrained=False))
    for rounds, problem in ((["scratch", "previous"], ""), (["scratch", "scratch"], "round 1 starts it from scratch")):
        listed = [{}, {"start": rounds[1], "train": {"freeze": "backbone"}}]
        with pytest.raises(ConfigError, match=f"pretrained is false and {problem}") if problem else nullcontext():
            parse({**values_of(None, pretrained=False), "rounds": listed})


def test_a_quick_run_freezes_what_is_frozen_at_first() -> None:
    from goldfold.config.quick import shortened

    values = {"train": {"freeze": STEPS}, "models": [{"name": "m", "train": {"freeze": STEPS}}], "rounds": [{}]}
    short = shortened(values)
    assert short["train"]["freeze"] == short["models"][0]["train"]["freeze"] == STEPS[:1]
