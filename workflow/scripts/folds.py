"""manifest -> folds"""

from pathlib import Path

from goldfold.runtime.job import job

with job(snakemake):
    from goldfold.stages.folds import run

    run(
        manifest=str(Path(snakemake.input[0]).parent),
        folder=str(Path(snakemake.output[0]).parent),
        marker=snakemake.output[0],
        task=snakemake.params.task,
        splits=snakemake.params.splits,
        shards=snakemake.params.shards,
        **snakemake.params.settings,
    )
