"""Settings of the jobs of heads on frozen backbones, for their recipes."""

from typing import Any

from goldfold.base.given import required
from goldfold.components import name_of
from goldfold.config import slices
from goldfold.config.frozen import ZERO_SHOT, embedding_settings
from goldfold.config.root import Config
from goldfold.planning.plan import Job


def first_of(config: Config, job: Job) -> str:
    """Name of the first model whose embeddings a job makes; empty for other jobs."""
    return next((name for name, own in config.embeddings.items() if job.embedding and own == job.embedding), "")


def embed(config: Config, job: Job) -> dict[str, Any]:
    """Settings of a job that makes embeddings."""
    model = next(one for one in config.models if one.name == first_of(config, job))
    return {
        **embedding_settings(config, model),
        "channels": config.data.channels,
        "scale_16bit": config.data.scale_16bit,
        "batch_size": config.runtime.predict_batch_size,
        "runtime": slices.runtime(config),
    }


def heads(config: Config, job: Job) -> dict[str, Any]:
    """Settings of a head. The name of its embeddings changes with all that they depend on but data and code."""
    frozen = next(model.frozen for model in config.models if model.name == job.model)
    return {
        **texts(config, job.model),
        "task": slices.task(config),
        "name": job.model,
        "head": required(frozen, f"{job.model} has no head").head,
        "embeddings": config.embeddings[job.model],
        "seeds": list(config.grid.seeds_of(job.model)),
        "n_folds": config.folds.n_folds,
    }


def texts(config: Config, name: str) -> dict[str, str]:
    """Checkpoint whose text tower a head takes; empty for heads that take none."""
    model = next(model for model in config.models if model.name == name)
    is_taken = model.frozen is not None and name_of(model.frozen.head) == ZERO_SHOT
    return {"checkpoint": model.params["checkpoint"]} if is_taken else {}
