"""Device, precision and sums over processes."""

import os

from accelerate import Accelerator, DistributedDataParallelKwargs

from goldfold.base.errors import ConfigError
from goldfold.engine.seeding import deterministic


def accelerator(device: str, precision: str, threads: int) -> Accelerator:
    """Make a bitwise reproducible Accelerator for a device (auto, cpu, cuda) and precision (auto, fp32, bf16, fp16).

    ``auto`` uses a GPU if available, with bf16; and fp32 on the CPU, where bf16 was measured to be many times slower.

    Raises:
        ConfigError: the device is not available, or does not support the precision.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required by deterministic CUDA
    import torch

    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ConfigError("runtime.device: cuda, but torch sees no GPU. Set device: auto or cpu.")
    on_gpu = has_gpu and device != "cpu"
    if precision == "fp16" and not on_gpu:
        raise ConfigError("runtime.precision: fp16 needs a GPU. Set precision: auto.")
    chosen = ("bf16" if on_gpu else "fp32") if precision == "auto" else precision
    deterministic(threads)
    # Otherwise DDP rebuilds its buckets after the first step, and a resumed run of three sums gradients in another order.
    ddp = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(cpu=not on_gpu, mixed_precision="no" if chosen == "fp32" else chosen, kwargs_handlers=[ddp])


def backend(device: str, gpus: int) -> str:
    """Return the communication backend for ``gpus`` processes: nccl on GPUs, gloo on the CPU.

    Raises:
        ConfigError: fewer than ``gpus`` GPUs are visible.
    """
    import torch

    visible = torch.cuda.device_count() if device != "cpu" else 0
    if visible < gpus and (visible or device == "cuda"):
        raise ConfigError(
            f"models[].gpus = {gpus}, but this job sees {visible} (CUDA_VISIBLE_DEVICES="
            f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}). Make {gpus} visible, or set gpus: {max(visible, 1)}."
        )
    return "nccl" if visible else "gloo"


def total(accelerator: Accelerator, value: float) -> float:
    """Sum ``value`` over the processes of the training."""
    return totals(accelerator, [value])[0]


def totals(accelerator: Accelerator, values: list[float]) -> list[float]:
    """Sum each value over the processes of the training; all pass the same number of values."""
    if accelerator.num_processes == 1:
        return values
    import torch

    own = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
    summed: list[float] = accelerator.reduce(own, "sum").tolist()
    return summed
