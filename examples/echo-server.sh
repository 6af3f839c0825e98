#!/bin/sh
# An echo server over a unix socket, with two clients at the same time.
#
# The server runs one command for each connection, with the connection as its standard input and
# output; the kernel tells it who has connected.
set -eu

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
socket=$place/echo
# The server says there when it is ready, so that nobody comes too early. (To open a FIFO for
# reading waits for its writer.)
mkfifo "$place/ready"

ipcx sock listen "$socket" --keep --exec 'echo "hello, user $IPCX_PEER_UID"; exec cat' 2>"$place/ready" &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$place"' EXIT
read -r _ <"$place/ready"

# The end of the input ends the sending side of a connection: the server's cat sees it, ends, and
# with it the answer ends.
seq 3 | ipcx sock connect "$socket" >"$place/first" &
first=$!
printf '%s\n' one two | ipcx sock connect "$socket" >"$place/second"
wait $first
sed "s/user $(id -u)/you/; s/^/first: /" "$place/first"
sed "s/user $(id -u)/you/; s/^/second: /" "$place/second"

# Asked to stop, it ends the commands that still run and removes its socket file.
kill $server
wait $server || echo "the server ended with status $?"
[ -e "$socket" ] || echo 'its socket file is gone'
