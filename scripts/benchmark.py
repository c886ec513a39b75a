"""python scripts/benchmark.py render --csv-root data/sample_records

Measure speed, as ratios within one run on this machine, and accuracy, step by step.
`render`: what drawing and building a page cost compared with encoding its images with OpenCV at PNG level 1; the share
of encoding and decoding; memory; and how both steps grow with records and workers. Records are copied under new names
until there are --num-records.
`degrade`: pages per second and core of every degradation profile, reading and encoding included.
`train`: what the input costs the training loop, and how far a step is from the device's peak.
`predict`: what a scanned page and a 12-megapixel photo cost compared with the network alone, and memory.
`read`: where the time of reading the signals of a page goes, stage by stage, what it costs compared with predict.py on
the same pages, and memory.
`runtimes`: what a tile costs by OpenVINO and by torch, on quiet cores and beside other busy processes.
`ladder`: where the reading of pages with known signals loses, step by step and page by page.
"""

import argparse
import platform
from datetime import date
from pathlib import Path

from ecg_generator_with_train_src.common.command_line import available_cores, make_parser, positive_int, run
from experiment.benchmarks.commands import COMPETITION


def main(argv: list[str] | None = None) -> None:
    """Run the chosen benchmark."""
    args = parse_arguments(argv)
    print(f"{platform.processor() or platform.machine()}, {available_cores()} cores, {date.today()}")
    args.run(args)


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__)
    commands = parser.add_subparsers(
        dest="benchmark", required=True, metavar="render|degrade|train|predict|read|runtimes|ladder"
    )
    render = commands.add_parser("render", help="drawing and building pages")
    add_records(render)
    render.add_argument("--num-records", type=positive_int, default=100, help="pages of the larger run")
    render.set_defaults(run=run_render)
    degrade = commands.add_parser("degrade", help="degradation profiles")
    add_records(degrade)
    degrade.add_argument("--num-records", type=positive_int, default=12, help="pages of each profile")
    degrade.set_defaults(run=run_degrade)
    add_train(commands)
    predict = commands.add_parser("predict", help="labelling pages")
    add_records(predict)
    predict.add_argument("--num-pages", type=positive_int, default=6, help="pages of each kind")
    add_network(predict)
    predict.set_defaults(run=run_predict)
    add_read(commands)
    runtimes = commands.add_parser("runtimes", help="OpenVINO beside torch")
    runtimes.add_argument("--checkpoint", type=Path, help="weights to use; if not given, the shipped ones")
    runtimes.set_defaults(run=run_runtimes)
    add_ladder(commands)
    return parser.parse_args(argv)


def add_records(command: argparse.ArgumentParser) -> None:
    """Add the flag for the records that pages are drawn from."""
    command.add_argument("--csv-root", type=Path, default=Path("data/sample_records"), help="records to draw")


def add_network(command: argparse.ArgumentParser) -> None:
    """Add the flags for the network and for where it runs."""
    command.add_argument("--checkpoint", type=Path, help="weights to use; if not given, the shipped ones")
    command.add_argument("--device", default="auto", help="device to use: auto, tpu, xla-cpu, cuda or cpu")


def add_train(commands: argparse._SubParsersAction) -> None:
    """Add the flags of `train`."""
    train = commands.add_parser("train", help="the training loop")
    config = Path("experiment/configs/demo_cpu.yaml")
    train.add_argument("--config", type=Path, default=config, help="configuration of the run")
    train.add_argument("--device", default="auto", help="where to train: auto, tpu, xla-cpu, cuda or cpu")
    train.add_argument("--num-steps", type=positive_int, default=30, help="steps timed at a time")
    train.add_argument("overrides", nargs="*", metavar="key=value", help="settings that replace the file's")
    train.set_defaults(run=run_train)


def add_read(commands: argparse._SubParsersAction) -> None:
    """Add the flags of `read`."""
    read = commands.add_parser("read", help="reading signals back")
    add_records(read)
    read.add_argument("--num-pages", type=positive_int, default=12, help="pages of each layout")
    add_network(read)
    images = "pictures whose stages are timed, of one page each; if not given, a scan and photos are drawn"
    read.add_argument("--images", type=Path, nargs="+", default=[], help=images)
    layouts = "layouts of the pages; some, such as 12x1, need full records"
    read.add_argument("--layouts", nargs="+", metavar="LAYOUT", default=[COMPETITION], help=layouts)
    read.set_defaults(run=run_read)


def add_ladder(commands: argparse._SubParsersAction) -> None:
    """Add the flags of `ladder`."""
    ladder = commands.add_parser("ladder", help="where the reading of pages loses")
    ladder.add_argument(
        "--images", type=Path, nargs="+", required=True, help="images <id>-<type>, or folders of them"
    )
    ladder.add_argument(
        "--truth-root", type=Path, required=True, help="the records: <root>/<id>/<id>.csv or <root>/<id>.csv"
    )
    add_network(ladder)
    ladder.set_defaults(run=run_ladder)


# Benchmarks are imported when they run, because they load torch, which --help does not need.


def run_render(args: argparse.Namespace) -> None:
    """Run `render`."""
    from experiment.benchmarks.pages import benchmark_render

    benchmark_render(args.csv_root, args.num_records)


def run_degrade(args: argparse.Namespace) -> None:
    """Run `degrade`."""
    from experiment.benchmarks.pages import benchmark_degrade

    benchmark_degrade(args.csv_root, args.num_records)


def run_train(args: argparse.Namespace) -> None:
    """Run `train`."""
    from experiment.benchmarks.training import benchmark_train

    benchmark_train(args.config, args.overrides, args.device, args.num_steps)


def run_predict(args: argparse.Namespace) -> None:
    """Run `predict`."""
    from experiment.benchmarks.network import NetworkRun, benchmark_predict

    benchmark_predict(NetworkRun(args.csv_root, args.num_pages, args.checkpoint, args.device))


def run_read(args: argparse.Namespace) -> None:
    """Run `read`."""
    from experiment.benchmarks.network import NetworkRun, benchmark_read, benchmark_stages

    run = NetworkRun(args.csv_root, args.num_pages, args.checkpoint, args.device)
    benchmark_stages(run, args.images)
    benchmark_read(run, args.layouts)


def run_runtimes(args: argparse.Namespace) -> None:
    """Run `runtimes`."""
    from experiment.benchmarks.runtimes import benchmark_runtimes

    benchmark_runtimes(args.checkpoint)


def run_ladder(args: argparse.Namespace) -> None:
    """Run `ladder`."""
    from experiment.benchmarks.ladder import benchmark_ladder

    benchmark_ladder(args.images, args.truth_root, args.checkpoint, args.device)


if __name__ == "__main__":
    run(main)
