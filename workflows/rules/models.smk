# From labelled sequences to a model with its report: cross-validation, the model, what it is worth, new predictions.


rule models:
    """Cross-validation, a model, what it is worth and predictions, for every sample."""
    input:
        expand(f"{RESULTS}/{{sample}}/folds.html", sample=SAMPLES),
        expand(f"{RESULTS}/{{sample}}/evaluation.json", sample=SAMPLES),
        trust_files,
        expand(
            f"{RESULTS}/{{sample}}/predictions.tsv",
            sample=[name for name, row in SAMPLES.items() if "new" in row],
        ),


rule split:
    """Divide the sequences of a sample into folds."""
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
        runtime=growing(30),
    params:
        data=training_data,
        how=shlex.join(options({"folds": len(FOLDS), "seed": config["seed"], **splitting()})),
    shell:
        logged("seqreg split {params.data} {params.how} --output {output:q}")


rule fold:
    """Train on all folds but one and test on that one."""
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
        runtime=growing(240),
    params:
        run=run_folder,
        data=training_data,
        how=fitting,
    shell:
        # A job that was killed goes on where it was; one whose options or data have changed starts anew.
        logged(
            f"{FIT} {{params.data}} {{params.how}} --splits {{input.splits:q}} --fold {{wildcards.fold}}"
            f" {MACHINE} --output {{params.run:q}} --resume --overwrite"
        )


rule compare:
    """Set the folds side by side, the network beside the baselines."""
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
        runtime=growing(10),
    params:
        runs=runs_of,
    shell:
        logged("seqreg compare {params.runs} --output {output.json:q}")


rule model:
    """Train on all sequences but a test part: the model to use."""
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
        runtime=growing(240),
    params:
        run=run_folder,
        data=training_data,
        how=fitting,
        parts=held_out,
    shell:
        logged(
            f"{FIT} {{params.data}} {{params.how}} {{params.parts}}"
            f" {MACHINE} --output {{params.run:q}} --resume --overwrite"
        )


checkpoint kept:
    """After tuning, say whether a network was kept, or a k-mer model that does better."""
    input:
        f"{RESULTS}/{{sample}}/model/model.json",
    output:
        f"{RESULTS}/{{sample}}/kept.json",
    log:
        f"{LOGS}/kept/{{sample}}.log",
    localrule: True
    conda:
        "../envs/seqreg.yaml"
    shell:
        logged("cp {input:q} {output:q}")


rule evaluate:
    """Measure the model on sequences that it has not seen."""
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
        runtime=growing(60),
    params:
        run=run_of,
        data=test_data,
        how=shlex.join(options({"seed": config["seed"], "device": config["device"]})),
    shell:
        logged("seqreg evaluate {params.run:q} {params.data} {params.how} --threads {threads} --output {output:q}")


rule robustness:
    """Attack the predictions of the model, and prove which of them stand."""
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
        runtime=growing(240),
    params:
        run=run_of,
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
        logged(
            "seqreg robustness {params.run:q} {params.data} {params.how} --threads {threads} --output {output.json:q}"
        )


rule norm:
    """Bound how fast the model can change its mind."""
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
        runtime=growing(60),
    params:
        run=run_of,
        data=training_data,
        how=shlex.join(options({"seed": config["seed"], "device": config["device"]})),
    shell:
        logged("seqreg norm {params.run:q} {params.data} {params.how} --threads {threads} --output {output:q}")


rule predict:
    """Predict the new sequences of a sample."""
    input:
        vector_files,
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
        runtime=growing(240),
    params:
        run=run_of,
        vectors=vectors,
        device=config["device"],
    shell:
        logged(
            "seqreg predict {params.run:q} {input.new:q}{params.vectors} --device {params.device}"
            " --threads {threads} --output {output:q}"
        )
