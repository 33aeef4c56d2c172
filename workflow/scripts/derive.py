"""trained networks of a fold -> a soup of them, or the network of a snapshot"""

from pathlib import Path

from goldfold.lineage.job import job
from goldfold.planning.origins import weight_files

with job(snakemake) as made:
    from goldfold.stages.derive import run

    weights = weight_files(list(snakemake.input.weights), made.settings["snapshot"])
    made.reads(weights)
    made.facts = run(
        folder=str(Path(snakemake.output.model).parent),
        weights=weights,
        fold_file=snakemake.input.fold,
        classes=snakemake.input.classes,
        caches=snakemake.params.caches,
        metadata=list(snakemake.input.get("metadata", [])),
        **made.settings,
    )
