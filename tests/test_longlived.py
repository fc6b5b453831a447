"""What a process has loaded by its start is not looked at again."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from hub_ext.longlived import keep_what_is_there

class Ring:
    def __init__(self):
        self.me = self

before = len(gc.get_objects())
keep_what_is_there()
print(len(gc.get_objects()) < before / 10, gc.get_freeze_count() > before / 2)
Ring()
print(gc.collect() >= 1)
"""


def test_only_what_came_later_is_looked_at() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", "True", "True"], done.stdout


COUNTED = """
import gc
usual = gc.get_threshold()
import hub_ext.web
from hub_ext.longlived import keep_what_is_there
print(gc.isenabled(), gc.get_threshold() > usual)
keep_what_is_there()
print(gc.isenabled(), gc.get_threshold() == usual)
"""


def test_while_a_process_begins_it_is_looked_at_rarely_and_then_as_usual() -> None:
    done = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True"] * 4, done.stdout
