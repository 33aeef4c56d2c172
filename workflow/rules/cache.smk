rule cache:
    input:
        folds_file("shards/{shard}.csv"),
    output:
        expand(
            f"{RESULTS}/cache/{{spec}}/{{shard}}/{{file}}",
            file=slices.cache_files(CONFIG),
            allow_missing=True,
        ),
    log:
        f"{RESULTS}/logs/cache/{{spec}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/cache/{{spec}}/{{shard}}.tsv"
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        channels=CONFIG.data.channels,
        code=source_digest("cache"),
    script:
        "../scripts/cache.py"
