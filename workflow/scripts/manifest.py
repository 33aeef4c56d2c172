"""raw data -> manifest"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.manifest import run

    run(
        folder=str(Path(snakemake.output.classes).parent),
        workers=snakemake.threads,
        **snakemake.params.with_classes,
        **made.settings,
    )
