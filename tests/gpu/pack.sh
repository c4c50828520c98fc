#!/usr/bin/env bash
# Downloads what run.sh needs on a CUDA machine without a network: wheels for Python 3.12 on x86-64,
# and two source archives. Spreads them over DIR/a, DIR/b, ..., each small enough for one transfer.
#
#   tests/gpu/pack.sh DIR        needs a package index; PYTHON, SPLIT_MB and FOLDER_MB may be set
set -euo pipefail
out=${1:?usage: pack.sh DIR}
python=${PYTHON:-python3}
split_mb=${SPLIT_MB:-50}
folder_mb=${FOLDER_MB:-60}
constraints=$(dirname "$0")/../../constraints.txt
mkdir -p "$out"
if [ -n "$(ls -A "$out")" ]; then
  echo "$out is not empty" >&2
  exit 2
fi

# constraints.txt is the whole set, so nothing has to be resolved. Left out: torch and its CUDA
# libraries, which the machine has, and what only checks or quantizes.
left_out='torch|torchvision|triton|(nvidia|cuda)-.*|sympy|mpmath|networkx|Jinja2|filelock|fsspec'
left_out+='|pip|hatchling|pathspec|tomlkit|trove.classifiers|referencing|pyparsing|narwhals'
left_out+='|mypy|mypy_extensions|librt|ast_serialize|ruff|import-linter|grimp|jsonschema.*'
left_out+='|nncf|ninja|pydot|natsort|scikit-learn|scipy|joblib|threadpoolctl|tabulate|rpds-py'
sources='pycuda|tensorrt_rtx_cu13' # these have no wheels; run.sh compiles them
pins() { grep -E '^[A-Za-z0-9]' "$constraints"; }

get() { "$python" -m pip --disable-pip-version-check download --quiet --no-deps --dest "$out" "$@"; }
platforms=()
for glibc in 28 27 24 17 12 5; do
  platforms+=(--platform "manylinux_2_${glibc}_x86_64")
done
# torchvision is bound to the machine's torch, 2.11, not to ours.
pins | grep -vE "^($left_out|$sources)==" > "$out/wheels.txt"
echo "torchvision==${TORCHVISION:-0.26.0}" >> "$out/wheels.txt"
# For pycuda, where the machine's CUDA has no headers.
pins | grep -E '^nvidia-cuda-(runtime|profiler-api)==' >> "$out/wheels.txt"
get --only-binary :all: --python-version 3.12 --implementation cp "${platforms[@]}" \
  --platform manylinux2014_x86_64 --platform manylinux1_x86_64 -r "$out/wheels.txt"
pins | grep -E "^($sources)==" > "$out/sources.txt"
get --no-binary "${sources/|/,}" -r "$out/sources.txt"

find "$out" -type f -size +"$split_mb"000000c -print0 | while IFS= read -r -d '' file; do
  split --bytes="${split_mb}MB" "$file" "$file." && rm "$file"
done

# The largest first, each into the first folder that has room.
find "$out" -maxdepth 1 -type f -printf '%s %f\n' | sort -rn | while read -r size file; do
  for folder in "$out"/{a..z}; do
    mkdir -p "$folder"
    used=$(find "$folder" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')
    if [ $((used + size)) -lt "${folder_mb}000000" ]; then
      mv "$out/$file" "$folder/"
      break
    fi
  done
done
du -sh "$out"/*/
