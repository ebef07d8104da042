#!/usr/bin/env bash
# The shell procedure of Camunda's page "Create a backup" for 8.8 on Elasticsearch, with its own polling every 5 s:
# what c8keep is compared with. Its one liberty is to be silent.
set -euo pipefail

BACKUP_ID=${BACKUP_ID:-$(date +%s)}
history="$ORCHESTRATION_CLUSTER_MANAGEMENT_API/actuator/backupHistory"
runtime="$ORCHESTRATION_CLUSTER_MANAGEMENT_API/actuator/backupRuntime"
optimize="$OPTIMIZE_MANAGEMENT_API/actuator/backups"
records="$ELASTIC_ENDPOINT/_snapshot/$ELASTIC_SNAPSHOT_REPOSITORY/camunda_zeebe_records_backup_$BACKUP_ID"

start() { curl -s -XPOST "$1" -H 'Content-Type: application/json' -d "{\"backupId\": $BACKUP_ID}"; }
await() { while [[ "$(curl -s "$1/$BACKUP_ID" | jq -r .state)" != "COMPLETED" ]]; do sleep 5; done; }

curl -s -XPOST "$ORCHESTRATION_CLUSTER_MANAGEMENT_API/actuator/exporting/pause?soft=true"
start "$history"
start "$optimize"
await "$history"
await "$optimize"
curl -s -XPUT "$records?wait_for_completion=true" -H 'Content-Type: application/json' \
    -d '{"indices": "zeebe-record*", "feature_states": ["none"]}'
curl -s "$records/_status"
start "$runtime"
await "$runtime"
curl -s -XPOST "$ORCHESTRATION_CLUSTER_MANAGEMENT_API/actuator/exporting/resume"
