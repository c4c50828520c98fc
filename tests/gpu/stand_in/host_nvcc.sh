#!/usr/bin/env bash
# In place of nvcc, for the simulated GPU: host_nvcc.sh -cubin -arch=sm_89 -o OUT kernels.cu
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
{
    cat "$5"
    echo "HOST_KERNEL(probabilities) HOST_KERNEL(results)"
} | c++ -std=c++17 -O2 -fPIC -shared -ffp-contract=off -include "$here/host.h" -x c++ - -o "$4"
