# read_demo.sh, demo.sh, test.sh, finetune.sh, train_from_seeds.sh and train_pretrained.sh source this file. It sets $PYTHON to a Python
# that has every package of requirements.txt; if $NEEDS is `read`, of requirements-read.txt, which is a tenth of that.
# An active environment that has torch is used: it keeps its torch, and missing packages are installed into it.
# Otherwise .venv is made beside this file's folder. The first time, about 4 GB are downloaded, mostly torch; for
# reading alone it is a quarter of a GB.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

supported() { # succeeds if $1 is a Python 3.10 to 3.13
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if supported "$name"; then echo "$name"; return; fi
    done
    echo "error: no Python 3.10 to 3.13 on the PATH; install one (Debian: apt install python3 python3-venv)" >&2
    return 1
}

requirements_without_torch() {
    cat "$root"/requirements-{read,data,train}.txt "$root/requirements.txt" | grep -v '^torch\|^-r'
}

install_once() { # install_once STAMP PIP-ARGUMENTS...: install unless the lists are the same as the last time
    local stamp=$1 lists
    shift
    lists=$(cat "$root"/requirements*.txt "$root/pyproject.toml" | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$lists $root" ]; then return; fi
    echo "installing into $prefix ($size, the first time) ..."
    # Without --no-compile, compiled copies of modules that nobody imports take 100 MB.
    (cd "$root" && "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-compile "$@")
    echo "$lists $root" >"$stamp"
}

if [ "${NEEDS:-all}" = read ]; then size="about 250 MB"; else size="about 4 GB with torch"; fi
if supported python && python -c 'import torch' 2>/dev/null; then
    PYTHON=$(command -v python)
    echo "using the active environment: $PYTHON (has torch)"
    prefix=$("$PYTHON" -c 'import sys; print(sys.prefix)')
    everything=(-r /dev/stdin)
else
    if [ ! -x "$root/.venv/bin/python" ]; then
        system_python=$(find_python)
        echo "making $root/.venv with $("$system_python" --version)"
        "$system_python" -m venv "$root/.venv"
    fi
    PYTHON=$root/.venv/bin/python
    prefix=$root/.venv
    everything=(-r requirements.txt)
fi
if [ "${NEEDS:-all}" = read ]; then
    install_once "$prefix/.kaggle-ecg-read" -e .
else
    install_once "$prefix/.kaggle-ecg-requirements" "${everything[@]}" < <(requirements_without_torch)
fi
