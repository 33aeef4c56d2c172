rule cache:
    input:
        folds_file("shards/{shard}.csv"),
    output:
        images=f"{RESULTS}/cache/{{spec}}/{{shard}}/images.npy",
        ids=f"{RESULTS}/cache/{{spec}}/{{shard}}/ids.csv",
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
