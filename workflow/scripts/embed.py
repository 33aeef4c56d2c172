"""cached images and the weights of a backbone -> embeddings"""

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.embed import run

    (cache,) = snakemake.params.caches
    made.facts = run(path=snakemake.output.features, cache=cache, **made.settings)
