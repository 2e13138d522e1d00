#!/usr/bin/env bash
# Labels images on several GPUs, or on the CPU where there is none:
#   tools/dist_pseudo_label.sh CONFIG CHECKPOINT IMAGES GPUS --out FILE \
#       [arguments of tools/pseudo_label.py]
# For several machines set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail

if [ "$#" -lt 4 ]; then
    echo "usage: $0 CONFIG CHECKPOINT IMAGES GPUS --out FILE" \
        "[arguments of tools/pseudo_label.py]" >&2
    exit 2
fi
CONFIG="$1"
CHECKPOINT="$2"
IMAGES="$3"
GPUS="$4"
shift 4
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"

exec "${PYTHON:-python}" -m mmcp.engine.distribute \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$ROOT/tools/pseudo_label.py" "$CONFIG" "$CHECKPOINT" "$IMAGES" \
    --launcher pytorch "$@"
