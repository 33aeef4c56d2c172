# Embeddings of the images of a cache shard by a frozen backbone: they depend on neither labels nor folds.
rule embed:
    input:
        recipe=recipe("embed"),
        cache=cache_for("embed"),
        checked=checked_first("embed"),
    output:
        features=FILES["embed"]["features"],
        record=FILES["embed"]["record"],
    log:
        FILES["embed"].log,
    benchmark:
        FILES["embed"].benchmark
    wildcard_constraints:
        embedding="|".join(sorted({*PLAN.embeddings.values()})) or "none",
    conda:
        "../../envs/goldfold.yaml"
    threads: CONFIG.runtime.torch_threads
    resources:
        gpu=1,
        mem_mb=CONFIG.runtime.train_mem_mb,
    params:
        gpus=slices.gpus(CONFIG),
        caches=cache_folders("embed"),
    script:
        "../scripts/embed.py"


# All folds and seeds of a head in one job: the start of a job takes longer than a fit.
rule heads:
    input:
        recipe=recipe("heads"),
        features=embedding_files("heads"),
        folds=every_fold,
        lists=image_lists,
        train=folds_file("train.csv"),
        classes=folds_file("classes.json"),
    output:
        parts=FILES["heads"]["parts"],
        record=FILES["heads"]["record"],
    log:
        FILES["heads"].log,
    benchmark:
        FILES["heads"].benchmark
    wildcard_constraints:
        model="|".join(job.model for job in PLAN.jobs("heads")) or "none",
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=4000,
    script:
        "../scripts/heads.py"


# Heads without random numbers have one run per fold, and not one per seed.
use rule heads as heads_once with:
    input:
        recipe=recipe("heads_once"),
        features=embedding_files("heads_once"),
        folds=every_fold,
        lists=image_lists,
        train=folds_file("train.csv"),
        classes=folds_file("classes.json"),
    output:
        parts=FILES["heads_once"]["parts"],
        record=FILES["heads_once"]["record"],
    log:
        FILES["heads_once"].log,
    benchmark:
        FILES["heads_once"].benchmark
    wildcard_constraints:
        model="|".join(job.model for job in PLAN.jobs("heads_once")) or "none",
