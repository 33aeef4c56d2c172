"""embeddings of all images -> predictions of a head by fold and seed"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.planning.runs import stage_folder
    from goldfold.stages.heads import run

    made.facts = run(
        predictions=stage_folder(snakemake.output.parts[0]),
        embedded=list(snakemake.input.features),
        folds=dict(enumerate(snakemake.input.folds)),
        lists={Path(path).stem: path for path in snakemake.input.lists},
        train=snakemake.input.train,
        classes=snakemake.input.classes,
        **made.settings,
    )
