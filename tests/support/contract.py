"""What `cfn test` prints."""

from __future__ import annotations

import re

TESTS = 15  # of the CLI's suite, for a type with tags
CLOSING_LINE = re.compile(r"^=+ (.*) in [\d.]+s.*=+$", re.MULTILINE)
