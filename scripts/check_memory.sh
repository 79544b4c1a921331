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
levels=(portable avx2)
if grep -q avx512f /proc/cpuinfo; then levels+=(avx512); fi

for binary in $(RUSTC_WORKSPACE_WRAPPER=$wrapper binaries); do
    for level in "${levels[@]}"; do
        echo "== AddressSanitizer, $level: $binary"
        ASAN_OPTIONS=detect_leaks=0 GDAS_SIMD=$level PROPTEST_CASES=${CASES:-20} "$binary" --test-threads 1
    done
done
for binary in $(binaries); do
    for level in portable avx2; do
        echo "== Valgrind, $level: $binary"
        GDAS_SIMD=$level PROPTEST_CASES=${CASES:-2} valgrind -q --error-exitcode=9 "$binary" --test-threads 1
    done
done
echo "nothing found"
