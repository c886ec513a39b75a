"""python scripts/batch_render_waveforms.py: what it does stands in ecg_generator_with_train_src."""

from ecg_generator_with_train_src.batch_render_waveforms import main
from ecg_generator_with_train_src.common.command_line import run

if __name__ == "__main__":
    run(main)
