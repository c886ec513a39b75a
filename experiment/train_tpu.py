"""python experiment/train_tpu.py --config experiment/configs/grid_wave_net.yaml [key=value …]

Trains the segmentation network on a dataset of build_dataset.py. Runs on TPU where PJRT_DEVICE=TPU is set,
else on a GPU, else on the CPU. Log, checkpoints and pictures go to runs/<run.name>/. A run that was broken
off goes on at its last checkpoint when the same command is given again. SIGTERM saves after the current step.
"""

import os
from pathlib import Path

from ecg_generator_with_train_src.common.command_line import make_parser, positive_int
from experiment.training import supervisor


def main(argv: list[str] | None = None) -> int:
    """Train in this process; returns the exit code: 0, or 3 if the loss stopped being finite."""
    from experiment.backend.launch import (  # torch: not in the supervisor
        DEVICE_CHOICES,
        LaunchOptions,
        launch,
    )
    from experiment.config import load_config
    from experiment.training.run_folder import RESUME_CHOICES
    from experiment.training.trainer import run_training

    parser = make_parser(__doc__)
    parser.add_argument("--config", type=Path, required=True, help="YAML file with the settings")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that replace the file's")
    parser.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="where to train")
    parser.add_argument(
        "--num-cores",
        type=positive_int,
        help="cores of this host under XLA: all, which is the default, or 1; any other number takes what is there",
    )
    parser.add_argument(
        "--spmd", action="store_true", help="under XLA: one process drives all cores of this host"
    )
    parser.add_argument("--compile", action="store_true", help="on cuda and cpu: torch.compile the network")
    parser.add_argument(
        "--resume",
        choices=RESUME_CHOICES,
        default="auto",
        help="go on with the run, or move it aside and start afresh",
    )
    arguments = parser.parse_intermixed_args(argv)
    config = load_config(arguments.config, arguments.overrides)
    options = LaunchOptions(
        arguments.device,
        config.precision,
        arguments.num_cores,
        arguments.spmd,
        arguments.compile,
        cache_dir=Path(config.run.root) / ".xla_cache",
    )
    if arguments.device == "tpu" or (arguments.device == "auto" and os.environ.get("PJRT_DEVICE") == "TPU"):
        devices = Path("/dev")
        supervisor.refuse_held_devices([*devices.glob("accel*"), *devices.glob("vfio/[0-9]*")])
    return launch(options, run_training, config, arguments.resume)


if __name__ == "__main__":
    supervisor.run(main)
elif __name__ == "__mp_main__":  # a rank, or the parent of loader workers, before it does anything else
    supervisor.follow_parent()
