#!/usr/bin/env bash
# Lints gdas built with a graphics device, and checks what runs there against the processor: the kernels against their meaning,
# a whole tiny search step by step, a training and a test. Without a graphics card, Mesa's software Vulkan device does:
# apt-get install -y mesa-vulkan-drivers libvulkan1
#
#     scripts/check_gpu.sh            # feature wgpu
#     scripts/check_gpu.sh tests      # only lints and the kernels
#     FEATURE=vulkan scripts/check_gpu.sh
#
# A build with a device is another build of Burn: it gets a target directory of its own, so that the usual one stays.
set -euo pipefail
cd "$(dirname "$0")/.."
feature="${FEATURE:-wgpu}"
export CARGO_TARGET_DIR="${GPU_TARGET_DIR:-$PWD/target/gpu}"
# Without a device the tests of the kernels would pass without having looked at anything.
export GDAS_GPU_TESTS=required

cargo clippy --release --workspace --all-targets --features "gdas-cli/$feature" -- -D warnings
cargo test --release --workspace --features "gdas-cli/$feature" --test gpu
[ "${1:-}" != tests ] || exit 0

cargo build --release --workspace --features "gdas-cli/$feature" --bin gdas
runs="$(mktemp -d)"
trap 'rm -r "$runs"' EXIT
gdas() { "$CARGO_TARGET_DIR/release/gdas" "$@"; }

# The interpreter launches none of the engine's kernels: none means that the wrong one ran.
step="$(gdas devices --device "$feature" --preset smoke --json)"
echo "$step"
echo "$step" | grep -q '"launches":[1-9]' || { echo "the fused kernels did not run on $feature" >&2; exit 1; }

# search NAME DEVICE [FLAGS]: a search that lies in runs/NAME, and the losses of all its steps.
search() {
    local name="$1"
    shift
    gdas search --preset smoke --device "$@" --log-interval 1 --runs "$runs" --name "$name" --quiet >/dev/null
    for key in train_loss held_out_loss; do
        grep '"event":"step"' "$runs/$name/events.jsonl" | grep -o "\"$key\":[^,]*" | cut -d: -f2
    done >"$runs/losses-$name"
    grep -o '"genotype": *"[^"]*"' "$runs/$name/result.json" >"$runs/cell-$name"
}
# near NAME TOLERANCE: whether its losses are those of the processor.
near() {
    paste "$runs/losses-cpu" "$runs/losses-$1" | awk -v tolerance="$2" '
        { apart = $1 - $2; if (apart < 0) apart = -apart; if (apart > most) most = apart }
        NF != 2 || !(apart < tolerance) { print "loss " NR ": " $0; wrong = 1 }
        END { print NR " losses, at most " most " apart"; exit wrong || NR == 0 }'
}

# The same search on both: the same draws, the same cell, and every loss within 0.001 (rounding adds up over the steps).
search cpu cpu
search float32 "$feature"
cmp "$runs/cell-cpu" "$runs/cell-float32"
near float32 1e-3

# In 16 bits, where the device can store them: within a few of their rounding steps.
for precision in float16:0.02 bfloat16:0.1; do
    type="${precision%:*}"
    if gdas devices --device "$feature" --precision "$type" --list --json | grep -q '"error"'; then
        echo "$type: not on this device"
        continue
    fi
    search "$type" "$feature" --precision "$type"
    printf "%s: " "$type"
    near "$type" "${precision#*:}"
done

gdas train "$runs/float32" --preset smoke --device "$feature" --runs "$runs" --name trained --quiet
gdas evaluate "$runs/trained" --device "$feature"
gdas evaluate "$runs/trained" --device cpu
