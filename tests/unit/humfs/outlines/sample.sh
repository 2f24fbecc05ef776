#!/usr/bin/env bash
# Sets things up.
set -euo pipefail

PORT=8080 HOST=localhost
export TOKEN=abc
declare -r LIMIT=3
names=(a b)

# Says hello.
hello() {
  local who=$1
  echo "hi $who"
}

function stop {
  kill "$1"
}

if [ -n "$PORT" ]; then
  SCOPED=1
  nested() ( echo )
fi
