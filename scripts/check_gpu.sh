#!/usr/bin/env bash
# Builds gdas with a graphics device and checks the device's kernels against the processor's. Without a graphics card,
# Mesa's software Vulkan device does: apt-get install -y mesa-vulkan-drivers libvulkan1
#
#     scripts/check_gpu.sh            # feature wgpu
#     FEATURE=vulkan scripts/check_gpu.sh
#
# A build with a device is another build of Burn: it gets a target directory of its own, so that the usual one stays.
set -euo pipefail
cd "$(dirname "$0")/.."
feature="${FEATURE:-wgpu}"
export CARGO_TARGET_DIR="${GPU_TARGET_DIR:-$PWD/target/gpu}"

cargo test --release --workspace --features "gdas-cli/$feature" --test gpu -- --nocapture
cargo run --release --features "$feature" -- devices --list
runs="$(mktemp -d)"
trap 'rm -r "$runs"' EXIT
gdas() { "$CARGO_TARGET_DIR/release/gdas" "$@"; }
# A whole tiny search, stopped once and gone on with, then the training of what it found, all on the device.
gdas search --preset smoke --device "$feature" --runs "$runs" --name tiny --quiet
gdas train "$runs/tiny" --preset smoke --device "$feature" --runs "$runs" --name trained --quiet
gdas evaluate "$runs/trained" --device "$feature"
gdas evaluate "$runs/trained" --device cpu
