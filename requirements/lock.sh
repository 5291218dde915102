#!/usr/bin/env bash
# Renews the hashed locks from pyproject.toml. The locks name no registry's address: pip uses the one it is set up with.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() {
    out=$1; shift
    .venv/bin/uv pip compile "$@" --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --quiet --output-file "requirements/$out"
}
lock runtime.lock pyproject.toml
lock dev.lock pyproject.toml --extra embedded --extra files --extra train --extra dev --constraint requirements/runtime.lock
lock demo.lock pyproject.toml --extra embedded --group demo --constraint requirements/dev.lock
lock bench.lock pyproject.toml --extra bench
lock image.lock --group image
