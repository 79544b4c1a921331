#!/usr/bin/env bash
# Builds the Python wheel as a user would, installs it into a fresh environment and looks at it there: its tests
# (search, training, table, genotypes, other threads, Ctrl-C), its stubs against the module, and the tests' own types
# against the stubs. It shares the workspace's build of Burn.
#
#     scripts/check_wheel.sh [DIRECTORY FOR THE WHEEL]
#
# PYTHON names the interpreter (python3), CARGO_TARGET_DIR where to build.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wheels=$(realpath "${1:-$work/wheels}")
rm -f "$wheels"/gdas-*.whl

step() { printf '\n== %s\n' "$*"; "$@"; }

"$python" -m venv "$work/build"
step "$work/build/bin/pip" install --quiet "maturin>=1.7,<2"
step "$work/build/bin/maturin" build --release --locked --manifest-path crates/gdas-python/Cargo.toml --out "$wheels"

"$python" -m venv "$work/use"
wheel=("$wheels"/gdas-*.whl)
step "$work/use/bin/pip" install --quiet "${wheel[0]}"
step "$work/use/bin/pip" install --quiet pytest mypy
# Away from the sources, so that nothing but the wheel can be imported.
tests=$PWD/crates/gdas-python/tests
cd "$work"
step use/bin/python -m pytest -q "$tests"
step use/bin/python -m mypy.stubtest gdas
step use/bin/python -m mypy --check-untyped-defs "$tests"
printf '\n%s: %d KB\n' "${wheel[0]##*/}" "$(($(wc -c < "${wheel[0]}") / 1000))"
