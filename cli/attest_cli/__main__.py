"""``python -m attest_cli``: the same as ``attest``."""

import sys

from attest_cli.main import main

sys.exit(main())
