"""python scripts/build_dataset.py: what it does stands in ecg_generator_with_train_src."""

from ecg_generator_with_train_src.build_dataset import main
from ecg_generator_with_train_src.common.command_line import run

if __name__ == "__main__":
    run(main)
