"""shard list -> decoded, resized images"""

from pathlib import Path

from goldfold.runtime.job import job

with job(snakemake):
    from goldfold.stages.cache import run

    size, resize = snakemake.wildcards.spec.split("-")
    run(
        shard=snakemake.input[0],
        folder=str(Path(snakemake.output[0]).parent),
        size=[int(side) for side in size.split("x")],
        channels=snakemake.params.channels,
        resize=resize,
    )
