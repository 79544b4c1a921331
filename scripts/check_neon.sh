#!/usr/bin/env bash
# Compiles the engine of the processor for ARM and runs its tests on an emulated one, with NEON and in portable code.
#
#     scripts/check_neon.sh        # CASES=5: random networks per test
#
# Needs qemu-aarch64 and aarch64-linux-gnu-gcc (Debian: qemu-user, gcc-aarch64-linux-gnu), and the standard library of
# aarch64-unknown-linux-gnu: `rustup target add` where that can be reached, otherwise Debian's compiler, unpacked beside the build
# and not installed. Where something is missing it says so and ends well.
set -euo pipefail
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/neon"
skip() { echo "skipped: $*; the NEON kernels are not tested" >&2; exit 0; }

# Debian's compiler and its standard libraries for this machine and for ARM, in $1.
unpack_debian_compiler() {
    local apt="$1/apt"
    mkdir -p "$apt"/{lists/partial,archives/partial} "$1/packages" "$1/root"
    touch "$apt/status"
    cat >"$apt/conf" <<END
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "root";
Dir::State "$apt";
Dir::State::Lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
END
    export APT_CONFIG="$apt/conf"
    apt-get -qq update
    local version
    version=$(apt-cache madison rustc-web | awk '{ print $3; exit }')
    [ "$version" ] || return 1
    (
        cd "$1/packages"
        local library
        library=$(apt-cache show "libstd-rust-web-dev=$version" | sed -n 's/^Depends: .*\(libstd-rust-web-[0-9.]*\) .*/\1/p' | head -1)
        local llvm
        llvm=$(apt-cache show "$library=$version" | sed -n 's/^Depends: .*\(libllvm[0-9]*\).*/\1/p' | head -1)
        apt-get -qq download "rustc-web=$version" "$library=$version" "libstd-rust-web-dev=$version" \
            "libstd-rust-web-dev:arm64=$version" "$llvm"
    )
    for package in "$1"/packages/*.deb; do dpkg -x "$package" "$1/root"; done
    unset APT_CONFIG
    cat >"$1/rustc" <<END
#!/bin/sh
LD_LIBRARY_PATH="$1/root/usr/lib/x86_64-linux-gnu" exec "$1/root/usr/bin/rustc" "\$@"
END
    chmod +x "$1/rustc"
}

if ! command -v qemu-aarch64 >/dev/null || ! command -v aarch64-linux-gnu-gcc >/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || skip 'no qemu-aarch64 or no aarch64-linux-gnu-gcc'
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross; } ||
        skip 'could not install qemu-user and gcc-aarch64-linux-gnu'
fi
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    compiler="$CARGO_TARGET_DIR/compiler"
    if ! [ -x "$compiler/rustc" ]; then
        command -v dpkg >/dev/null || skip "no standard library for $target"
        unpack_debian_compiler "$compiler" || skip "no standard library for $target, and no compiler of Debian's"
    fi
    export RUSTC="$compiler/rustc"
fi

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
binary=$(cargo test --release --manifest-path crates/gdas-kernels/emulated/Cargo.toml --target "$target" --test engine --no-run 2>&1 |
    tee /dev/stderr | sed -n 's/.*Executable.*(\(.*\))/\1/p')
[ "$binary" ] || exit 1
tests=$(qemu-aarch64 -L /usr/aarch64-linux-gnu "$binary" --list 2>/dev/null | grep -c ': test$')
for level in neon portable; do
    echo "== emulated ARM, $level"
    printed=$(GDAS_SIMD=$level PROPTEST_CASES=${CASES:-5} qemu-aarch64 -L /usr/aarch64-linux-gnu "$binary" | tee /dev/stderr)
    # One of the tests checks the level.
    grep -q "the_engine_runs_on_the_instruction_set_that_is_asked_for ... ok" <<<"$printed"
    grep -q "^test result: ok. $tests passed; 0 failed; 0 ignored" <<<"$printed"
    echo "$tests tests passed with $level"
done
