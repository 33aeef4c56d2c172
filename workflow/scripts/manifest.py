"""raw data -> manifest"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.manifest import run

    run(
        folder=str(Path(snakemake.output.classes).parent),
        workers=snakemake.threads,
        has_thresholds=snakemake.params.has_thresholds,
        weighted_classes=snakemake.params.weighted_classes,
        **made.settings,
    )
