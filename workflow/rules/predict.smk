rule predict:
    input:
        recipe=recipe("predict"),
        model=FILES["train"]["model"],  # of a training, a soup or a snapshot
        fold=folds_file("fold{fold}.csv"),
        classes=folds_file("classes.json"),
        lists=image_lists,
        metadata=metadata_lists("predict"),
        cache=cache_for("predict"),
    output:
        parts=FILES["predict"]["parts"],
        record=FILES["predict"]["record"],
    log:
        FILES["predict"].log,
    benchmark:
        FILES["predict"].benchmark
    wildcard_constraints:
        model=NETWORKS,
    conda:
        "../../envs/goldfold.yaml"
    threads: CONFIG.runtime.torch_threads
    resources:
        gpu=1,
        mem_mb=CONFIG.runtime.train_mem_mb,
    params:
        gpus=slices.gpus(CONFIG),
        caches=cache_folders("predict"),
    script:
        "../scripts/predict.py"


# One target per model, to run or version the members one by one (used by dvc.yaml).
for member in MODELS:

    rule:
        name:
            f"member_{member}"
        input:
            each_run([*FILES["train"].all, *rules.predict.output], models=[member]),
            [
                PLAN.outputs(job)
                for stage in heads.STAGES[1:]
                for job in PLAN.jobs(stage)
                if job.model == member
            ],
