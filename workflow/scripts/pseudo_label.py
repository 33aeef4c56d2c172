"""predictions of earlier rounds -> pseudo labels of one fold"""

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.planning.runs import WHOLE
    from goldfold.stages.pseudo_label import run

    made.facts = run(
        predictions={source: list(snakemake.input[source]) for source in snakemake.params.sources},
        classes=snakemake.input.classes,
        out=snakemake.output.table,
        fold=int(snakemake.wildcards.get("fold", WHOLE)),
        workers=snakemake.threads,
        judges=list(snakemake.input.get("judges", [])),
        lists=list(snakemake.input.get("lists", [])),
        **made.settings,
    )
