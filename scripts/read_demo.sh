#!/usr/bin/env bash
# bash scripts/read_demo.sh [PAGES...]: read ECG pages, a sample photo if none is given, to twelve leads. The first time,
# this makes .venv with all that reading needs (about 250 MB to download, 800 MB on disk), without torch.
set -euo pipefail
NEEDS=read source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

pages=("$@")
if [ $# = 0 ]; then pages=("$root/image_data/sample_page.jpg"); fi
code=0
"$PYTHON" "$root/experiment/digitize.py" --images "${pages[@]}" --output-dir readings || code=$?
echo "leads in mV  readings/*.csv"
echo "pictures     readings/*_traces.png (the traces over the page), readings/report.html"
exit "$code"
