#!/usr/bin/env bash
# A Slurm of two nodes on this machine for tests, each with a pretend GPU, apart from any other Slurm:
#   tests/slurm/mini_slurm.sh start FOLDER     then: export PATH=FOLDER/bin:$PATH, and sbatch, squeue, snakemake ...
#   tests/slurm/mini_slurm.sh node FOLDER n1   start a node that was killed
#   tests/slurm/mini_slurm.sh stop FOLDER
# There is no accounting, so: snakemake --slurm-status-command squeue.
# Needs root and Debian's packages slurmctld, slurmd, slurm-client and munge; none of their services need run.
set -euo pipefail
what=${1:?start, node or stop} state=$(realpath -m "${2:?a folder}")
export SLURM_CONF=$state/slurm.conf
PATH=$PATH:/usr/sbin

configure() {
	local host cpus memory_mb first_port
	host=$(hostname -s)
	cpus=$(unset OMP_NUM_THREADS && nproc) # which counts no more than that
	memory_mb=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
	first_port=$((20000 + $$ % 10000)) # another one may run beside this one
	cat >"$SLURM_CONF" <<-END
		ClusterName=mini
		SlurmctldHost=$host(127.0.0.1)
		SlurmctldPort=$first_port
		AuthType=auth/munge
		# cred_expire: also the seconds that a job waits before it starts again; 120 without it.
		AuthInfo=socket=$state/munge.socket,cred_expire=10
		SlurmUser=root
		StateSaveLocation=$state/controller
		SlurmctldPidFile=$state/slurmctld.pid
		SlurmctldLogFile=$state/slurmctld.log
		SlurmdSpoolDir=$state/%n
		SlurmdPidFile=$state/slurmd-%n.pid
		SlurmdLogFile=$state/slurmd-%n.log
		# No cgroups: a container may have none.
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		JobAcctGatherType=jobacct_gather/none
		AccountingStorageType=accounting_storage/none
		MpiDefault=none
		# A job that waits for a time, not for another, is looked for every 60 s without this.
		SchedulerParameters=sched_interval=3,batch_sched_delay=0
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core
		GresTypes=gpu
		# A dead node is known as such after some seconds, and is taken back when it comes up.
		SlurmdTimeout=10
		ReturnToService=2
		KillWait=5
		# Seconds for which squeue knows a job that has ended.
		MinJobAge=86400
		NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((first_port + 1)) CPUs=$cpus RealMemory=$memory_mb Gres=gpu:1
		NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((first_port + 2)) CPUs=$cpus RealMemory=$memory_mb Gres=gpu:1
		PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE
	END
	# Slurm sets CUDA_VISIBLE_DEVICES only where a GPU's file is that of a device.
	printf 'NodeName=n%d Name=gpu File=%s\n' 1 /dev/null 2 /dev/zero >"$state/gres.conf"
	# Slurm's commands, told of this Slurm: the plugin of Snakemake drops SLURM_CONF on the way to a job.
	for tool in sbatch scancel scontrol sinfo squeue srun; do
		printf '#!/bin/sh\nSLURM_CONF=%q exec %q "$@"\n' "$SLURM_CONF" "$(command -v $tool)" >"$state/bin/$tool"
	done
	chmod 755 "$state"/bin/*
}

case $what in
start)
	for tool in munged slurmctld slurmd sbatch; do
		command -v $tool >/dev/null || { echo "$tool is missing: apt-get install slurmctld slurmd slurm-client munge" >&2 && exit 3; }
	done
	install -d -m 755 "$state" "$state/bin" "$state/controller" "$state/n1" "$state/n2"
	configure
	(umask 077 && head -c 1024 /dev/urandom >"$state/munge.key")
	munged --force --socket="$state/munge.socket" --key-file="$state/munge.key" --pid-file="$state/munged.pid" \
		--log-file="$state/munged.log" --seed-file="$state/munged.seed"
	slurmctld
	slurmd -N n1
	slurmd -N n2
	for _ in $(seq 60); do
		[ "$(sinfo --noheader --states=idle --format=%D 2>/dev/null)" = 2 ] && exit 0
		sleep 0.5
	done
	echo "the two nodes are not idle after 30 s; see $state/*.log" >&2
	sinfo >&2
	exit 1
	;;
node)
	slurmd -N "${3:?a node}"
	;;
stop)
	scancel --state=RUNNING,PENDING --user=root 2>/dev/null || true
	for name in slurmd-n1 slurmd-n2 slurmctld munged; do
		pid=$(cat "$state/$name.pid" 2>/dev/null) && kill "$pid" 2>/dev/null || true
	done
	;;
*)
	sed -n '2,8p' "$0"
	exit 2
	;;
esac
