#!/bin/sh
# Lay out what the package holds in the folder $1; `rules` calls this, with build.sh's variables.
set -eu

mkdir -p "$1"
root=$(cd "$1" && pwd)
home=$root/opt/stripwatch
doc=$root/usr/share/doc/stripwatch
units=$root$(systemd-path systemd-system-unit)

# A virtual environment of the system's Python, without what is only for people at a shell.
"$PYTHON" -m venv --without-pip --symlinks "$home"
rm -f "$home"/bin/[Aa]ctivate*
sed -i '/^command = /d' "$home/pyvenv.cfg"

wheels=$(mktemp -d)
pip() { "$BIN/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip wheel --no-deps --wheel-dir "$wheels" "$SOURCE"
# shellcheck disable=SC2086 # several options
pip --python "$home/bin/python3" install --no-compile --no-warn-script-location $PIP_OPTIONS \
    --constraint "$SOURCE/constraints.txt" "stripwatch[$EXTRAS] @ file://$(echo "$wheels"/*.whl)"
rm -r "$wheels"

# Where it was built is nobody's business, and its programs name Python where it will be.
installed=$(echo "$home"/lib/python3*/site-packages/stripwatch-*.dist-info)
rm "$installed/direct_url.json"
sed -i '/direct_url\.json/d' "$installed/RECORD"
sed -i '1s|^#!.*/opt/stripwatch/bin/|#!/opt/stripwatch/bin/|' "$home"/bin/*-* "$home"/bin/stripwatch
# Nobody may write there later. dpkg keeps times only roughly, so that they are not looked at.
"$home/bin/python3" -m compileall -q -j 0 -s "$root" -p / \
    --invalidation-mode unchecked-hash "$home/lib"

mkdir -p "$root/usr/bin" "$root/etc/stripwatch"
for program in stripwatch engine-build; do
    ln -s "/opt/stripwatch/bin/$program" "$root/usr/bin/$program"
    completion() { "$BIN/$program" --print-completion "$1" | install -D -m 644 /dev/stdin "$2"; }
    completion bash "$root/usr/share/bash-completion/completions/$program"
    completion fish "$root/usr/share/fish/vendor_completions.d/$program.fish"
    completion zsh "$root/usr/share/zsh/vendor-completions/_$program"
    install -D -m 644 "$MAN/$program.1" "$root/usr/share/man/man1/$program.1"
done

mkdir -p "$doc/docs" "$doc/examples"
cp "$SOURCE/README.md" "$SOURCE/CHANGELOG.md" "$doc"
cp "$SOURCE"/docs/*.md "$SOURCE"/docs/*.json "$doc/docs"
cp "$SOURCE/config.toml" "$SOURCE"/systemd/drop-ins/*.conf "$doc/examples"

"$BIN/cyclonedx-py" environment --no-validate --output-reproducible \
    --pyproject "$SOURCE/pyproject.toml" --output-file "$doc/sbom.json" "$home/bin/python3"

install -D -m 644 -t "$units" "$SOURCE"/systemd/*.service "$SOURCE"/systemd/*.target
# A drop-in whose name begins with a number is for that version of systemd and newer.
systemd=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
for drop_in in "$SOURCE"/systemd/drop-ins/[0-9]*.conf; do
    name=$(basename "$drop_in")
    unit=$(sed -n 's|^# /etc/systemd/system/\(.*\)\.d/.*|\1|p' "$drop_in")
    if [ "${name%%-*}" -le "$systemd" ]; then
        install -D -m 644 "$drop_in" "$units/$unit.d/$name"
    fi
done
