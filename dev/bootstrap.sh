#!/bin/sh
# Finds a Python that is new enough and hands over to bootstrap.py. A person's own choice: PYTHON=/path/to/python.
# usage: sh bootstrap.sh NAME-FOR-MESSAGES ARGUMENTS-OF-BOOTSTRAP.PY...
name=$1
shift
fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1
}
if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" && exec "$PYTHON" dev/bootstrap.py --name "$name" "$@"
    found=$("$PYTHON" --version 2>&1) || found="not a Python that runs"
    echo "$name: needs Python 3.11 to 3.14, but PYTHON=$PYTHON is $found." >&2
    exit 1
fi
for candidate in python3 python3.13 python3.12 python3.11; do
    fits "$candidate" && exec "$candidate" dev/bootstrap.py --name "$name" "$@"
done
found=$(python3 --version 2>/dev/null) || found="not there"
echo "$name: needs Python 3.11 to 3.14, but python3 is $found; install one or name it: $name PYTHON=/path/to/python3.12" >&2
exit 1
