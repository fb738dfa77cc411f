#!/bin/sh
# Installs the programs that some tests start for real. Without root or apt nothing is installed: those tests then skip
# visibly, and fail in CI.
set -eu

missing=""
need() { # program, Debian package
  command -v "$1" >/dev/null 2>&1 || [ -n "$(ls /usr/lib/postgresql/*/bin/"$1" 2>/dev/null)" ] || missing="$missing $2"
}
need rg ripgrep
need redis-server redis-server
need initdb postgresql
need buildah buildah
need crun crun
need debootstrap debootstrap
need bwrap bubblewrap
need node nodejs
need npm npm
need jq jq
need curl curl
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  apt-get update -qq
  # shellcheck disable=SC2086 # one word a package
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "Not installed, so tests that need them will be skipped:$missing" >&2
fi
