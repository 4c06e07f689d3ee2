"""Runs command lines in this process, one after the other, and prints what became of each: all in JSON."""

import contextlib
import io
import json
import sys

from runback.__main__ import main

results = []
for arguments in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    results.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(results))
