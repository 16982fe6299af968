#!/usr/bin/env bash
# Several processes on this machine: bash tools/dist_test.sh CONFIG CHECKPOINT NUM_PROCESSES [options of tools/test.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail
if (($# < 3)); then
    sed -n '2,/^[^#]/s/^# //p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
NUM=$3
TOOLS=$(dirname "${BASH_SOURCE[0]}")

PYTHONPATH="$TOOLS/..:${PYTHONPATH:-}" python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$NUM" \
    "$TOOLS/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
