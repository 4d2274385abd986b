#!/bin/sh
# Installs the clients of these tests: mbpoll from Debian (as root), npm packages, as locked, into the folder given.
set -eu
into=${1:?usage: install.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)

debian() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "interop: $1 is missing; install it (Debian: apt-get install $2)" >&2
    exit 1
  fi
  echo "interop: installing $2"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -qq -y --no-install-recommends $2 >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends $2 >/dev/null; }
}

command -v mbpoll >/dev/null || debian mbpoll mbpoll
command -v node >/dev/null || debian node "nodejs npm"
command -v npm >/dev/null || debian npm npm
node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
  { echo "interop: Node.js is $(node --version), needed is 20 or newer" >&2; exit 1; }

if ! cmp -s "$here/package-lock.json" "$into/installed.json"; then
  echo "interop: installing npm packages into $into"
  mkdir -p "$into"
  cp "$here/package.json" "$here/package-lock.json" "$into"
  npm ci --prefix "$into" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp "$into/package-lock.json" "$into/installed.json"
fi
