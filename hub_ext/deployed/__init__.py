"""What the chart runs: the Hub's configuration in a cluster, and waiting for what is not there yet."""

from hub_ext.longlived import begin

begin()
