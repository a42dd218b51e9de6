#!/usr/bin/env bash
# A virtual environment in $1, made with whatever of venv and virtualenv is there; on Debian it installs
# what is missing (a C compiler, the Python headers, venv) when it may.
set -euo pipefail
target=$1
python=${PYTHON:-python3}

missing() { # packages Debian would give us for what is not there
    command -v cc >/dev/null || echo gcc libc6-dev
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    "$python" - <<'EOT' 2>/dev/null || echo python3-dev
import os, sysconfig
assert os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h"))
EOT
}

wanted=$(missing | xargs)
if [ -n "$wanted" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $wanted
    else
        echo "please install: $wanted" >&2
        exit 1
    fi
fi
"$python" -m venv "$target"
"$target/bin/python" -m pip install --quiet --upgrade pip
