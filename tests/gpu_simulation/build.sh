#!/usr/bin/env bash
# Builds the simulated GPU: the driver library, and pycuda against it.
#
#   build.sh OUT_FOLDER     leaves OUT_FOLDER/lib/libcuda.so.1 and OUT_FOLDER/site/pycuda
#
# PYTHON names the interpreter; what it needs is the dependency group gpu-simulation.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$1"
finished=$(cd "$1" && pwd)
out=$finished.new # a build that fails leaves the last one as it was
python=$(realpath --no-symlinks "$(command -v "${PYTHON:-python3}")")
pip=("$python" -m pip --disable-pip-version-check --quiet)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

rm -rf "$out"
mkdir "$out" "$out/lib" "$out/site"
cuda=$("$python" -c 'import nvidia.cu13; print(list(nvidia.cu13.__path__)[0])')

build_driver() {
    cc -std=gnu17 -O2 -Wall -Wextra -Werror -fPIC -shared -Wl,-soname,libcuda.so.1 \
        -I"$cuda/include" -I"$here" "$@" -o "$out/lib/libcuda.so.1" -lpthread -ldl
}

build_driver "$here"/*.c
ln -s libcuda.so.1 "$out/lib/libcuda.so"

quietly() { # setuptools warns of pycuda's own packaging; that matters only if something fails
    "$@" > "$work/log" 2>&1 || { cat "$work/log" >&2 && return 1; }
}

cd "$work"
quietly "${pip[@]}" download --no-deps --no-build-isolation --no-binary pycuda \
    --constraint "$root/constraints.txt" pycuda
tar xf pycuda-*.tar.gz
cd pycuda-*/

# Boost.Python in one piece: its 28 files spend a minute and a half on reading the same headers.
boost=bpl-subset/bpl_subset/libs/python
mv $boost/src bpl-subset/pieces
mkdir $boost/src
find "$PWD/bpl-subset/pieces" -name '*.cpp' -printf '#include "%p"\n' | sort > $boost/src/all.cpp

"$python" configure.py --no-cuda-enable-curand --cuda-root="$cuda" --cudadrv-lib-dir="$out/lib" \
    > /dev/null
export CFLAGS='-O0 -g0 -w'
export CXXFLAGS=$CFLAGS
# The library is found from where pycuda lies: other processes need no LD_LIBRARY_PATH.
# shellcheck disable=SC2016 # $ORIGIN is the linker's
export LDFLAGS='-Wl,-rpath,$ORIGIN/../../lib'
quietly "${pip[@]}" install --no-deps --no-build-isolation --target "$out/site" .

# Python resolves every symbol at once; what pycuda names and the simulation lacks says so.
nm -D --defined-only "$out/lib/libcuda.so.1" | awk '{ print $3 }' | sort > "$work/present"
nm -D --undefined-only "$out/site/pycuda/"_driver.*.so | awk '$2 ~ /^cu[A-Z]/ { print $2 }' |
    sort | comm -23 - "$work/present" > "$work/missing"
{
    echo '#include <cuda.h>'
    # Under names of their own: cuda.h declares theirs with arguments, or maps them to others.
    sed 's/.*/CUresult missing_&(void) __asm__("&");\
CUresult missing_&(void) { return CUDA_ERROR_NOT_SUPPORTED; }/' "$work/missing"
} > "$work/missing.c"
build_driver "$here"/*.c "$work/missing.c"
cd "$out"
PYTHONPATH=site "$python" -c 'import pycuda.driver; pycuda.driver.init()'
rm -rf "$finished"
mv "$out" "$finished"
