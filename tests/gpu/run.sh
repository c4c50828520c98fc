#!/usr/bin/env bash
# Tests and measures on a bare CUDA machine without a network: Python 3.12, PyTorch, nvcc.
#
#   tests/gpu/run.sh WHEELS_FOLDER [OUT_FOLDER]
#
# WHEELS_FOLDER is what pack.sh made, with or without its subfolders. The output of a step that fails
# is printed, and the next step runs; the exit status is 0 only if no step failed.
# STEPS="build bench summary" runs only those. PLANS names a folder of engines (edge-tensorrt, ...)
# that another machine has built with --version-compatible, for TensorRT's lean runtime.
set -euo pipefail
wheels=$(realpath "${1:?usage: run.sh WHEELS_FOLDER [OUT_FOLDER]}")
out=$(realpath -m "${2:-gpu-results}")
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
steps=${STEPS:-install compile models build test bench summary}
cuda=${CUDA_HOME:-/usr/local/cuda}
site=$out/site
log=$out/log
mkdir -p "$site" "$log"
[[ " $steps " != *" install "* ]] || rm -f "$log"/*
cd "$root"

# The driver's library: known to the linker, or where containers put it.
driver=$(ldconfig -p | awk '/libcuda\.so\.1 / { print $NF; exit }')
if [ -z "$driver" ]; then
  places=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/usr/local/nvidia/lib64
  # shellcheck disable=SC2086 # folders, one word each
  driver=$(find ${places//:/ } -maxdepth 1 -name libcuda.so.1 2> /dev/null | head -1) || true
  export LD_LIBRARY_PATH=$places
fi
export PYTHONPATH="$site:$root/daemon:$root/engine_build:$root/train"
pip=("$python" -m pip --disable-pip-version-check install --quiet --no-index --no-deps
  --no-build-isolation --no-compile --upgrade --target "$site")

# Runs one step, and keeps its output and its exit status.
run() {
  local name=$1 status
  shift
  echo "=== $name: $*"
  set +e # where a status is asked for in the same line, bash ignores -e inside, too
  (
    set -e
    "$@"
  ) 2>&1 | tee "$log/$name.txt"
  status=${PIPESTATUS[0]}
  set -e
  echo "$status" > "$log/$name.status"
  [ "$status" = 0 ] || echo "=== $name FAILED with status $status"
}

wanted() { [[ " $steps " == *" $1 "* ]]; }
can_import() { "$python" -c "import $1" 2> /dev/null; }

# Joins the pieces of large files (NAME.aa, NAME.ab, ...) and installs the wheels.
install_wheels() {
  local work first
  work=$(mktemp -d)
  find "$wheels" -type f \( -name '*.whl*' -o -name '*.tar.gz*' \) -exec ln -sf -t "$work" {} +
  for first in "$work"/*.aa; do
    [ -e "$first" ] || continue
    cat "${first%.aa}".[a-z][a-z] > "${first%.aa}"
    rm "${first%.aa}".[a-z][a-z]
  done
  # The machine's own torchvision fits its torch for certain.
  if can_import torchvision; then rm -f "$work"/torchvision-*; fi
  "${pip[@]}" "$work"/*.whl
  rm -rf "$out/sources"
  mkdir "$out/sources"
  cp -L "$work"/*.tar.gz "$out/sources"
  rm -rf "$work"
}

# pycuda without cuRAND, which we do not use; tensorrt_rtx_cu13 is a few lines of Python.
compile_sources() {
  local work
  work=$(mktemp -d)
  for archive in "$out"/sources/*.tar.gz; do tar xzf "$archive" -C "$work"; done
  "${pip[@]}" "$work"/tensorrt_rtx_cu13-*/
  echo "driver: ${driver:-not found}"
  mkdir "$work/lib"
  ln -s "${driver:?libcuda.so.1 is in no known folder}" "$work/lib/libcuda.so"
  cd "$work"/pycuda-*/
  # Headers that the machine lacks come with the wheels; an include path for them harms nothing.
  export CPATH="$site/nvidia/cu13/include${CPATH:+:$CPATH}"
  "$python" configure.py --no-cuda-enable-curand --cuda-root="$cuda" > configure.txt
  LIBRARY_PATH=$work/lib MAKEFLAGS=-j$(nproc) "${pip[@]}" .
  rm -rf "$work"
}

build_engine() { # of a model, for a target
  local how=()
  case $1 in
    edge) ;;
    tiny) how=(--precision fp32 --frame 32x80 --allow-unverified) ;;
    *) how=(--allow-degraded) ;; # with random weights the output is near the threshold
  esac
  [ "$2" = openvino ] || how+=(--batch 1:16)
  "$python" -m stripwatch_engine "$out/models/$1/model.onnx" --target "$2" \
    --output "$out/engines/$1-$2" "${how[@]}"
}

bench_engine() { # of a model, for a target
  local files=() what=(--gpu)
  [ ! -e "$out/models/$1/model.pt2" ] ||
    files=(--torch "$out/models/$1/model.pt2" --onnx "$out/models/$1/model.onnx")
  [ "$2" != openvino ] || { files=() what=(--only end-to-end --only swap); }
  rm -f "$log/$1-$2.json"
  COLUMNS=100 "$python" -m stripwatch bench "${what[@]}" --engine "$out/engines/$1-$2" \
    --seconds "${SECONDS_EACH:-2}" "${files[@]}" --json "$log/$1-$2.json"
}

# Sets `libraries`, `targets` and `models` by what this card and machine have.
choose() {
  if libraries=$("$python" tests/gpu/choose.py "$log/libraries.json" 2> "$log/choose.txt"); then
    echo 0 > "$log/choose.status"
  else
    echo 1 > "$log/choose.status"
    libraries=none
  fi
  cat "$log/choose.txt"
  echo "=== libraries: $libraries"
  models=${MODELS:-edge unet-resnet34}
  targets=()
  case " $libraries " in
    *" stand-in "*)
      # Our own kernels, of the tests' tiny model; OpenVINO as well, for comparison.
      models=tiny targets=(tensorrt)
      PYTHONPATH="$root/tests/gpu/stand_in:$PYTHONPATH:$root/tests/gpu_simulation"
      PATH="$cuda/bin:$PATH"
      ;;
    *" tensorrt-lean "*)
      # It builds nothing: engines come from elsewhere, and the tests use our own kernels.
      mkdir -p "$out/engines"
      [ -z "${PLANS:-}" ] || { cp -r "$PLANS"/. "$out/engines" && lean=(tensorrt); }
      ;;
    *" tensorrt "*) targets=(tensorrt) ;;
  esac
  case " $libraries " in *" tensorrt-rtx "*) targets+=(tensorrt-rtx) ;; esac
  targets+=(openvino)
}

run_tests() {
  local path=$PYTHONPATH
  case " $libraries " in
    *" tensorrt-lean "*)
      path="$root/tests/gpu/stand_in:$PYTHONPATH:$root/tests/gpu_simulation"
      PATH="$cuda/bin:$PATH"
      ;;
  esac
  env PYTHONPATH="$path" STRIPWATCH_REQUIRE_GPU=1 \
    "$python" -m pytest tests/gpu -m gpu -rs -p no:cacheprovider
}

# A function, so that bash has read all of this before it starts.
main() {
  if wanted install; then run install install_wheels; fi
  if wanted compile; then run compile compile_sources; fi
  if wanted models; then run models "$python" tests/gpu/make_models.py "$out/models"; fi
  lean=()
  choose
  for model in $models; do
    for target in "${targets[@]}"; do
      if wanted build; then run "build-$model-$target" build_engine "$model" "$target"; fi
    done
  done
  if wanted test; then run test run_tests; fi
  for model in $models; do
    for target in "${lean[@]}" "${targets[@]}"; do
      if wanted bench; then run "bench-$model-$target" bench_engine "$model" "$target"; fi
    done
  done
  if wanted summary; then
    "$python" tests/gpu/summarize.py "$log" "$out/summary.md" "tests/gpu/run.sh WHEELS"
  fi
}

main
! grep -qvx 0 "$log"/*.status
