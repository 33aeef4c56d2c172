"""Loss of auxiliary targets: columns of numbers and of levels, of which some values may be missing."""

import torch
from torch import Tensor
from torch.nn import functional


def of_columns(outputs: Tensor, targets: Tensor, n_numbers: int, n_levels: tuple[int, ...]) -> Tensor:
    """Return the mean over the columns of smooth L1 of numbers and cross-entropy of levels, (batch,).

    A missing value costs nothing. A mixed sample costs as much as its parts have values: a number is compared with the mean
    over the parts that have one, and levels are shares.

    Args:
        outputs: (batch, n_numbers + levels): numbers, then logits of the levels of each column.
        targets: (batch, 2 n_numbers + levels): numbers, 0 where missing; 1 for each number that there is; and one column of 0
            and 1 per level, all 0 where it is missing. Rows of mixed samples are means of such rows by shares.

    >>> of_columns(torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([[2.5, 1.0, 1.0, 0.0]]), 1, (2,)) * 2  # 0.125 + log 2
    tensor([0.8181])
    """
    values, known = targets[:, :n_numbers], targets[:, n_numbers : 2 * n_numbers]
    wanted = torch.where(known > 0, values / known.clamp_min(torch.finfo(known.dtype).tiny), 0.0)
    costs = [*(known * functional.smooth_l1_loss(outputs[:, :n_numbers], wanted, reduction="none")).unbind(1)]
    sizes = list(n_levels)
    logits, shares = torch.split(outputs[:, n_numbers:], sizes, 1), torch.split(targets[:, 2 * n_numbers :], sizes, 1)
    costs += [-(share * one.log_softmax(1)).sum(1) for one, share in zip(logits, shares, strict=True)]
    return torch.stack(costs).mean(0)
