"""trained network and cache -> predictions of its own training images, for its students"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.teach import run

    run(
        folder=str(Path(snakemake.output.record).parent),
        weights=snakemake.input.model,
        fold_file=snakemake.input.fold,
        classes=snakemake.input.classes,
        caches=snakemake.params.caches,
        metadata=list(snakemake.input.get("metadata", [])),
        **made.settings,
    )
