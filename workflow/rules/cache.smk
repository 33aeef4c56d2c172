rule cache:
    input:
        recipe=recipe("cache"),
        data=ancient(PLAN.made_data),
        shard=folds_file("shards/{shard}.csv"),
    output:
        files=FILES["cache"]["files"],
        record=FILES["cache"]["record"],
    log:
        FILES["cache"].log,
    benchmark:
        FILES["cache"].benchmark
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        how=lambda wildcards: SESSION.cache_settings(job_at("cache", wildcards)),
    script:
        "../scripts/cache.py"
