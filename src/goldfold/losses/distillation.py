"""Loss of a student against the outputs of its teacher."""

from torch import Tensor
from torch.nn import functional

from goldfold.losses.numeric import at_least_float32, number


def distillation(logits: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """Kullback-Leibler divergence of softened predictions from the teacher's, x temperature^2 (Hinton et al. 2015, sec. 2).

    The factor keeps the size of the gradient: at high temperatures it approaches the difference of the centred logits, divided
    by the number of classes, whatever the temperature. One value per sample, (batch,).

    Args:
        logits: (batch, classes) of the student, before softmax.
        teacher: (batch, classes) of the teacher, before softmax; gets no gradient.
    """
    number("temperature", temperature, "above 0", lambda value: value > 0)
    own, other = (
        functional.log_softmax(at_least_float32(values) / temperature, dim=-1) for values in (logits, teacher.detach())
    )
    return functional.kl_div(own, other, reduction="none", log_target=True).sum(dim=-1) * temperature**2
