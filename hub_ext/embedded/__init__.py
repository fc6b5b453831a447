"""The embedded default: the whole platform on one machine, started by `hub-ext up`."""

from hub_ext.longlived import begin

begin()
