"""Makes ``.venv`` with the pinned versions and mmcp in editable mode.

``make env`` runs this with a bare Python: standard library only. A second
run takes a moment, a run after an interruption goes on where it stopped.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  an old one gets to read this
    sys.exit('make env: Python 3.11 is needed; make env PYTHON=python3.11')

from envsetup.main import main

if __name__ == '__main__':
    sys.exit(main())
