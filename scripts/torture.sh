#!/usr/bin/env bash
# Checks every promise of docs/reliability.md in full size and prints the figures. Most of the time goes into fuzzing:
# GDAS_FUZZ_SECONDS, by default 600, for each of fifteen targets.
set -euo pipefail
cd "$(dirname "$0")/.."

began=$SECONDS
tests=(cargo test --release --workspace)
"${tests[@]}" --no-run --test torture --test not_finite --test fuzz --test served

# What is printed is the figures; the rest is kept to be looked at when something fails.
log=$(mktemp)
run() {
    local from=$SECONDS
    if ! "$@" >"$log" 2>&1; then
        cat "$log"
        exit 1
    fi
    # The first line that a test prints stands behind its name.
    grep -hoE '(figure|skipped|test result): .*' "$log"
    printf '# %d s: %s\n' $((SECONDS - from)) "$*"
}
only=(--nocapture --test-threads 1)
run "${tests[@]}" --test torture -- "${only[@]}" --ignored
run "${tests[@]}" --test torture -- "${only[@]}" a_read_only_directory
run "${tests[@]}" --test not_finite -- "${only[@]}" --include-ignored
run "${tests[@]}" --test served -- "${only[@]}" --include-ignored
GDAS_FUZZ_SECONDS=${GDAS_FUZZ_SECONDS:-600} run "${tests[@]}" --test fuzz -- "${only[@]}" --ignored
rm "$log"
printf '# all of it: %d s\n' $((SECONDS - began))
