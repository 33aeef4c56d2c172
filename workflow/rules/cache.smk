rule cache:
    input:
        recipe=recipe(
            f"{RESULTS}/cache/{{spec}}/{{shard}}/run.json",
            code=code("cache"),
            channels=CONFIG.data.channels,
        ),
        data=ancient(CONFIG.data.generated),
        shard=folds_file("shards/{shard}.csv"),
    output:
        files=expand(
            f"{RESULTS}/cache/{{spec}}/{{shard}}/{{file}}",
            file=slices.cache_files(CONFIG),
            allow_missing=True,
        ),
        record=f"{RESULTS}/cache/{{spec}}/{{shard}}/run.json",
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
        how=lambda wildcards: {
            "others": other_sizes(wildcards),
            "whole": whole_cache(),
            "max_gb": CONFIG.cache.max_gb,
        },
    script:
        "../scripts/cache.py"
