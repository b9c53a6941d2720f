#!/usr/bin/env bash
# Complete a folder of pictures in NUM_PROCESSES processes, one a GPU, on each of NNODES nodes.
set -euo pipefail
if [[ $# -lt 3 || ! $3 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: [NNODES=1 NODE_RANK=0 MASTER_ADDR=HOST MASTER_PORT=29500]" \
        "$0 PICTURES MASKS NUM_PROCESSES -o OUT [inpaint.py arguments]" >&2
    exit 2
fi
exec "$(dirname "$0")/dist_run.sh" "$3" inpaint.py "$1" "$2" "${@:4}"
