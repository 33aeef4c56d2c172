rule train:
    input:
        fold=folds_file("fold{fold}.csv"),
        classes=folds_file("classes.json"),
        cache=train_caches,
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
    threads: CONFIG.runtime.torch_threads
    resources:
        gpu=1,
        mem_mb=CONFIG.runtime.train_mem_mb,
        loader_workers=str(CONFIG.runtime.loader_workers),
    params:
        task=slices.task(CONFIG),
        metric=CONFIG.metric,
        model=lambda wildcards: slices.learning(CONFIG, wildcards.model),
        resize=lambda wildcards: slices.resize(CONFIG, wildcards.model),
        channels=CONFIG.data.channels,
        place=place,
        pseudo_weight=lambda wildcards: (
            CONFIG.pseudo_labels.weight if int(wildcards.round) else 1.0
        ),
        pretrained=pretrained_digest,
        runtime=slices.runtime(CONFIG),
        own_task=OWN_TASK,
        code=run_code("train"),
        own_code=own_code,
    script:
        "../scripts/train.py"
