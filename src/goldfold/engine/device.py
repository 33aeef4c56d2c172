"""Where and how precisely to compute."""

import os

from accelerate import Accelerator, DistributedDataParallelKwargs

from goldfold.base.errors import ConfigError
from goldfold.engine.seeding import deterministic


def accelerator(device: str, precision: str, threads: int) -> Accelerator:
    """Accelerator for a device (auto, cpu, cuda) and a precision (auto, fp32, bf16, fp16); bytes are reproducible.

    ``auto`` takes a GPU where there is one, bf16 there and fp32 on the CPU, where bf16 was measured many times slower.

    Raises:
        ConfigError: the device is not there, or does not know the precision.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # asked for by deterministic CUDA
    import torch

    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ConfigError("runtime.device: cuda, but torch sees no GPU. Set device: auto or cpu.")
    on_gpu = has_gpu and device != "cpu"
    if precision == "fp16" and not on_gpu:
        raise ConfigError("runtime.precision: fp16 needs a GPU. Set precision: auto.")
    chosen = ("bf16" if on_gpu else "fp32") if precision == "auto" else precision
    deterministic(threads)
    # Else DDP orders gradients anew after its first step, and a resumed run of three would add them in another order.
    ddp = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(cpu=not on_gpu, mixed_precision="no" if chosen == "fp32" else chosen, kwargs_handlers=[ddp])


def backend(device: str, gpus: int) -> str:
    """How ``gpus`` processes of one job talk to each other: nccl between GPUs, gloo on the CPU.

    Raises:
        ConfigError: fewer GPUs are visible.
    """
    import torch

    visible = torch.cuda.device_count() if device != "cpu" else 0
    if visible < gpus and (visible or device == "cuda"):
        raise ConfigError(
            f"models[].gpus = {gpus}, but this job sees {visible} (CUDA_VISIBLE_DEVICES="
            f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}). Give it as many, or set gpus: {max(visible, 1)}."
        )
    return "nccl" if visible else "gloo"


def total(accelerator: Accelerator, value: float) -> float:
    """Sum of ``value`` over the processes that compute together."""
    return totals(accelerator, [value])[0]


def totals(accelerator: Accelerator, values: list[float]) -> list[float]:
    """Sum of each value over the processes that compute together, all of which have as many."""
    if accelerator.num_processes == 1:
        return values
    import torch

    own = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
    summed: list[float] = accelerator.reduce(own, "sum").tolist()
    return summed
