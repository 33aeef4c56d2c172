"""Config of how jobs run, of the cache, and of the report."""

from typing import Annotated, Literal

from pydantic import Field

from goldfold.config.base import UNSET, ImageSize, Number, Section


class Runtime(Section):
    """Settings for running jobs. Those that change a result (device, precision, threads) are part of what a run depends on."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where networks run: `auto` is a GPU if there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 on GPU, fp32 on CPU (where bf16 was measured 8 to 25 times slower)."""
    torch_threads: int = Field(1, ge=1)
    """Arithmetic threads of a training job; their number changes the resulting bytes, so the scheduler never changes it."""
    loader_workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Processes that augment images; they do not affect the result. auto: 0 on CPU, 4 on GPU."""
    save_minutes: Number = Field(5.0, ge=0)
    """Minutes between two saves of the training state, from which an interrupted run resumes; 0: after every step."""
    predict_batch_size: int = Field(64, ge=1)
    """Images, or cases, per batch of predictions."""
    jobs_per_gpu: int = Field(1, ge=1)
    """Training and prediction jobs that share a GPU; multiply `--resources gpu=` of snakemake by it."""
    train_mem_mb: int = Field(4000, ge=100)
    """Memory that a training or prediction job requests from the scheduler."""


class Cache(Section):
    """Cache of decoded images."""

    image_size_px: ImageSize | None = UNSET
    """Size at which images are cached, one number (square) or [height, width], at least that of every network; by default
    each model's `image_size_px`. Random crops and zooms in training are taken from the larger image; validation and
    prediction see all of it, at the network's size. Models may override it (`cache_image_size_px`)."""
    max_gb: Number = Field(50.0, ge=0)
    """If all images at all sizes would take more than this as arrays, they are stored as PNGs: a third to four fifths of the
    space, slower to read, the same pixels."""


class Report(Section):
    """Contents of the report."""

    title: str | None = None
    """Title of the page; by default the name of the experiment."""
    gallery: int = Field(24, ge=0, le=200)
    """Number of images in the gallery of the most confident errors."""
    shift: bool = True
    """Whether to test if test and unlabeled images differ from training images, and by what."""
    shift_images: int = Field(1500, ge=50)
    """Most images per split that are used for this test."""
