"""inner predictions of a fold's training rows -> rows whose label is probably wrong"""

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.clean import run

    run(
        predictions=list(snakemake.input.predictions),
        lists=list(snakemake.input.lists),
        classes=snakemake.input.classes,
        out=snakemake.output.table,
        fold=int(snakemake.wildcards.fold),
        workers=snakemake.threads,
        **made.settings,
    )
