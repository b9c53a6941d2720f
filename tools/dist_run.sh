#!/usr/bin/env bash
# What the other dist_*.sh share: a script of this folder in several processes a node.
#   dist_run.sh NUM_PROCESSES SCRIPT [ARGUMENTS...]
set -euo pipefail

# Each process has its share of the cores; torchrun and mmengine would warn, and give it one.
cores=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > $1 ? cores / $1 : 1))}
export MKL_NUM_THREADS=${MKL_NUM_THREADS:-$OMP_NUM_THREADS}

if ((${NNODES:-1} > 1)) && [[ -z ${MASTER_ADDR:-} ]]; then
    echo 'error: NNODES > 1 needs MASTER_ADDR, the address of the node with NODE_RANK=0' >&2
    exit 2
fi
if ((${NNODES:-1} > 1)) || [[ -n ${MASTER_PORT:-} ]]; then
    meet=(--nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}")
    meet+=(--master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${MASTER_PORT:-29500}")
else
    meet=(--standalone) # at a port that is free
fi
exec torchrun "${meet[@]}" --nproc_per_node "$1" "$(dirname "$0")/$2" "${@:3}" --launcher pytorch
