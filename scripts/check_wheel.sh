#!/usr/bin/env bash
# Builds the Python wheel as a user would, from the crate and from the root of the repository, installs it into a fresh
# environment and looks at it there: its tests, the notebook of the book, its stubs against the module, its types and the
# tests' own. It shares the workspace's build of Burn. Where PyTorch is wanted, TORCH=1 installs it, which is a large download;
# without it, what needs it is skipped.
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
export MATURIN_PEP517_ARGS="--locked" CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

step() { printf '\n== %s\n' "$*"; "$@"; }

"$python" -m venv "$work/use"
pip="$work/use/bin/pip --quiet --disable-pip-version-check"
step $pip wheel --no-deps --wheel-dir "$wheels" ./crates/gdas-python
step $pip wheel --no-deps --wheel-dir "$work/root" .
wheel=("$wheels"/gdas-*.whl)
step "$work/use/bin/python" - "${wheel[0]}" "$work"/root/gdas-*.whl <<'PYTHON'
import sys, zipfile
crate, root = ({name for name in zipfile.ZipFile(file).namelist() if "/licenses/" not in name} for file in sys.argv[1:])
sys.exit(f"the wheels of crate and root differ: {sorted(crate ^ root)}" if crate != root else 0)
PYTHON
step $pip install "${wheel[0]}"
step $pip install pytest mypy pandas pandas-stubs pillow matplotlib tqdm ${TORCH:+torch}
# Away from the sources, so that nothing but the wheel can be imported.
tests=$PWD/crates/gdas-python/tests
cd "$work"
step use/bin/gdas --version
step use/bin/python -m pytest -q -ra --durations=5 "$tests"
printf '[mypy]\nignore_missing_imports = True\ncheck_untyped_defs = True\n' > mypy.ini
step use/bin/python -m mypy.stubtest --mypy-config-file mypy.ini gdas._gdas
step use/bin/python -m mypy --strict -p gdas
step use/bin/python -m mypy "$tests"
printf '\n%s: %d KB\n' "${wheel[0]##*/}" "$(($(wc -c < "${wheel[0]}") / 1000))"
