#!/bin/sh
# A writer and a reader share memory under the key 1234, which both of them know.
#
# The memory alone does not tell the reader when there is something to read. A semaphore does:
# it is 0 until the writer posts it.
set -eu

memory=key/1234
ipcx shm create "$memory" --size 4096 >/dev/null
trap 'ipcx rm --quiet --force --missing-ok "shm/$memory"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ready=$(ipcx sem create --value 0)
trap 'ipcx rm --quiet --force --missing-ok "shm/$memory" "sem/$ready"' EXIT

writer() {
    echo 'writer: I write into the segment with key 1234'
    printf 'hello from the writer\nand a second line\n' | ipcx shm write "$memory"
    ipcx sem post "$ready"
}

reader() {
    ipcx sem wait "$ready"
    # The segment has 4096 bytes, and those behind the text are zero.
    ipcx shm read "$memory" | tr -d '\0' | while read -r line; do
        echo "reader: $line"
    done
}

reader &
writer
wait $!

echo
echo 'This is how the segment begins:'
ipcx shm dump "$memory" --length 48
