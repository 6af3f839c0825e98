#!/bin/sh
# Which stage of a pipeline do the others wait for?
#
# The middle stage is slow on purpose: for each line that it passes on it starts a program. The one before
# it is blocked, because the pipe between them is full; the one behind it is starved. The report says so,
# for people by a sentence and for scripts as data.
set -eu

report=$(mktemp)
trap 'rm -f "$report"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

slow() {
    cat <<'END'
n=0
while [ $n -lt 300 ] && read -r line; do
    n=$((n + 1))
    /bin/echo "$line"
done
END
}

ipcx pipe --meter never --json --output "$report" yes hello ::: sh -c "$(slow)" ::: wc -l

# value KEY: the first one in the report, as the JSON is all on one line
value() { tr ',{}[]' '\n\n\n\n\n' <"$report" | sed -n "s/^\"$1\":\"*\([^\"]*\)\"*\$/\1/p" | ${2:-head} -n 1; }

echo "bottleneck: $(value place) $(value stage tail)"
echo "the pipe in front of it: up to $(value max_used) of its $(value slots) slots were in use"
