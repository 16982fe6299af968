#!/usr/bin/env bash
# Several processes on this machine: bash tools/dist_train.sh CONFIG NUM_PROCESSES [options of tools/train.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail
if (($# < 2)); then
    sed -n '2,/^[^#]/s/^# //p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
CONFIG=$1
NUM=$2
TOOLS=$(dirname "${BASH_SOURCE[0]}")

PYTHONPATH="$TOOLS/..:${PYTHONPATH:-}" python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$NUM" \
    "$TOOLS/train.py" "$CONFIG" --launcher pytorch "${@:3}"
