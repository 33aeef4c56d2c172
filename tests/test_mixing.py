"""Mixup and cutmix: what the network sees and what it is told belong together."""

import math

import pytest
import torch
from torch import Tensor, nn

from goldfold.cases import Batch, Inputs
from goldfold.engine.seeding import seeded
from whole_task import classification

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 0.0]])


class Watcher(nn.Module):
    """Keeps what it was shown; answers the same whatever it sees."""

    def forward(self, inputs: Inputs) -> Tensor:
        self.seen = inputs.single
        return LOGITS


def mixed(number: int, **settings: float) -> tuple[Tensor, float]:
    """What the network saw of a black and a white image, and the share of its own label that the first one kept."""
    images = torch.stack([torch.zeros(3, 16, 16), torch.full((3, 16, 16), 255.0)]).to(torch.uint8)
    batch = Batch(["black", "white"], Inputs.of(images), torch.tensor([0, 1]), torch.ones(2))
    watcher = Watcher()
    with seeded("mixing", number):
        loss = classification(["black", "white"]).loss(**settings)(watcher, batch).total.item()
    log_p = LOGITS[0].log_softmax(dim=0)
    of_first = 2 * loss - math.log(2)  # the second image's logits are equal, so its loss is log 2 whatever its label
    return watcher.seen, float((-of_first - log_p[1]) / (log_p[0] - log_p[1]))


@pytest.mark.parametrize("number", range(5))
def test_mixup_blends_images_as_much_as_labels(number: int) -> None:
    seen, share = mixed(number, mixup_alpha=1.0)
    assert torch.allclose(seen[0], torch.full_like(seen[0], 255 * (1 - share)), atol=0.1)
    assert 0 < share < 1


@pytest.mark.parametrize("number", range(5))
def test_cutmix_keeps_the_label_of_as_many_pixels_as_are_left(number: int) -> None:
    seen, share = mixed(number, cutmix_alpha=1.0)
    assert set(seen[0].unique().tolist()) <= {0.0, 255.0}
    assert share == pytest.approx(float((seen[0] == 0).float().mean()), abs=1e-5)


def test_without_a_draw_to_mix_nothing_is_mixed() -> None:
    seen, share = mixed(0, mixup_alpha=1.0, mix_probability=0.0)
    assert set(seen[0].unique().tolist()) == {0.0}
    assert share == pytest.approx(1.0, abs=1e-5)
