"""python experiment/train_row_reader.py --dataset-root DATASET --output WEIGHTS

Train the small network that looks at every trace of a photo again and corrects its heights. It learns from the traces
that the reading finds on pages of a dataset, simulated or registered, whose true traces are known. An interrupted
training continues. Reading a page takes some ten seconds of one CPU core, 4,000 steps a quarter of an hour.
"""

from pathlib import Path

from tqdm import tqdm

from ecg_generator_with_train_src.common.command_line import (
    add_seed,
    make_parser,
    positive_float,
    positive_int,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import read_manifest


def main(argv: list[str] | None = None) -> int:
    """Train the network; returns the exit code."""
    parser = make_parser(__doc__)
    parser.add_argument("--dataset-root", type=Path, required=True, help="what build_dataset.py wrote")
    parser.add_argument(
        "--checkpoint", type=Path, help="weights that label the pages; if not given, the shipped"
    )
    parser.add_argument(
        "--pages", type=positive_int, default=150, help="simulated pages to learn from, at most"
    )
    parser.add_argument("--output", type=Path, required=True, help="the weights to write, .safetensors")
    parser.add_argument("--steps", type=positive_int, default=4000, help="steps of training in all")
    parser.add_argument("--batch-size", type=positive_int, default=16, help="pieces of traces a step")
    parser.add_argument("--lr", type=positive_float, default=2e-3, help="highest learning rate")
    parser.add_argument("--start", type=Path, help="weights to go on from, as of an earlier training")
    add_seed(parser)
    arguments = parser.parse_args(argv)
    from experiment.labelling.network_flags import checkpoint_of
    from experiment.labelling.see_page import PageSeer, seers_weights
    from experiment.runtime.choose import runtime_here
    from experiment.runtime.network import RuntimeOptions
    from experiment.training.row_material import page_of, samples_to_read
    from experiment.training.row_training import RowTraining, train_row_net

    checkpoint = checkpoint_of(arguments.checkpoint)
    see = PageSeer(runtime_here(RuntimeOptions(), seers_weights(checkpoint)), checkpoint)
    kept = arguments.output.with_name(arguments.output.stem + "_pages")
    samples = samples_to_read(read_manifest(arguments.dataset_root), arguments.pages, arguments.seed)
    pages, unread = [], 0
    for sample in tqdm(samples, unit="page", disable=None):
        try:
            pages.append(page_of(see.predictor.page_probability, arguments.dataset_root, sample, kept))
        except InputError:
            unread += 1  # such a page is read badly, which RowNet is not there to mend
    if not pages:
        raise InputError(f"{arguments.dataset_root}: no page of its training part can be read")
    options = RowTraining(
        arguments.output,
        arguments.steps,
        arguments.batch_size,
        lr=arguments.lr,
        seed=arguments.seed,
        start=arguments.start,
    )
    train_row_net(pages, options)
    print(f"weights of {arguments.steps} steps on {len(pages)} pages, {unread} unread -> {arguments.output}")
    return 0


if __name__ == "__main__":
    run(main)
