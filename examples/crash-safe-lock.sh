#!/bin/sh
# A lock that outlives the death of its holder.
#
# `ipcx sem run` takes a semaphore with undo and becomes the command. The kernel gives back what
# was taken when the command ends, even if it is killed by a signal that nobody can catch.
set -eu

lock=$(ipcx sem create --value 1)
trap 'ipcx rm --quiet --force --missing-ok "sem/$lock"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# `sleep` stands for work that would take a long time.
ipcx sem run "$lock" -- sleep 1000 &
holder=$!
trap 'kill -9 "$holder" 2>/dev/null || :; ipcx rm --quiet --force --missing-ok "sem/$lock"' EXIT

# The holder has the lock when the semaphore is 0.
ipcx sem zero "$lock"
echo 'the lock is taken'

status=0
ipcx sem run "$lock" --nowait -- echo 'this is not printed' || status=$?
echo "somebody else does not get it: status $status (would block)"

kill -9 "$holder"
status=0
wait "$holder" 2>/dev/null || status=$?
echo "the holder is killed: status $status"

ipcx sem run "$lock" --timeout 10s -- echo 'and the next one has the lock'
echo "the semaphore is $(ipcx sem get "$lock" --index 0) again"
