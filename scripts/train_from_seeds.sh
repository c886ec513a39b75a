#!/usr/bin/env bash
# bash scripts/train_from_seeds.sh [key=value …]: train the main network from nothing but seeds, in ten minutes on a GPU.
#
# Records are simulated, drawn and degraded on all cores, which takes some three of the ten minutes. The network of
# grid_wave_net.yaml trains on them in the time that is left. Its best weights are exported, and label the pages that
# were held out. Given again, the command trains for another ten minutes. MINUTES and RECORDS in the environment change
# how long it takes and how many records there are. Settings key=value go to train_tpu.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

cores=$(nproc)
records=${RECORDS:-$((20 * cores))}
end_s=$((60 * ${MINUTES:-10} - 60)) # the last minute is for exporting the weights and labelling pages
data=data/seeds
run=runs/seeds_run
weights=runs/from_seeds/grid_wave_net.safetensors
SECONDS=0 # bash counts them from here on, after the installation

render() { # render FLAGS...: draw pages of all records
    "$PYTHON" scripts/batch_render_waveforms.py --csv-root "$data/records" \
        --grid ecg_generator_with_train_src/export/clean_ecg_grid.png \
        --image-dir "$data/wave_images" --mask-dir "$data/wave_masks" --calibration-pulse left none "$@"
}

echo "== 1/5 simulated records"
"$PYTHON" scripts/make_sample_records.py --num-records "$records" --seed 0 --output-root "$data/records"

echo "== 2/5 the competition's page of every record, and a page of another clinic"
render
render --style varied --dpi 150 200 250 --paper-size letter a4 --separators yes no

echo "== 3/5 two of the nine profiles for each page"
"$PYTHON" scripts/build_dataset.py --input-root "$data/records" --mask image_data/complete_mask.png \
    --wave-root "$data/wave_images" --output-root "$data/dataset" --profiles kaggle --draw-profiles 2 --val-fraction 0.1

left_s=$((end_s - SECONDS))
if [ "$left_s" -lt 60 ]; then left_s=60; fi
echo "== 4/5 training, for $left_s s"
# SIGTERM saves a checkpoint and ends the run. It never ends by itself: epochs are short, so that the best is kept often
timeout --signal=TERM "$left_s" "$PYTHON" experiment/train_tpu.py --config experiment/configs/grid_wave_net.yaml \
    run.name="$(basename "$run")" run.epochs=10000 run.steps_per_epoch=250 data.root="$data/dataset" \
    data.num_workers="$((cores > 1 ? cores - 1 : 1))" data.val_max_tiles=400 scheduler.patience=2 "$@" || [ $? = 124 ]

echo "== 5/5 weights, and the held-out pages labelled with them"
"$PYTHON" experiment/export_weights.py --checkpoint "$run/checkpoints/best.safetensors" --output "$weights" --onnx
"$PYTHON" experiment/predict.py --images "$data/dataset/val/images" --truth-root "$data/dataset" \
    --checkpoint "$weights" --output-dir "$run/predictions"
echo "weights      $weights (--checkpoint of predict.py and digitize.py)"
echo "predictions  $run/predictions/; all took $((SECONDS / 60)) min $((SECONDS % 60)) s"
