rule train:
    input:
        recipe=recipe("train"),
        fold=case_list("train"),
        classes=folds_file("classes.json"),
        metadata=metadata_lists("train"),
        groups=group_lists("train"),
        unlabeled=unlabeled_lists("train"),
        cache=cache_for("train"),
        checked=checked_first("train"),
        pseudo=read_from("pseudo_label"),
        start=start_file,
        lessons=lesson_files,
        clean=read_from("clean"),
        generated=read_from("generate"),
    output:
        model=FILES["train"]["model"],
        history=FILES["train"]["history"],
        record=FILES["train"]["record"],
    log:
        FILES["train"].log,
    benchmark:
        FILES["train"].benchmark
    wildcard_constraints:
        model=TRAINED,
    conda:
        "../../envs/goldfold.yaml"
    threads: lambda wildcards: CONFIG.runtime.torch_threads * n_gpus(wildcards)
    resources:
        gpu=n_gpus,
        mem_mb=CONFIG.runtime.train_mem_mb,
    params:
        how=slices.work(CONFIG),
        gpus=lambda wildcards: slices.gpus(CONFIG, wildcards.model),
        caches=cache_folders("train"),
        script=training_script,
    script:
        "../scripts/{params.script}.py"
