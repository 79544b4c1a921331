#!/usr/bin/env bash
# Looks for wrong uses of memory in the kernels, where all unsafe code is: AddressSanitizer with every set of
# instructions that this processor has, and Valgrind's memcheck, which knows no AVX-512, with the others.
set -euo pipefail
cd "$(dirname "$0")/.."

# Only the workspace's own crates are instrumented; its dependencies stay as they are, and are not compiled again.
# A released compiler has the sanitizer, but takes the flag only where it is told to take unstable ones.
wrapper=$(mktemp)
trap 'rm -f "$wrapper"' EXIT
cat >"$wrapper" <<'END'
#!/bin/sh
RUSTC_BOOTSTRAP=1 exec "$@" -Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer
END
chmod +x "$wrapper"

# The binaries of the kernels' own tests, as cargo tells them.
binaries() { cargo test --release --workspace --no-run --test engine 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p'; }
# run_tests LEVEL [WRAPPER...] BINARY: runs the tests of a binary, and checks that all of them ran, on that instruction set.
run_tests() {
    local level=$1 binary=${!#} expected printed
    shift
    expected=$("$binary" --list 2>/dev/null | grep -c ': test$')
    printed=$(GDAS_SIMD=$level "$@" --test-threads 1 | tee /dev/stderr)
    grep -q "^test result: ok. $expected passed; 0 failed; 0 ignored" <<<"$printed" || return 1
    grep -q 'the_engine_runs_on_the_instruction_set_that_is_asked_for ... ok' <<<"$printed"
}
export ASAN_OPTIONS=detect_leaks=0
levels=(portable avx2)
if grep -q avx512f /proc/cpuinfo; then levels+=(avx512); else echo 'skipped: this processor has no AVX-512' >&2; fi

for binary in $(RUSTC_WORKSPACE_WRAPPER=$wrapper binaries); do
    for level in "${levels[@]}"; do
        echo "== AddressSanitizer, $level: $binary"
        PROPTEST_CASES=${CASES:-20} run_tests "$level" "$binary"
    done
done
for binary in $(binaries); do
    for level in portable avx2; do
        echo "== Valgrind, $level: $binary"
        PROPTEST_CASES=${CASES:-2} run_tests "$level" valgrind -q --error-exitcode=9 "$binary"
    done
done
echo "nothing found"
