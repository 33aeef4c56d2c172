"""training images of a fold -> generated images"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.generate import run

    made.facts = run(
        folder=str(Path(snakemake.output.images).parent),
        fold_file=snakemake.input.fold,
        classes=snakemake.input.classes,
        caches=snakemake.params.caches,
        **made.settings,
    )
