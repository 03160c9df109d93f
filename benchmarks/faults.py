"""Faults of machines and of users, tried on real trainings: what each of them costs.

    python benchmarks/faults.py
    python benchmarks/faults.py --only=kill,disk --kills=5

Small trainings run as processes, suffer a fault and are started again with the same command. A
fault is survived if the run ends as promised (exit code, one line that says why, in time), goes on
from its last checkpoint, and comes to the result of a run that nothing happened to: every array of
the last checkpoint and of the best one (weights, optimizer, averages), the grids of samples, and
the reports but for images/s, bit for bit; with two workers, to 1e-5. The exit code is 1 if
any was not survived.

Which moments are chosen is a function of --seed; what the processes are doing then is not.
"""

import shutil
import tempfile
import time

from absl import flags
from fault_trials import disks, ruined, stopping, workers
from fault_trials.campaign import Campaign

from gated_pixelcnn.errors import UserError, nearest, run

_KILLS = flags.DEFINE_integer("kills", 20, "Times that a training is killed.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the moments.", lower_bound=0)
_ONLY = flags.DEFINE_list("only", [], "Faults to try, with commas between them; all by default.")

FAULTS = {
    "kill": stopping.try_kill,
    "sigterm": stopping.try_sigterm,
    "worker": workers.try_worker,
    "worker_sigterm": workers.try_worker_sigterm,
    "disk": disks.try_disk,
    "nan": ruined.try_nan,
    "damage": ruined.try_damage,
    "two_runs": stopping.try_two_runs,
}


def main(_):
    """Runs the campaign; returns 1 if a fault was not survived."""
    import machine

    for fault in _ONLY.value:
        if fault not in FAULTS:
            raise UserError(f"--only has {fault!r}{nearest(fault, FAULTS)}")
    print(machine.describe())
    start = time.monotonic()
    folder = tempfile.mkdtemp(prefix="faults-")
    campaign = Campaign(folder, _SEED.value, _KILLS.value)
    try:
        for fault in _ONLY.value or FAULTS:
            campaign.begin(fault)
            FAULTS[fault](campaign)
    finally:
        campaign.stop_all()
    print(f"\n{'fault':15} {'survived/tried':>14}")
    for fault, tried in campaign.tried.items():
        counts = f"{campaign.survived[fault]}/{tried}"
        print(f"{fault:15} {counts:>14}  {campaign.notes.get(fault, '')}".rstrip())
    print(f"{(time.monotonic() - start) / 60:.1f} minutes, --seed={_SEED.value}")
    if campaign.survived == campaign.tried:
        shutil.rmtree(folder)
        return 0
    print(f"what is left of the runs: {folder}")
    return 1


if __name__ == "__main__":
    run(main)
