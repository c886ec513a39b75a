#!/usr/bin/env bash
# bash scripts/finetune.sh FOLDER [key=value …]: train the shipped weights further on your own pages.
#
# FOLDER holds records and their scans or photos: <id>/<id>.csv beside <id>/<id>-0005.jpg (the README lists types and
# formats). The pages are found in their pictures and labelled, pages of the same records are drawn and degraded, and
# both train the shipped weights further. A tenth of the recordings is held out: their real pages are read with the
# shipped weights and with the new ones, and both readings are scored. If the script is interrupted, the same command
# continues. Settings key=value, such as run.epochs=2, go to train_tpu.py.
set -euo pipefail
folder=$(realpath "${1:?give a folder of records and their pages: <id>/<id>.csv and <id>/<id>-0005.jpg}")
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

data=data/finetune
run=runs/finetune_run
weights=runs/finetuned/grid_wave_net.safetensors

echo "== 1/5 pages of the records"
"$PYTHON" scripts/batch_render_waveforms.py --csv-root "$folder" \
    --grid ecg_generator_with_train_src/export/clean_ecg_grid.png \
    --image-dir "$data/wave_images" --mask-dir "$data/wave_masks" --calibration-pulse left none

echo "== 2/5 real pages registered, drawn pages degraded"
# A page that cannot be registered is named and left out; this gives exit code 1, but is no reason to stop
"$PYTHON" scripts/build_dataset.py --input-root "$folder" --mask image_data/complete_mask.png \
    --wave-root "$data/wave_images" --output-root "$data/dataset" --real-pages all \
    --profiles kaggle --draw-profiles 3 --val-fraction 0.1 || [ $? = 1 ]

echo "== 3/5 training from the shipped weights"
"$PYTHON" experiment/train_tpu.py --config experiment/configs/finetune.yaml "$@"

echo "== 4/5 weights"
"$PYTHON" experiment/export_weights.py --checkpoint "$run/checkpoints/best.safetensors" --output "$weights" --onnx

echo "== 5/5 the held-out pages, read with the shipped weights and with the new ones"
held_out=("$data"/dataset/val/images/*-real-*)
rates=()
if [ -f "$folder/train.csv" ]; then rates=(--train-csv "$folder/train.csv"); fi
for which in shipped finetuned; do
    chosen=()
    if [ $which = finetuned ]; then chosen=(--checkpoint "$weights"); fi
    "$PYTHON" experiment/digitize.py --images "${held_out[@]}" --output-dir "$data/readings_$which" \
        "${rates[@]}" "${chosen[@]}" || [ $? = 1 ]
    echo "-- $which weights"
    "$PYTHON" experiment/score.py --predictions "$data/readings_$which" --truth-root "$folder" || [ $? = 1 ]
done

echo "weights   $weights (--checkpoint of predict.py and digitize.py)"
echo "readings  $data/readings_shipped/ and $data/readings_finetuned/"
