#!/usr/bin/env bash
# Counts the instructions of search steps: a comparison of two versions that no other load on the machine disturbs.
#
#   bench/callgrind.sh                          # this checkout, NASNet space
#   bench/callgrind.sh --space nasbench201 --batch 4 --against other/step
#
# Valgrind has no AVX-512, so this counts the AVX2 kernels; waiting for memory does not show. Use it to see whether a
# change saves work, and `bench/compare.py` to see whether it saves time.
set -euo pipefail
cd "$(dirname "$0")/.."

space=nasnet batch=2 steps=1 binary='' against=''
while (($#)); do
    case $1 in
        --space) space=$2 ;;
        --batch) batch=$2 ;;
        --steps) steps=$2 ;;
        --binary) binary=$2 ;;   # a built `step` example; by default it is built first
        --against) against=$2 ;; # another version's `step` example, counted too
        *) sed -n '2,9p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
command -v valgrind >/dev/null || { echo 'valgrind is not installed' >&2; exit 1; }
if [[ -z $binary ]]; then
    cargo build --release --workspace --example step
    binary=${CARGO_TARGET_DIR:-target}/release/examples/step
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Instructions of one run with so many steps, by function.
count() { # binary, steps, name
    GDAS_SIMD=avx2 valgrind --tool=callgrind --callgrind-out-file="$scratch/$3" "$1" --space "$space" --threads 1 \
        --architectures "bench/$space.txt" --batch "$batch" --steps "$2" --no-peak yes >/dev/null 2>"$scratch/log" ||
        { cat "$scratch/log" >&2; exit 1; }
    awk '/^(summary|totals):/ { print $2; exit }' "$scratch/$3"
}

for version in "$binary" ${against:+"$against"}; do
    total=$(count "$version" "$steps" out)
    printf '%s: %s instructions in %d steps (two of them to warm up), batch %d\n' "$version" "$total" $((steps + 2)) "$batch"
    callgrind_annotate --threshold=95 "$scratch/out" 2>/dev/null | grep -E '^ *[0-9,]+ ' | head -20
done
