#!/usr/bin/env bash
# bash scripts/prepare_original_data.sh [flags]     --help lists the flags, which are those of prepare_original_data.py
# This script finds the project's Python (the active environment, else .venv, else python3) and runs
# prepare_original_data.py with it. Its exit codes are those of ecg_generator_with_train_src/common/command_line.py.
set -euo pipefail
trap 'exit 130' INT # without it, Ctrl-C during the check below would look as if packages were missing

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

fail() {
    echo "error: $1" >&2
    exit 2
}

find_python() {
    local candidate
    for candidate in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" "${CONDA_PREFIX:+$CONDA_PREFIX/bin/python}" \
        "$root/.venv/bin/python"; do
        if [[ -n "$candidate" && -x "$candidate" ]]; then
            echo "$candidate"
            return
        fi
    done
    command -v python3 || command -v python || fail "no python3 found: install Python 3.10 or newer"
}

python="$(find_python)"
if ! "$python" -c 'import ecg_generator_with_train_src, pandas, tqdm' 2>/dev/null; then
    fail "$python lacks the project's packages: run \"$python -m pip install -r requirements.txt\" in $root"
fi
exec "$python" "$root/scripts/prepare_original_data.py" "$@"
