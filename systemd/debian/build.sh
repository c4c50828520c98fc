#!/bin/sh
# Build the Debian package; `make deb` calls this with
#   FOLDER   where it is put, with what is needed to build it
#   MAN      the folder of the manual pages
#   PYTHON   the interpreter that it is for; Debian's is /usr/bin/python3
#   EXTRAS   the extras of stripwatch that it holds
#   BIN      the programs of an environment that can run stripwatch and pip
# and a test with PIP_OPTIONS as well.
set -eu
: "${PIP_OPTIONS:=}"

SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$SOURCE/daemon/stripwatch/_version.py")
# To Debian, 1.0~rc1 comes before 1.0.
debian_version=$(echo "$version" | sed 's/\.\{0,1\}\(dev\|a\|b\|rc\)\([0-9]\)/~\1\2/')
work=$FOLDER/stripwatch-$debian_version

rm -rf "$work"
mkdir -p "$work/debian"
cp "$SOURCE"/systemd/debian/* "$SOURCE"/systemd/*.sysusers "$SOURCE"/systemd/*.tmpfiles "$work/debian"

date=$(git -C "$SOURCE" log -1 --format=%cD 2>/dev/null || date -R)
cat > "$work/debian/changelog" <<EOF
stripwatch ($debian_version) stable; urgency=medium

  * CHANGELOG.md has the changes.

 -- $(sed -n 's/^Maintainer: //p' "$work/debian/control")  $date
EOF

# The compiled parts of the libraries are for one version of Python.
PYTHON_DEPENDS=$("$PYTHON" -c 'import sys; major, minor = sys.version_info[:2]; print(
    f"python3 (>= {major}.{minor}~), python3 (<< {major}.{minor + 1}~)")')
export SOURCE MAN PYTHON EXTRAS BIN PIP_OPTIONS PYTHON_DEPENDS

cd "$work"
dpkg-buildpackage --build=binary --no-sign
