#!/usr/bin/env bash
# A SLURM of one node on this machine, in a folder of its own: slurm.sh start DIR, then SLURM_CONF=DIR/slurm.conf.
# Run as root, with Debian's packages slurm-wlm and munge. slurm.sh stop DIR ends what start began.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
    local dir="$1" host
    host="$(hostname -s)"
    mkdir -p "$dir"/{state,spool,munge}
    dd if=/dev/urandom of="$dir/munge/munge.key" bs=1024 count=1 status=none
    chmod 700 "$dir/munge"
    chmod 400 "$dir/munge/munge.key"
    cat > "$dir/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MinJobAge=300
KillWait=2
SchedulerParameters=sched_interval=2,batch_sched_delay=0
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=UNLIMITED State=UP
END
    export SLURM_CONF="$dir/slurm.conf"
    munged --force --key-file "$dir/munge/munge.key" --socket "$dir/munge/socket" --pid-file "$dir/munged.pid" \
        --log-file "$dir/munged.log" --seed-file "$dir/munge/seed"
    slurmctld
    slurmd -N "$host"
    for _ in $(seq 60); do
        if [[ "$(sinfo --noheader --format=%t 2> /dev/null)" == idle ]]; then return; fi
        sleep 0.5
    done
    echo "The node did not become idle:" >&2
    tail -n 20 "$dir"/*.log >&2
    stop "$dir"
    exit 1
}

stop() {
    local dir="$1" name pid
    # Jobs would outlive the daemons.
    SLURM_CONF="$dir/slurm.conf" timeout 10 scancel --user=root 2> /dev/null || true
    for _ in $(seq 20); do
        [[ -n "$(SLURM_CONF="$dir/slurm.conf" timeout 10 squeue --noheader --states=PD,R,CG 2> /dev/null)" ]] || break
        sleep 0.5
    done
    for name in slurmd slurmctld munged; do
        [[ -f "$dir/$name.pid" ]] || continue
        pid="$(< "$dir/$name.pid")"
        kill "$pid" 2> /dev/null || continue
        for _ in $(seq 50); do
            kill -0 "$pid" 2> /dev/null || break
            sleep 0.2
        done
    done
}

case "${1:-}" in
    start | stop) "$1" "$(realpath -m "${2:?a folder}")" ;;
    *) echo "Usage: slurm.sh start|stop DIR" >&2 && exit 2 ;;
esac
