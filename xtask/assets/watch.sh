# Runs one peer in a session of its own and obeys the pipe on standard input: every line is the name of a signal for
# the peer's whole group, and the end of the pipe (its owner is gone, however it went) ends the group.
exec 3<&0
setsid "$@" 3<&- </dev/null &
peer=$!
to_group() { kill -s "$1" -- "-$peer" 2>/dev/null || kill -s "$1" "$peer" 2>/dev/null; }
(
  while read -r signal <&3; do to_group "$signal"; done
  n=0
  while [ "$n" -lt 200 ] && to_group TERM; do sleep 0.1; n=$((n + 1)); done
  to_group KILL
) &
reader=$!
exec 3<&-
wait "$peer"
code=$?
# A launcher may leave the server it started: nothing of the group outlives it.
kill -s KILL -- "-$peer" 2>/dev/null
kill "$reader" 2>/dev/null
exit "$code"
