#!/usr/bin/env bash
# bash scripts/demo.sh: run the whole pipeline on simulated records, on the CPU: records, grid, waveforms, dataset,
# training, prediction. After the installation it takes about 4 minutes on two cores. A second run reuses the files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

grid=ecg_generator_with_train_src/export/clean_ecg_grid.png
mask=image_data/complete_mask.png
demo=data/demo
run=runs/demo_run

step() { printf '\n== %s\n' "$*"; }

step "1/6 sample records"
"$PYTHON" scripts/make_sample_records.py --num-records 24 --seed 0 --output-root data/sample_records

step "2/6 grid"
if [ -f "$grid" ] && [ -f "$mask" ]; then
    echo "already there: $grid, $mask"
else
    "$PYTHON" -m ecg_generator_with_train_src.export_clean_grid
fi

step "3/6 waveforms"
"$PYTHON" scripts/batch_render_waveforms.py --csv-root data/sample_records --grid "$grid" \
    --image-dir "$demo/wave_images" --mask-dir "$demo/wave_masks"

step "4/6 dataset"
"$PYTHON" scripts/build_dataset.py --input-root data/sample_records --mask "$mask" \
    --wave-root "$demo/wave_images" --output-root "$demo/dataset"

step "5/6 training (CPU)"
env -u PJRT_DEVICE "$PYTHON" experiment/train_tpu.py --config experiment/configs/demo_cpu.yaml --device cpu

step "6/6 prediction of the validation pages"
"$PYTHON" experiment/predict.py --images "$demo/dataset/val/images" --truth-root "$demo/dataset" \
    --checkpoint "$run/checkpoints/best.safetensors" --output-dir "$run/predictions" --device cpu

step "done"
echo "pages       $demo/dataset/val/images/"
echo "masks       $demo/dataset/val/masks/"
echo "predictions $run/predictions/ (<page>_overlay.png to look at, <page>_mask.png, metrics.json)"
echo "curves      $run/curves.png"
echo "checkpoint  $run/checkpoints/best.safetensors"
