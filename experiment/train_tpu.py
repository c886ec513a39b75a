"""python experiment/train_tpu.py --config experiment/configs/grid_wave_net.yaml [key=value …]

Train the segmentation network on a dataset of build_dataset.py: on a TPU if PJRT_DEVICE=TPU is set, else on a GPU if
there is one, else on the CPU. Log, checkpoints and pictures go to runs/<run.name>/. Give the same command again to
resume an interrupted run at its last checkpoint. SIGTERM saves a checkpoint after the current step and ends the run.
"""

from pathlib import Path

from ecg_generator_with_train_src.common.command_line import make_parser, positive_int
from experiment.training import supervisor


def main(argv: list[str] | None = None) -> int:
    """Train in this process; returns the exit code: 0, or 3 if training ended because the loss was not finite."""
    # These modules import torch, which the supervisor does without.
    from experiment.backend.launch import asked_kind, launch, tpu_device_files
    from experiment.backend.options import DEVICE_CHOICES, LaunchOptions
    from experiment.config import config_file, load_config
    from experiment.training.held_devices import refuse_held_devices
    from experiment.training.run import run_training
    from experiment.training.run_folder import RESUME_CHOICES

    parser = make_parser(__doc__)
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        help="YAML file with the settings, or the name of a shipped one, such as demo_cpu",
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings that override those of the file"
    )
    parser.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="where to train")
    parser.add_argument(
        "--num-cores",
        type=positive_int,
        help="XLA only: how many cores of this host to use, 1 or all; without it, or with a number that the hardware "
        "cannot give, all",
    )
    parser.add_argument(
        "--spmd", action="store_true", help="XLA only: let one process drive all cores of this host"
    )
    parser.add_argument("--compile", action="store_true", help="cuda and cpu only: torch.compile the network")
    parser.add_argument(
        "--resume",
        choices=RESUME_CHOICES,
        default="auto",
        help="auto resumes an earlier run of this name; none moves it aside and starts afresh",
    )
    arguments = parser.parse_intermixed_args(argv)
    config = load_config(config_file(arguments.config), arguments.overrides)
    options = LaunchOptions(
        device=arguments.device,
        precision=config.precision,
        num_cores=arguments.num_cores,
        spmd=arguments.spmd,
        compile=arguments.compile,
        cache_dir=Path(config.run.root) / ".xla_cache",
    )
    if asked_kind(arguments.device)[0] == "tpu":
        refuse_held_devices(tpu_device_files())
    return launch(options, run_training, config, arguments.resume)


if __name__ == "__main__":
    supervisor.run_supervised(main)
