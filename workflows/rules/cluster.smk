# What a SLURM cluster lacks is said before the first job is submitted: without these, Snakemake waits for ever.

PROFILE = "workflows/profiles/slurm/config.yaml"


def said(*command):
    """The lines that a program prints, None where it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.split("\n") if done.returncode == 0 else None


def check_cluster():
    """Raise WorkflowError where jobs would never be seen to end, or never start."""
    status = workflow.executor_settings.status_command
    if status == "sacct" and said("sacct", "--noheader", "--allocations") is None:
        raise WorkflowError(
            "This SLURM keeps no accounts of jobs (`sacct` fails), so that nothing would be seen to end. "
            f"Write the lines `slurm-status-command: squeue` and `slurm-no-account: true` into {PROFILE}."
        )
    cores = [int(re.sub(r"\D", "", line)) for line in said("sinfo", "--noheader", "--format=%c") or [] if line]
    for rule, threads in workflow.resource_settings.overwrite_threads.items():
        if cores and threads > max(cores):
            raise WorkflowError(
                f"A job of {rule} asks for {threads} cores, and no node has more than {max(cores)}: it would wait for "
                f"ever. Write a smaller number in {PROFILE}, or --set-threads {rule}={max(cores)}."
            )


if workflow.is_main_process and type(workflow.executor_settings).__module__ == "snakemake_executor_plugin_slurm":
    check_cluster()
