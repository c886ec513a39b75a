#!/usr/bin/env bash
# bash scripts/train_pretrained.sh PTB_XL_FOLDER: make the shipped weights from PTB-XL as its authors publish it.
# The steps are: CSVs, pages in seven layouts, two of nine profiles for each page, training, export. If the script is
# interrupted, the same command continues where it stopped.
set -euo pipefail
ptbxl_root=${1:?give the folder of PTB-XL, with ptbxl_database.csv and records500/ in it}
ptbxl_root=$(realpath "$ptbxl_root")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

grid=ecg_generator_with_train_src/export/clean_ecg_grid.png
data=data/ptbxl
run=runs/pretrained_run
layouts=(3x4+II 3x4 3x4+V1,II,V5 6x2 6x2+II 12x1 4x3)

render() { # render CSV-FOLDER FLAGS...: draw pages of all records of a folder
    "$PYTHON" scripts/batch_render_waveforms.py --csv-root "$1" --grid "$grid" \
        --image-dir "$data/wave_images" --mask-dir "$data/wave_masks" "${@:2}"
}

"$PYTHON" scripts/import_ptbxl.py --ptbxl-root "$ptbxl_root" --ids experiment/pretrained/record_ids.txt --output-root "$data/csv"

echo "== the competition's page of every record, and a page of another clinic in one of the layouts"
render "$data/csv" --calibration-pulse left none
number=0
while read -r record; do
    subset=$data/csv_${layouts[$((number % ${#layouts[@]}))]}
    mkdir -p "$subset"
    ln -sf "$(realpath "$data/csv/$record.csv")" "$subset/"
    number=$((number + 1))
done <experiment/pretrained/record_ids.txt
for layout in "${layouts[@]}"; do
    render "$data/csv_$layout" --layouts "$layout" --style varied --dpi 150 200 200 200 250 \
        --paper-size letter a4 --calibration-pulse left right none --separators yes no \
        --gain-mm-mv 5 10 10 10 20 --paper-speed-mm-s 25 25 25 50 --lead-order standard standard cabrera
done

echo "== two of the nine profiles for each page"
"$PYTHON" scripts/build_dataset.py --input-root "$data/csv" --mask image_data/complete_mask.png \
    --wave-root "$data/wave_images" --output-root "$data/dataset" --profiles kaggle --draw-profiles 2 --val-fraction 0.1

echo "== training"
# By default glibc returns large blocks to the system after every step and fetches them again, which slows a CPU down
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=500000000
"$PYTHON" experiment/train_tpu.py --config experiment/configs/pretrained.yaml

"$PYTHON" experiment/export_weights.py --checkpoint "$run/checkpoints/best.safetensors" \
    --output experiment/pretrained/grid_wave_net.safetensors --onnx
"$PYTHON" experiment/predict.py --images "$data/dataset/val/images" --truth-root "$data/dataset" \
    --checkpoint experiment/pretrained/grid_wave_net.safetensors --output-dir "$run/predictions"
cp "$run/predictions/metrics.json" experiment/pretrained/metrics.json
