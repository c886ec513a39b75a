#!/usr/bin/env bash
# bash scripts/test.sh [PYTEST ARGUMENTS...]: set up the environment as demo.sh does, then run the whole test suite.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
# two files at a time: a test may take two cores itself
"$PYTHON" -m pytest -n 2 --dist loadfile "$@"
