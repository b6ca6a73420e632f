"""Runs the judges that are too large for every run of the tests: `main.py CLOUDS [WORD]`, with a word in the names of tests to run only those."""

import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import deviations  # noqa: E402

if __name__ == "__main__":
    os.environ["CLOUDS"] = os.path.abspath(sys.argv[1])
    loader = unittest.TestLoader()
    if words := sys.argv[2:]:
        loader.testNamePatterns = [f"*{word}*" for word in words]
    suite = loader.discover(str(HERE), pattern="test_*.py")
    result = unittest.TextTestRunner(warnings="error").run(suite)
    unchecked = [] if words else deviations.unchecked("make judges-full")
    for row in unchecked:
        print(f"error: no check of row {row} of {deviations.TABLE.name} has passed", file=sys.stderr)
    sys.exit(bool(unchecked) or not result.wasSuccessful() or result.testsRun == 0)
