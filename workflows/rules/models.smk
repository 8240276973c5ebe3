# From labelled sequences to a model with its report: cross-validation, the model, what it is worth, new predictions.


rule models:
    input:
        expand(f"{RESULTS}/{{sample}}/folds.html", sample=SAMPLES),
        expand(f"{RESULTS}/{{sample}}/evaluation.json", sample=SAMPLES),
        trust_files,
        expand(
            f"{RESULTS}/{{sample}}/predictions.tsv",
            sample=[name for name, row in SAMPLES.items() if "new" in row],
        ),


rule split:
    input:
        training_files,
    output:
        f"{RESULTS}/{{sample}}/folds/splits.tsv",
    log:
        f"{LOGS}/split/{{sample}}.log",
    benchmark:
        f"{TIMINGS}/split/{{sample}}.tsv"
    conda:
        "../envs/seqreg.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        data=training_data,
        how=shlex.join(options({"folds": len(FOLDS), "seed": config["seed"], **splitting()})),
    shell:
        "seqreg split {params.data} {params.how} --output {output} > {log} 2>&1"


rule fold:
    input:
        training_files,
        splits=f"{RESULTS}/{{sample}}/folds/splits.tsv",
    output:
        run_files(f"{RESULTS}/{{sample}}/folds/{{fold}}"),
        about=f"{RESULTS}/{{sample}}/folds/{{fold}}/model.json",
    log:
        f"{LOGS}/fold/{{sample}}.{{fold}}.log",
    benchmark:
        f"{TIMINGS}/fold/{{sample}}.{{fold}}.tsv"
    conda:
        "../envs/seqreg.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=240,
    params:
        run=run_folder,
        data=training_data,
        how=fitting,
    shell:
        # A job that was killed goes on where it was; one whose options or data have changed starts anew.
        f"{FIT} {{params.data}} {{params.how}} --splits {{input.splits}} --fold {{wildcards.fold}}"
        f" {MACHINE} --output {{params.run}} --resume --overwrite > {{log}} 2>&1"


rule compare:
    input:
        expand(f"{RESULTS}/{{{{sample}}}}/folds/{{fold}}/metrics.json", fold=FOLDS),
    output:
        report(
            f"{RESULTS}/{{sample}}/folds.html",
            caption="../report/folds.rst",
            category="Models",
            subcategory="{sample}",
            labels={"what": "cross-validation"},
        ),
        json=f"{RESULTS}/{{sample}}/folds.json",
        table=f"{RESULTS}/{{sample}}/folds.tsv",
    log:
        f"{LOGS}/compare/{{sample}}.log",
    benchmark:
        f"{TIMINGS}/compare/{{sample}}.tsv"
    conda:
        "../envs/seqreg.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        runs=runs_of,
    shell:
        "seqreg compare {params.runs} --output {output.json} > {log} 2>&1"


checkpoint model:
    input:
        training_files,
        test_files,
    output:
        run_files(f"{RESULTS}/{{sample}}/model"),
        report(
            f"{RESULTS}/{{sample}}/model/report.html",
            caption="../report/model.rst",
            category="Models",
            subcategory="{sample}",
            labels={"what": "model"},
        ),
        about=f"{RESULTS}/{{sample}}/model/model.json",
    log:
        f"{LOGS}/model/{{sample}}.log",
    benchmark:
        f"{TIMINGS}/model/{{sample}}.tsv"
    conda:
        "../envs/seqreg.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=240,
    params:
        run=run_folder,
        data=training_data,
        how=fitting,
        parts=held_out,
    shell:
        f"{FIT} {{params.data}} {{params.how}} {{params.parts}}"
        f" {MACHINE} --output {{params.run}} --resume --overwrite > {{log}} 2>&1"


rule evaluate:
    input:
        training_files,
        test_files,
        model=f"{RESULTS}/{{sample}}/model/model.safetensors",
    output:
        f"{RESULTS}/{{sample}}/evaluation.json",
    log:
        f"{LOGS}/evaluate/{{sample}}.log",
    benchmark:
        f"{TIMINGS}/evaluate/{{sample}}.tsv"
    conda:
        "../envs/seqreg.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        run=lambda wildcards, input: Path(input.model).parent,
        data=test_data,
        how=shlex.join(options({"seed": config["seed"], "device": config["device"]})),
    shell:
        "seqreg evaluate {params.run} {params.data} {params.how} --threads {threads} --output {output} > {log} 2>&1"


rule robustness:
    input:
        training_files,
        test_files,
        edit_files,
        model=f"{RESULTS}/{{sample}}/model/model.safetensors",
    output:
        # In the folder of the run, whose report.html then shows it too.
        json=f"{RESULTS}/{{sample}}/model/robustness.json",
        table=f"{RESULTS}/{{sample}}/model/robustness.tsv",
    log:
        f"{LOGS}/robustness/{{sample}}.log",
    benchmark:
        f"{TIMINGS}/robustness/{{sample}}.tsv"
    conda:
        "../envs/seqreg.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=240,
    params:
        run=lambda wildcards, input: Path(input.model).parent,
        data=test_data,
        how=shlex.join(
            options(
                {
                    **config["robustness"],
                    "seed": config["seed"],
                    "device": config["device"],
                }
            )
        ),
    shell:
        "seqreg robustness {params.run} {params.data} {params.how} --threads {threads} --output {output.json}"
        " > {log} 2>&1"


rule norm:
    input:
        training_files,
        model=f"{RESULTS}/{{sample}}/model/model.safetensors",
        # Both write report.html anew: one after the other.
        robustness=f"{RESULTS}/{{sample}}/model/robustness.json",
    output:
        f"{RESULTS}/{{sample}}/model/norm.json",
    log:
        f"{LOGS}/norm/{{sample}}.log",
    benchmark:
        f"{TIMINGS}/norm/{{sample}}.tsv"
    conda:
        "../envs/seqreg.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        run=lambda wildcards, input: Path(input.model).parent,
        data=training_data,
        how=shlex.join(options({"seed": config["seed"], "device": config["device"]})),
    shell:
        "seqreg norm {params.run} {params.data} {params.how} --threads {threads} --output {output} > {log} 2>&1"


rule predict:
    input:
        new=new_files,
        model=f"{RESULTS}/{{sample}}/model/model.safetensors",
    output:
        report(
            f"{RESULTS}/{{sample}}/predictions.tsv",
            caption="../report/predictions.rst",
            category="Models",
            subcategory="{sample}",
            labels={"what": "predictions of new sequences"},
        ),
    log:
        f"{LOGS}/predict/{{sample}}.log",
    benchmark:
        f"{TIMINGS}/predict/{{sample}}.tsv"
    conda:
        "../envs/seqreg.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=240,
    params:
        run=lambda wildcards, input: Path(input.model).parent,
        device=config["device"],
    shell:
        "seqreg predict {params.run} {input.new} --device {params.device} --threads {threads} --output {output}"
        " > {log} 2>&1"
