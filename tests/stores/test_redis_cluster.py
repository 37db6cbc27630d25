"""Quotas in a Redis Cluster: the keys of an owner are on one server, and redirections are followed."""

import gc
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from authguard.stores.counting.backend import Ask
from authguard.stores.counting.redis import RedisCounters
from authguard.stores.log import StoreDownError
from stores.redis_cluster import Cluster, ClusterNode
from stores.servers import store_server, wait_until

ASKS = [
    Ask(key, 10, window, window > 3600, 1, True) for key, window in (("a", 60), ("b", 3600), ("c", 86_400))
]


# redis-py leaves the connection of its first look at a cluster to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collect such a connection here, and not in a later test."""
    yield
    gc.collect()


@pytest.fixture(name="cluster", scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    store_server("redis", folder)  # skips if Redis is missing
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


@pytest.fixture(name="counters")
def _counters(cluster: Cluster) -> Iterator[RedisCounters]:
    counters = RedisCounters(cluster.url, 5.0, "test")
    yield counters
    counters.close()


def node_of(cluster: Cluster, owner: str) -> ClusterNode:
    """Return the server that has the counters of an owner."""
    [node] = [node for node in cluster.nodes if any(f"{{{owner}}}" in key for key in node.key_names())]
    return node


def connect(node: ClusterNode) -> Any:
    return redis.Redis(port=node.port, decode_responses=True)


def test_owners_are_spread_and_the_quotas_of_each_stay_together(
    cluster: Cluster, counters: RedisCounters
) -> None:
    """Owners are spread over the servers, and the quotas of each are on one, with the URL of one server."""
    owners = [f"owner-{number}" for number in range(12)]
    for used in (1, 2):
        for owner in owners:
            admitted, answers = counters.take(owner, ASKS, 1)
            assert (admitted, [answer.used for answer in answers]) == (True, [used] * 3)
    places = [{key.split(":")[2]: set("abc") for key in node.key_names()} for node in cluster.nodes]
    for node, owners_there in zip(cluster.nodes, places, strict=True):
        assert owners_there
        expected = {
            f"test:quota:{owner}:{letter}" for owner, letters in owners_there.items() for letter in letters
        }
        assert set(node.key_names()) == expected
    assert sum(map(len, places)) == len(owners)
    assert counters.beat("one") == 1


def test_a_slot_that_moves_is_followed(cluster: Cluster, counters: RedisCounters) -> None:
    """A slot that moves to another server is followed during the move and afterwards."""
    counters.take("mover", ASKS, 1)
    source = node_of(cluster, "mover")
    target = next(node for node in cluster.nodes if node is not source)
    with connect(source) as old, connect(target) as new:
        old_id, new_id = (client.execute_command("CLUSTER MYID") for client in (old, new))
        slot = old.execute_command("CLUSTER KEYSLOT", "{mover}")
        new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", old_id)
        old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", new_id)
        keys = old.execute_command("CLUSTER GETKEYSINSLOT", slot, 10)
        old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        assert counters.take("mover", ASKS, 1)[1][2].used == 2
        for client in (new, old):
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", new_id)
    assert counters.take("mover", ASKS, 1)[1][2].used == 3
    assert node_of(cluster, "mover") is target


def test_a_fork_follows_redirections_again(cluster: Cluster, counters: RedisCounters) -> None:
    """A forked child follows redirections with connections of its own."""
    for number in range(10):
        counters.take(f"before-{number}", ASKS, 1)
    counters.forget()
    for number in range(10):
        assert counters.take(f"before-{number}", ASKS, 1)[1][0].used == 2
    for client in counters._of_parent:
        if client is not None:
            client.close()


def test_the_documented_permissions_are_enough(cluster: Cluster) -> None:
    """The ACL of docs/quotas.md for a cluster allows all commands of the counters."""
    page = (Path(__file__).parents[2] / "docs" / "quotas.md").read_text(encoding="utf-8")
    keys, commands, more = re.findall(r"`([^`]+)`", page[page.index("An ACL needs") :])[:3]
    acl = ("ACL", "SETUSER", "quotas", "on", ">pass", keys, *commands.split(), *more.split())
    for node in cluster.nodes:
        with connect(node) as client:
            client.execute_command(*acl)
    counters = RedisCounters(cluster.url.replace("redis://", "redis://quotas:pass@"), 5.0, "authguard")
    for number in range(6):
        assert counters.take(f"owner-{number}", ASKS, 1)[0]
    counters.close()


@pytest.mark.slow
def test_a_server_that_stops_is_an_outage_until_it_is_back(cluster: Cluster, counters: RedisCounters) -> None:
    """A server that stops is an outage for its counters until it is back."""
    for number in range(20):
        counters.take(f"stopped-{number}", ASKS, 1)
    node = cluster.nodes[-1]
    owner = next(f"stopped-{number}" for number in range(20) if node_of(cluster, f"stopped-{number}") is node)
    node.stop()
    for _ in range(5):
        with pytest.raises(StoreDownError, match=r"Redis: \w+"):
            counters.take(owner, ASKS, 1)
    node.start()
    wait_until(lambda: all(each.is_ready() for each in cluster.nodes), "the cluster is not complete")
    wait_until(lambda: counters.take(owner, ASKS, 1)[0], "the client does not find the server")
