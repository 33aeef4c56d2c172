"""shard list -> decoded, resized images"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.cache import run

    size, resize = snakemake.wildcards.spec.split("-")
    made.facts = run(
        shard=snakemake.input.shard,
        folder=str(Path(snakemake.output.record).parent),
        size=[int(side) for side in size.split("x")],
        resize=resize,
        **made.settings,
        **snakemake.params.how,
    )
