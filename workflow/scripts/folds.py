"""manifest -> folds"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.folds import run

    made.facts = run(
        manifest=str(Path(snakemake.input.manifest[0]).parent),
        folder=str(Path(snakemake.output.record).parent),
        crops=str(Path(snakemake.input.crops[0]).parent) if snakemake.input.crops else None,
        keys=snakemake.params.named,
        taken=snakemake.params.taken,
        coverages=snakemake.params.coverages,
        **made.settings,
    )
