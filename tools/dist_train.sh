#!/usr/bin/env bash
# Train in NUM_PROCESSES processes, one a GPU, on each of NNODES nodes; work-dir is on a disk of all.
set -euo pipefail
if [[ $# -lt 2 || ! $2 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: [NNODES=1 NODE_RANK=0 MASTER_ADDR=HOST MASTER_PORT=29500]" \
        "$0 CONFIG NUM_PROCESSES [train.py arguments]" >&2
    exit 2
fi
exec "$(dirname "$0")/dist_run.sh" "$2" train.py "$1" "${@:3}"
