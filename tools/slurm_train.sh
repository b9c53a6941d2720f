#!/usr/bin/env bash
# Train by slurm in GPUS processes, GPUS_PER_NODE of them on a node.
set -euo pipefail
if (($# < 3)); then
    echo "usage: [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=...]" \
        "$0 PARTITION JOB_NAME CONFIG [train.py arguments]" >&2
    exit 2
fi
GPUS=${GPUS:-8}
GPUS_PER_NODE=${GPUS_PER_NODE:-$((GPUS < 8 ? GPUS : 8))}
CPUS_PER_TASK=${CPUS_PER_TASK:-5}
read -ra srun_args <<<"${SRUN_ARGS:-}"

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$CPUS_PER_TASK}
export MKL_NUM_THREADS=${MKL_NUM_THREADS:-$OMP_NUM_THREADS}
# mmengine's default is one port for all jobs of a node.
export MASTER_PORT=${MASTER_PORT:-$((20000 + RANDOM % 10000))}

exec srun --partition="$1" --job-name="$2" --gres="gpu:$GPUS_PER_NODE" --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" --cpus-per-task="$CPUS_PER_TASK" --kill-on-bad-exit=1 \
    "${srun_args[@]}" python -u "$(dirname "$0")/train.py" "$3" "${@:4}" --launcher slurm
