#!/bin/sh
# Run the carrier sandbox of `make run`. If it ends, Waybill continues as during a carrier's outage.
events="http://127.0.0.1:$PORT/webhooks/pickit/events"
python manage.py runsandbox --port "$SANDBOX_PORT" --state "${DATA_DIR:-var}/sandbox" \
  --webhook "pickit-platform=$events" \
  --webhook "test-client-id=$events/$DEMO_CREDENTIAL" \
  --webhook "test-client=$events/$DEMO_CREDENTIAL" \
  --webhook "ups-platform=http://127.0.0.1:$PORT/webhooks/ups/events" \
  --webhook "velocity-platform=http://127.0.0.1:$PORT/webhooks/velocity/events" &
sandbox=$!
trap 'kill "$sandbox" 2>/dev/null; wait "$sandbox"; exit 0' TERM INT
wait "$sandbox"
echo "The carrier sandbox has stopped (status $?); Waybill continues without it. Ctrl-C stops all."
while :; do
  sleep 3600 &
  wait $!
done
