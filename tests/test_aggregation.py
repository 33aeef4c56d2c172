"""Images of a case that become one output: attention, concatenation, recurrent networks and transformers over views."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from goldfold import catalog, components
from goldfold.base.errors import ConfigError
from goldfold.cases import Inputs
from goldfold.engine.parts import backbone, output_layers
from goldfold.models import aggregation
from goldfold.models.case_head import case_head
from goldfold.models.features import Heard, head_of
from goldfold.models.fusion import Branch
from goldfold.models.small_resnet import build
from goldfold.models.wrapping import Normalised
from whole_task import classification

LAYERS = [name for name in catalog.AGGREGATIONS if name != "mean"]
WEIGHTED = [name for name in LAYERS if name != "concat"]
PRESENT = torch.tensor([[True, True, True], [True, False, False], [False, True, True], [True, False, True]])
N = 8


def layers(name: str, **params: Any) -> nn.Module:
    """Layers of an aggregation with fixed weights, of cases with three images."""
    torch.manual_seed(0)
    more = {"n_views": 3} if name == "concat" else {}
    written = {name: {**more, **params}}
    made: nn.Module = components.load(written, catalog.AGGREGATIONS, "aggregation of views")(N)
    return made.eval()


def features(present: Tensor = PRESENT) -> Tensor:
    """Random features of images, 0 where they are missing."""
    found = torch.randn(*present.shape, N, generator=torch.Generator().manual_seed(1))
    return found * present.unsqueeze(-1)


def weights_of(made: nn.Module) -> list[Tensor]:
    """List that receives the weights of the images in each pass."""
    found: list[Tensor] = []
    for part in made.modules():
        if isinstance(part, aggregation.Weights):
            part.register_forward_hook(lambda _, inputs, weights: found.append(weights))
    return found


def test_every_aggregation_is_tried() -> None:
    assert LAYERS == ["attention", "concat", "lstm", "transformer"]


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_sum_to_one_over_the_images_that_are_present(name: str) -> None:
    made = layers(name)
    found = weights_of(made)
    made(features(), PRESENT)
    (weights,) = found
    assert (weights > 0).tolist() == PRESENT.tolist()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))
    assert weights[1].tolist() == [1, 0, 0]


@pytest.mark.parametrize("name", LAYERS)
def test_what_stands_for_a_missing_image_changes_no_bit_and_more_padding_nothing(name: str) -> None:
    torch.manual_seed(0)
    network = build(2, 3, (8, 8), widths=(4, N))
    whole = Normalised(
        network, 3, *case_head(network, "it", 2, views={name: {"n_views": 5} if name == "concat" else {}})
    )
    whole.eval()
    images = torch.randint(0, 256, (4, 3, 3, 8, 8), dtype=torch.uint8)
    others = torch.where(PRESENT[:, :, None, None, None], images, 255 - images)
    made = whole(Inputs(images, PRESENT))
    assert torch.equal(made, whole(Inputs(others, PRESENT)))
    padded = Inputs(torch.cat([images, images[:, :2]], 1), torch.cat([PRESENT, torch.zeros(4, 2, dtype=torch.bool)], 1))
    torch.testing.assert_close(whole(padded), made)
    alone = torch.cat([whole(Inputs(images, PRESENT).rows([row])) for row in range(4)])
    torch.testing.assert_close(alone, made), "the others of a batch have no effect"


@pytest.mark.parametrize(
    ("name", "params", "counts"),
    [("attention", {}, False), ("lstm", {}, True), ("lstm", {"bidirectional": False, "layers": 2}, True),
     ("transformer", {}, True), ("transformer", {"positions": False}, False), ("concat", {}, True)],
)  # fmt: skip
def test_the_order_of_images_counts_for_sequences_and_fixed_views_alone(
    name: str, params: dict[str, Any], counts: bool
) -> None:
    made, there, order = layers(name, **params), torch.ones(2, 3, dtype=torch.bool), [2, 0, 1]
    given = features(there)
    one, other = made(given, there), made(given[:, order], there)
    assert torch.allclose(one, other, atol=1e-6) is not counts


def test_a_recurrent_network_skips_missing_frames() -> None:
    made, given = layers("lstm", layers=2), features()
    closed_up = torch.stack([given[3, 0], given[3, 2]])[None]
    together = made(closed_up, torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(made(given, PRESENT)[3:], together)


def test_a_missing_view_has_learned_features() -> None:
    made = layers("concat")
    with torch.no_grad():
        made.missing.normal_()
    filled = torch.where(PRESENT.unsqueeze(-1), features(), made.missing)
    torch.testing.assert_close(made(features(), PRESENT), made(filled, torch.ones_like(PRESENT)))
    made(features(), PRESENT).sum().backward()
    assert made.missing.grad.abs().sum() > 0
    with pytest.raises(
        ConfigError, match=r"concat joins 3 images per case, but a case has 4\. Set views: \{concat: \{n_vi"
    ):
        made(torch.zeros(1, 4, N), torch.ones(1, 4, dtype=torch.bool))


@pytest.mark.parametrize("name", LAYERS)
def test_a_case_with_one_of_three_images_trains_every_layer(name: str) -> None:
    made = layers(name)
    given = features(PRESENT[1:2]).requires_grad_()
    output = made(given, PRESENT[1:2])
    assert output.shape == (1, made.n_features)
    assert output.isfinite().all()
    output.square().sum().backward()
    assert given.grad[0, 0].abs().sum() > 0
    assert all(value.grad is not None and value.grad.isfinite().all() for value in made.parameters())


@pytest.mark.parametrize("name", LAYERS)
def test_layers_work_in_half_precision_and_can_be_saved(name: str) -> None:
    made = layers(name)
    with torch.autocast("cpu", torch.bfloat16):
        half = made(features().bfloat16(), PRESENT)
    torch.testing.assert_close(half.float(), made(features(), PRESENT), atol=0.05, rtol=0.05)
    other = layers(name)
    other.load_state_dict(made.state_dict())
    assert torch.equal(other(features(), PRESENT), made(features(), PRESENT))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"attention": {"hidden": 0}}, "views: hidden = 0 must be a whole number of at least 1"),
        ({"lstm": {"dropout": 1.0}}, "views: dropout = 1.0 must be at least 0 and below 1"),
        ({"transformer": {"width": 20, "heads": 4}}, "views: transformer: width = 20 must be a multiple of twice heads = 4"),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_are_refused(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        components.load(written, catalog.AGGREGATIONS, "aggregation of views")(N)


def test_the_head_of_a_case_is_after_its_layers() -> None:
    """Features for distillation, groups of the learning rate and metadata all find it."""
    network = build(2, 3, (8, 8), widths=(4, N))
    whole = Normalised(network, 3, *case_head(network, "it", 2, Branch(1, (2,), 5, 0.0), "attention"))
    inputs = Inputs(torch.zeros(4, 3, 3, 8, 8), PRESENT, torch.zeros(4, 3))
    assert whole(inputs).shape == (4, 2)
    assert output_layers(whole) == {"fusion.head.weight", "fusion.head.bias"}
    assert {name.split(".")[0] for name in backbone(whole)} == {"network"}
    network = build(2, 3, (8, 8), widths=(4, N))
    whole = Normalised(network, 3, *case_head(network, "it", 2, views="lstm"))
    assert head_of(whole) is whole.fusion.head
    with Heard(whole) as heard:
        whole(inputs)
    assert heard.features(inputs).shape == (4, 256)
    with pytest.raises(
        ConfigError, match=r"views: the head of network 'mine' cannot be removed\. Use timm or small_resnet,"
    ):
        case_head(nn.Linear(1, 1), "mine", 2, views="lstm")


@pytest.mark.parametrize("network", [{"network": "small_resnet"}, {"network": "timm", "backbone": "test_resnet"}])
def test_a_file_of_weights_fits_models_with_other_layers_over_images(network: dict[str, Any], tmp_path: Path) -> None:
    infer, size, path = classification("ab"), (32, 32), tmp_path / "model.safetensors"
    first = infer.model(image_size=size, channels=3, views="attention", **network)
    save_file({name: value.contiguous() for name, value in first.state_dict().items()}, path)
    for views in ("mean", "lstm"):
        made = infer.model(image_size=size, channels=3, views=views, pretrained=str(path), **network)
        known = first.state_dict()
        same = [name for name, value in made.state_dict().items() if name in known and torch.equal(value, known[name])]
        new = {name.split(".")[0] for name in made.state_dict().keys() - set(same)}
        assert new == ({"network"} if views == "mean" else {"views", "fusion"}), "the head alone is new"
    assert made.network.new == ["the head, and the layers over the images of a case"]


# --- what they can learn


class Brightness(nn.Module):
    """Two features of an image, trained with what comes after it."""

    num_features = N

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(1, N), nn.Linear(N, n_classes)

    def reset_classifier(self, n_classes: int) -> None:
        """Remove the head."""
        self.head = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.first(images.mean(dim=(1, 2, 3)).unsqueeze(1)).relu())


def learned(views: Any, levels: Tensor, present: Tensor, target: Tensor, steps: int = 150) -> float:
    """Accuracy on the training cases after training on images of constant levels 0..1 (batch, views)."""
    torch.manual_seed(0)
    network = Brightness(2)
    whole = Normalised(network, 1, *case_head(network, "it", 2, views=views))
    inputs = Inputs((255 * levels)[:, :, None, None, None].expand(-1, -1, 1, 2, 2), present)
    optimizer = torch.optim.Adam(whole.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(whole(inputs), target).backward()
        optimizer.step()
    return float((whole(inputs).argmax(dim=1) == target).float().mean())


def rising() -> tuple[Tensor, Tensor, Tensor]:
    """Sequences of 3 to 6 levels, each also reversed: label 1 if they rise."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 7, (64,), generator=generator)
    up = torch.rand(64, 6, generator=generator)
    present = torch.arange(6) < lengths[:, None]
    up = torch.stack([torch.cat([row[:n].sort().values, row[n:]]) for row, n in zip(up, lengths, strict=True)])
    down = torch.stack([torch.cat([row[:n].flip(0), row[n:]]) for row, n in zip(up, lengths, strict=True)])
    return torch.cat([up, down]), torch.cat([present, present]), torch.arange(128).ge(64).logical_not().long()


@pytest.mark.parametrize(
    ("views", "found"),
    [({"lstm": {"hidden": 16}}, (0.95, 1)), ({"transformer": {"width": 32}}, (0.95, 1)), ("mean", (0.5, 0.5)),
     ("attention", (0.5, 0.5))],
)  # fmt: skip
def test_what_only_the_order_of_frames_tells_is_learned_by_networks_over_time(
    views: Any, found: tuple[float, float]
) -> None:
    assert found[0] <= learned(views, *rising()) <= found[1]


@pytest.mark.parametrize(
    ("views", "found"),
    [({"concat": {"hidden": 16}}, (1, 1)), ({"transformer": {"width": 32}}, (1, 1)), ("mean", (0, 0.8))],
)  # fmt: skip
def test_a_label_of_both_views_together_is_learned_where_they_meet_before_the_head(
    views: Any, found: tuple[float, float]
) -> None:
    """Exclusive or: a sum of what each view says cannot be right in more than three of four cases."""
    levels = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    target = torch.tensor([0, 1, 1, 0])
    assert found[0] <= learned(views, levels, torch.ones(4, 2, dtype=torch.bool), target) <= found[1]
