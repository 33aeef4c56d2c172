rule train:
    input:
        recipe=recipe(
            f"{RESULTS}/train/{RUN}/run.json",
            code=run_code("train"),
            data=pretrained_digest,
            task=slices.task(CONFIG),
            metric=CONFIG.metric,
            model=lambda wildcards: slices.learning(CONFIG, wildcards.model),
            resize=lambda wildcards: slices.resize(CONFIG, wildcards.model),
            channels=CONFIG.data.channels,
            scale_16bit=CONFIG.data.scale_16bit,
            place=place,
            pseudo_weight=lambda wildcards: (
                CONFIG.pseudo_labels.weight if int(wildcards.round) else 1.0
            ),
            runtime=slices.runtime(CONFIG),
        ),
        fold=folds_file("fold{fold}.csv"),
        classes=folds_file("classes.json"),
        cache=cache_for("train", learnt_splits),
        pseudo=pseudo_file,
    output:
        model=f"{RESULTS}/train/{RUN}/model.safetensors",
        history=f"{RESULTS}/train/{RUN}/history.csv",
        record=f"{RESULTS}/train/{RUN}/run.json",
    log:
        f"{RESULTS}/logs/train/{RUN}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{RUN}.tsv"
    conda:
        "../../envs/goldfold.yaml"
    threads: lambda wildcards: CONFIG.runtime.torch_threads * n_gpus(wildcards)
    resources:
        gpu=n_gpus,
        mem_mb=CONFIG.runtime.train_mem_mb,
    params:
        how=slices.work(CONFIG),
        gpus=lambda wildcards: slices.gpus(CONFIG, wildcards.model),
        caches=lambda wildcards: cache_folders(
            wildcards.model, learnt_splits(wildcards)
        ),
    script:
        "../scripts/train.py"
