#!/bin/sh
# Trains ImageNet 64x64 on four hosts with eight GPUs each.
#
#   sh docs/examples/tf_config.sh 0     # on gpu-0, which alone writes the run
#   sh docs/examples/tf_config.sh 1     # on gpu-1, and so on to 3 on gpu-3
#
# The cluster is the same on all hosts; only the index differs.
set -eu
index=$1

export TF_CONFIG='{
  "cluster": {"worker": ["gpu-0:2222", "gpu-1:2222", "gpu-2:2222", "gpu-3:2222"]},
  "task": {"type": "worker", "index": '"$index"'}
}'

exec gated-pixelcnn-train \
    --config=imagenet64 \
    --strategy=multi_worker \
    --workdir=/runs/imagenet64 \
    --config.data.data_dir=/data \
    --config.data.download=false \
    --config.train.precision=mixed_bfloat16
