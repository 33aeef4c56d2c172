"""Loss of FixMatch on unlabelled images (Sohn et al. 2020, eq. 4)."""

from torch import Tensor
from torch.nn import functional

from goldfold.losses.classification import cross_entropy
from goldfold.losses.numeric import at_least_float32


def pseudo_labels(logits: Tensor, threshold: float, temperature: float | None = None) -> tuple[Tensor, Tensor]:
    """Turn predictions of weak views into targets of the strong ones.

    >>> rows, used = pseudo_labels(torch.tensor([[3.0, 0.0], [0.2, 0.0]]), threshold=0.9)
    >>> rows.tolist(), used.tolist()
    ([[1.0, 0.0], [1.0, 0.0]], [1.0, 0.0])

    Args:
        logits: (batch, classes) of the weak views.
        threshold: smallest probability of the most probable class at which an image is used.
        temperature: None for hard labels; otherwise the target is softmax(logits / temperature), as in UDA (Xie et al. 2020).

    Returns:
        Targets (batch, classes), whose rows sum to one, and 1.0 for images that are used, 0.0 for others, (batch,).
    """
    values = at_least_float32(logits)
    confidence, classes = values.softmax(dim=1).max(dim=1)
    is_used = (confidence >= threshold).to(values.dtype)
    if temperature is None:
        return functional.one_hot(classes, values.shape[1]).to(values.dtype), is_used
    return (values / temperature).softmax(dim=1), is_used


def consistency(logits: Tensor, rows: Tensor, is_used: Tensor) -> Tensor:
    """Compute the cross-entropy of the strong views against the pseudo labels, 0 for images that are not used.

    >>> consistency(torch.zeros(2, 2), torch.eye(2), torch.tensor([1.0, 0.0]))
    tensor([0.6931, 0.0000])

    Args:
        logits: (batch, classes) of the strong views.
        rows: result of `pseudo_labels`, as is ``is_used``, or the classes (batch,).
    """
    targets = functional.one_hot(rows, logits.shape[1]) if rows.ndim == 1 else rows
    return is_used * cross_entropy(logits, targets)
