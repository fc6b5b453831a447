"""The Hub's configuration in a cluster; everything is in `hub_ext.deployed.hub`."""

# ruff: noqa: F821  # JupyterHub gives `get_config` to this file

import os
from pathlib import Path

from hub_ext.deployed.hub import configure_hub
from hub_ext.deployed.ready import tell_of_hub

tell_of_hub(os.environ)
configure_hub(get_config(), os.environ, Path("/etc/hub-ext/config.json"))
