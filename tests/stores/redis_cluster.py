"""Run a Redis Cluster for the tests: three servers, without replicas."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from ports import free_port
from stores.servers import wait_until

_SLOTS = 16_384


@dataclass
class ClusterNode:
    """Run one server of the cluster."""

    folder: Path
    port: int = field(default_factory=free_port)
    bus: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, outside of a cluster."""
        self.folder.mkdir(exist_ok=True)
        options = [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            str(self.bus),
            "--cluster-node-timeout",
            "2000",
        ]
        command = ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1", *options]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL)
        with redis.Redis(port=self.port) as client:
            wait_until(client.ping, "redis-server does not answer")

    def stop(self) -> None:
        """Stop the server at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def key_names(self) -> list[str]:
        """Return the names of its keys."""
        with redis.Redis(port=self.port, decode_responses=True) as client:
            return [str(key) for key in client.scan_iter()]

    def is_ready(self) -> bool:
        """Return whether the server knows all slots."""
        with redis.Redis(port=self.port, decode_responses=True) as connected:
            client: Any = connected
            return bool(client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


class Cluster:
    """Run three servers, each with a third of the slots.

    Args:
        folder: for their data.
        number: of servers.
    """

    def __init__(self, folder: Path, number: int = 3) -> None:
        self.nodes = [ClusterNode(folder / f"node-{index}") for index in range(number)]

    @property
    def url(self) -> str:
        """Return the URL of the first server."""
        return f"redis://127.0.0.1:{self.nodes[0].port}/0"

    def start(self) -> None:
        """Start all servers, and join them."""
        for node in self.nodes:
            node.start()
        share = -(-_SLOTS // len(self.nodes))
        for index, node in enumerate(self.nodes):
            with redis.Redis(port=node.port) as connected:
                client: Any = connected
                last = min(_SLOTS, (index + 1) * share) - 1
                client.execute_command("CLUSTER ADDSLOTSRANGE", index * share, last)
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", index + 1)
                if index:
                    first = self.nodes[0]
                    client.execute_command("CLUSTER MEET", "127.0.0.1", first.port, first.bus)
        for node in self.nodes:
            wait_until(node.is_ready, "the cluster is not complete")

    def stop(self) -> None:
        """Stop all servers at once."""
        for node in self.nodes:
            node.stop()
