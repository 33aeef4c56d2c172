# Judges the training labels of a fold by inner trainings: each on the training rows of the fold without one inner part.
use rule train as inner_train with:
    input:
        recipe=recipe("inner_train"),
        fold=folds_file("inner/fold{fold}-{part}.csv"),
        classes=folds_file("classes.json"),
        metadata=metadata_lists("inner_train"),
        groups=group_lists("inner_train"),
        unlabeled=unlabeled_lists("inner_train"),
        cache=cache_for("inner_train"),
        checked=checked_first("inner_train"),
    output:
        model=FILES["inner_train"]["model"],
        history=FILES["inner_train"]["history"],
        record=FILES["inner_train"]["record"],
    log:
        FILES["inner_train"].log,
    benchmark:
        FILES["inner_train"].benchmark
    params:
        how=slices.work(CONFIG),
        gpus=lambda wildcards: slices.gpus(CONFIG, wildcards.model),
        caches=cache_folders("inner_train"),
        script=training_script,


# Predicts the inner part alone, not the test images.
use rule predict as inner_predict with:
    input:
        recipe=recipe("inner_predict"),
        model=rules.inner_train.output.model,
        fold=folds_file("inner/fold{fold}-{part}.csv"),
        classes=folds_file("classes.json"),
        metadata=metadata_lists("inner_predict"),
        cache=cache_for("inner_predict"),
    output:
        parts=FILES["inner_predict"]["parts"],
        record=FILES["inner_predict"]["record"],
    log:
        FILES["inner_predict"].log,
    benchmark:
        FILES["inner_predict"].benchmark
    params:
        gpus=slices.gpus(CONFIG),
        caches=cache_folders("inner_predict"),


rule clean:
    input:
        recipe=recipe("clean"),
        predictions=judges("clean"),
        lists=inner_lists("clean"),
        classes=folds_file("classes.json"),
    output:
        table=FILES["clean"]["table"],
        record=FILES["clean"]["record"],
    log:
        FILES["clean"].log,
    benchmark:
        FILES["clean"].benchmark
    wildcard_constraints:
        round="|".join(str(job.round) for job in PLAN.jobs("clean")) or "none",
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    script:
        "../scripts/clean.py"
