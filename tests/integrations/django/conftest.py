"""What is in `inside` runs in a project of Django's, in a process of its own (envs.py)."""

import os

from tests.integrations.django import envs

collect_ignore = [] if os.environ.get(envs.MARK) else ["inside"]
