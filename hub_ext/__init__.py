"""hub-ext: a building platform for analysts on JupyterHub."""

__version__ = "0.1.0"
