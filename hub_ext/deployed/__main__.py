"""JupyterHub as the chart runs it: `python -m hub_ext.deployed -f …`."""

from __future__ import annotations

from jupyterhub.app import main

if __name__ == "__main__":
    main()
