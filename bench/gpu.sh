#!/usr/bin/env bash
# Everything that is to be measured on a machine with a graphics card, in one go: builds what it needs, searches,
# trains and tests on the device, times the search step here (float32, and 16 bits stored) and in PyTorch on the same
# card, says where a step spends its time, times every kernel, and runs a whole search. Prints tables as it goes and leaves
# them in bench/gpu-results.md with the logs beside it.
#
#     bench/gpu.sh                       # cuda where nvcc is there, else vulkan (needs libvulkan1), else wgpu: what works first
#     FEATURE=cuda EPOCHS=250 bench/gpu.sh
#     BUILD=no bench/gpu.sh              # with what lies built in target/gpu (or $GPU_TARGET_DIR), where nothing can be built
#     PYTHON=python3 bench/gpu.sh        # a Python with PyTorch and CUDA; without one that column stays empty
#
# PRESET (paper), BATCHES ("64 256"), IMAGE_SIZE (32) and DATA (cifar10) are what is timed and searched; smaller ones try
# the script itself.
# EPOCHS (default 3) is the length of the search that is timed; its time for 250 epochs is given by proportion and
# said to be so, unless EPOCHS=250.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
features="${FEATURE:-$(command -v nvcc >/dev/null && echo cuda) vulkan wgpu}"
epochs="${EPOCHS:-3}"
data="${DATA:-cifar10}"
preset="${PRESET:-paper}"
batches="${BATCHES:-64 256}"
size="${IMAGE_SIZE:-32}"
python="${PYTHON:-python3}"
export CARGO_TARGET_DIR="${GPU_TARGET_DIR:-$PWD/target/gpu}"
logs="$(mktemp -d "${TMPDIR:-/tmp}/gdas-gpu.XXXX")"
table="bench/gpu-results.md"
gdas="$CARGO_TARGET_DIR/release/gdas"

say() { printf '\n== %s\n' "$*" >&2; }
row() { printf '| %s | %s |\n' "$1" "$2" | tee -a "$table"; }
# One field of a JSON object on standard input.
field() { grep -oE "\"$1\":(\"[^\"]*\"|[^,}]*)" | head -1 | cut -d: -f2- | tr -d '"'; }

if [[ "$features" == *vulkan* ]] && ! ldconfig -p | grep -q libvulkan.so; then
    say "libvulkan is missing: apt-get install -y libvulkan1"
    (apt-get update && apt-get install -y libvulkan1) >"$logs/apt.log" 2>&1 || say "could not install it"
fi
{
    printf '# Search step on a graphics card\n\nMade by `bench/gpu.sh` on %s, commit %s.\n\n' \
        "$(date -u +%F)" "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
    printf '| what | value |\n| --- | --- |\n'
} >"$table"
row "card" "$(nvidia-smi --query-gpu=name,memory.total --format=csv,noheader 2>/dev/null || echo 'see the device')"

build() {
    [ "${BUILD:-yes}" != no ] || return 0
    say "build with feature $feature"
    local start
    start=$(date +%s)
    cargo build --release --workspace --features "gdas-cli/$feature" --bin gdas --example kernels_gpu || return 1
    row "feature, seconds to build" "$feature, $(($(date +%s) - start)) s"
}
# Whether a tiny search, a training and a test run on the device, and the same test on the processor.
tiny() {
    say "a tiny search, training and test with $feature"
    "$gdas" search --preset smoke --device "$feature" --runs "$logs/$feature" --name tiny --quiet &&
        "$gdas" train "$logs/$feature/tiny" --preset smoke --device "$feature" --runs "$logs/$feature" --name trained --quiet &&
        "$gdas" evaluate "$logs/$feature/trained" --device "$feature" &&
        "$gdas" evaluate "$logs/$feature/trained" --device cpu
}
# Not every compiler is there, and some drivers cannot take SPIR-V as CubeCL writes it; the same kernels go as WGSL, too.
works=
for feature in $features; do
    if build && tiny >"$logs/tiny.log" 2>&1; then
        works=yes
        break
    fi
    mv "$logs/tiny.log" "$logs/tiny-$feature.log" 2>/dev/null
    row "a tiny search, training and test with $feature" "FAILED, see $logs"
done
[ "$works" ] || exit 1
row "device" "$("$gdas" devices --device "$feature" --list --json | field name)"
accuracies=$(grep -o '^accuracy .*' "$logs/tiny.log" | tail -2 | awk '{print $2 " %"}' | paste -sd, -)
row "accuracy of a tiny training, tested on the device and on the processor" "$accuracies"

for space in nas-bench-201 nasnet; do
    for batch in $batches; do
        for precision in float32 bfloat16 float16; do
            say "step of $space, batch $batch, $precision"
            log="$logs/step-$space-$batch-$precision.json"
            "$gdas" devices --device "$feature" --space "$space" --preset "$preset" --batch-size "$batch" \
                --image-size "$size" --precision "$precision" --json >"$log" 2>"${log%.json}.err"
            step=$(field step_seconds <"$log")
            why=$(field error <"$log")
            row "gdas $space, batch $batch, $precision: seconds per step" \
                "${step:-failed: ${why:-$(tail -1 "${log%.json}.err")}}"
            [ "$step" ] && row "gdas $space, batch $batch, $precision: the engine's launches, bytes per step" \
                "$(field launches <"$log"), $(field bytes <"$log")"
        done
        for precision in float32 bfloat16; do
            peer=$("$python" bench/torch_step.py --space "${space//-bench-/bench}" --batch "$batch" --device cuda \
                --precision "$precision" 2>"$logs/torch.log" | grep -o 'mean [0-9.]*' | cut -d' ' -f2)
            row "PyTorch $space, batch $batch, $precision: seconds per step" "${peer:-no PyTorch with CUDA}"
        done
    done
done

say "where a step spends its time"
CUBECL_DEBUG_LOG="$logs/profile.log" CUBECL_DEBUG_OPTION=profile-medium "$gdas" devices --device "$feature" \
    --preset "$preset" --image-size "$size" --json >"$logs/profile.json"
say "every kernel, and PyTorch's operation"
kernels=("$CARGO_TARGET_DIR/release/examples/kernels_gpu" --batch "${batches%% *}" --repeats 5)
"${kernels[@]}" >"$logs/kernels.json" 2>"$logs/kernels.log"
"$python" bench/compare.py --kernels --gpu "$feature" --binary "${kernels[0]}" --batch "${batches%% *}" \
    --repeats 5 >"$logs/kernels.md" 2>>"$logs/kernels.log" || rm "$logs/kernels.md"

say "a search of $epochs epochs"
start=$(date +%s)
if "$gdas" search --data "$data" --preset "$preset" --epochs "$epochs" --device "$feature" --runs "$logs/runs" \
    --name search --seed 1 --json >"$logs/search.jsonl" 2>"$logs/search.log"; then
    seconds=$(($(date +%s) - start))
    row "search on $data, $epochs epochs: seconds, reading the images included" "$seconds"
    [ "$epochs" = 250 ] || row "250 epochs by proportion (not run)" "$((seconds * 250 / epochs)) s"
    row "genotype" "\`$(tail -1 "$logs/search.jsonl" | field genotype | sed 's/|/\\|/g')\`"
else
    row "search on $data" "failed: $(tail -1 "$logs/search.log")"
fi
{
    printf '\n## Where a step spends its time\n\nStep of %s, %s pixels wide, batch 64, each launch waited for.\n\n' "$preset" "$size"
    "$python" bench/gpu_profile.py "$logs/profile.log"
    printf '\n## Kernels\n\n'
    if [ -e "$logs/kernels.md" ]; then
        cat "$logs/kernels.md"
    else
        printf 'Without PyTorch on this card:\n\n```json\n%s\n```\n' "$(cat "$logs/kernels.json")"
    fi
} 2>>"$logs/kernels.log" | tee -a "$table"
say "written to $table; logs in $logs"
