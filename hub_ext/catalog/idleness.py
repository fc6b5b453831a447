"""When a notebook server is idle: the same for a process and a pod. Pure.

A kernel that runs something is work, whether a page is open or not; one that has run nothing for the time that the
profile says is ended, also when a page is open. A terminal is work as long as it is open: nobody can tell whether what
runs in it is waited for. A server without kernels and terminals ends itself when nothing has reached it for that time.
Its longest life ends it in any case.
"""

from __future__ import annotations


def idle_arguments(idle: int) -> list[str]:
    """Return the arguments of a Jupyter server that ends what nobody uses.

    Args:
        idle: Minutes without use.
    """
    seconds = idle * 60
    return [
        f"--ServerApp.shutdown_no_activity_timeout={seconds}",
        f"--MappingKernelManager.cull_idle_timeout={seconds}",
        f"--MappingKernelManager.cull_interval={min(60, seconds)}",
        "--MappingKernelManager.cull_connected=True",
        "--MappingKernelManager.cull_busy=False",
        "--TerminalManager.cull_inactive_timeout=0",
    ]
