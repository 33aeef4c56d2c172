"""shard list -> decoded, resized images"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.cache.building import Frame
    from goldfold.stages.cache import run

    frame = Frame.of(snakemake.wildcards.spec)
    made.facts = run(
        shard=snakemake.input.shard,
        folder=str(Path(snakemake.output.record).parent),
        size=list(frame.size),
        resize=frame.mode,
        **made.settings,
        **snakemake.params.how,
    )
