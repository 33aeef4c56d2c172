rule teach:
    input:
        recipe=recipe("teach"),
        model=FILES["train"]["model"],  # of a training, a soup or a snapshot
        fold=folds_file("fold{fold}.csv"),
        classes=folds_file("classes.json"),
        metadata=metadata_lists("teach"),
        cache=cache_for("teach"),
    output:
        train=FILES["teach"]["train"],
        record=FILES["teach"]["record"],
    log:
        FILES["teach"].log,
    benchmark:
        FILES["teach"].benchmark
    conda:
        "../../envs/goldfold.yaml"
    threads: CONFIG.runtime.torch_threads
    resources:
        gpu=1,
        mem_mb=CONFIG.runtime.train_mem_mb,
    params:
        gpus=slices.gpus(CONFIG),
        caches=cache_folders("teach"),
    script:
        "../scripts/teach.py"
