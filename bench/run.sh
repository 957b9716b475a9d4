#!/usr/bin/env bash
# Belay beside its peers, in one run on one machine. The flags are those of cmd/suite, for example
#   bench/run.sh -only belay,dbos,river,fsync -modes chain,jobs,fail -rounds 3 -scale 0.5
# Everything is built under $TMPDIR and removed at the end; the results stay in the folder that the last line names, or
# in the one of -out. PEERBENCH_TEMPORAL=1 also builds Temporal's server, which takes minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export GOWORK=off GOFLAGS=-buildvcs=false # each module with the versions that its own go.mod names

command -v redis-server >/dev/null || echo "run.sh: no redis-server (Debian: redis-server): asynq and go-workflows on Redis will fail" >&2
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null ||
	echo "run.sh: no initdb (Debian: postgresql): River, DBOS and Temporal on PostgreSQL will fail" >&2

bin=$(mktemp -d "${TMPDIR:-/tmp}/peerbench-XXXXXX")
trap 'rm -rf "$bin"' EXIT
go -C "$here" build -o "$bin/" ./cmd/...
go -C "$here/belaypeer" build -o "$bin/" .
go -C "$here/.." build -o "$bin/" ./cmd/...
[ -z "${PEERBENCH_TEMPORAL:-}" ] || go -C "$here/temporalserver" build -o "$bin/" .
"$bin/suite" "$@"
