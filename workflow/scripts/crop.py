"""boxes of the detector -> tables of the manifest with the part of each image to crop"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.crop import run

    run(
        manifest=str(Path(snakemake.input.tables[0]).parent),
        images=str(snakemake.input.images),
        folder=str(Path(snakemake.output.record).parent),
        **made.settings,
    )
