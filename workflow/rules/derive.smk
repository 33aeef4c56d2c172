# Soups and snapshots: models that are made from trained weights, with the same files as a training.
rule derive:
    input:
        recipe=recipe("derive"),
        weights=source_files,
        fold=case_list("derive"),
        classes=folds_file("classes.json"),
        metadata=metadata_lists("derive"),
        cache=cache_for("derive"),
    output:
        model=FILES["derive"]["model"],
        history=FILES["derive"]["history"],
        record=FILES["derive"]["record"],
    log:
        FILES["derive"].log,
    benchmark:
        FILES["derive"].benchmark
    wildcard_constraints:
        model=MADE,
    conda:
        "../../envs/goldfold.yaml"
    threads: CONFIG.runtime.torch_threads
    resources:
        gpu=1,
        mem_mb=CONFIG.runtime.train_mem_mb,
    params:
        gpus=slices.gpus(CONFIG),
        caches=cache_folders("derive"),
    script:
        "../scripts/derive.py"
