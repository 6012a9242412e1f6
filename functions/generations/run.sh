#!/bin/sh
# What the Lambda Web Adapter starts in place of a handler: the same app under uvicorn, so answers can stream.
# Idle connections outlive the adapter's pool, so it never finds one that was just closed here.
set -eu
cd "$(dirname "$0")"
export PYTHONPATH="/opt/python${PYTHONPATH:+:$PYTHONPATH}"
exec python -m uvicorn app:app --host 127.0.0.1 --port "${AWS_LWA_PORT:-8080}" \
  --loop uvloop --http httptools --ws none --no-access-log --no-server-header --log-level warning \
  --timeout-keep-alive 75 --timeout-graceful-shutdown 2
