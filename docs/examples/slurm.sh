#!/bin/bash
# Trains ImageNet 64x64 on four nodes with eight GPUs each: sbatch docs/examples/slurm.sh
#
# Ten minutes before the time is up the run is saved and the job is queued again, to go on.
#SBATCH --job-name=imagenet64
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-task=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@600
#SBATCH --requeue
#SBATCH --open-mode=append
set -u

# SLURM gives this shell USR1; the training takes SIGTERM, which srun passes on to all tasks. (With
# TERM in both places, scancel would queue the job again.)
time_is_up=no
stop() {
    time_is_up=yes
    kill -TERM "$!"
}
trap stop USR1

# One task that ends with an error ends all of them.
srun --kill-on-bad-exit=1 gated-pixelcnn-train \
    --config=imagenet64 \
    --strategy=multi_worker \
    --workdir="${RUNS:-$HOME/runs}/imagenet64" \
    --config.data.data_dir="${DATA:-$HOME/data}" \
    --config.data.download=false \
    --config.train.precision=mixed_bfloat16 &
step=$!

wait "$step"
status=$?
if [ "$time_is_up" = yes ]; then
    wait "$step" # the signal ended the first wait, not the step
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
