"""A Ray cluster whose nodes are all on this machine: a line of JSON for each order on the standard input.

`python ray_nodes.py FOLDER RESOURCES…` starts a head and, for each further RESOURCES (JSON, by Ray's name),
a node; {"add": RESOURCES} adds one, {"kill": N} kills the N-th node's processes, {"pids": N} lists the
processes of its actors. Where the orders end, so does the cluster.
"""

import json
import os
import signal
import sys
from pathlib import Path

import psutil


def main(folder, *nodes):
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    with Path(os.devnull).open("r+b") as nothing:
        os.dup2(nothing.fileno(), 1)
    orders = os.fdopen(os.dup(0))
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": folder}
    (Path(folder) / "ray").mkdir()
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    started = []

    def add(resources):
        own = {
            "num_cpus": resources.pop("CPU", 1),
            "num_gpus": resources.pop("GPU", 0),
            "resources": resources,
        }
        first = {} if started else {"include_dashboard": False}
        started.append(cluster.add_node(**own, **first))
        return cluster.address

    def actors(number):
        raylet = psutil.Process(started[number].all_processes["raylet"][0].process.pid)
        return [one for one in raylet.children() if "ray::RayActor" in "".join(one.cmdline())]

    def kill(number, *, deep):
        node = started[number]
        own = [psutil.Process(one.process.pid) for kind in node.all_processes.values() for one in kind]
        below = [child for one in own for child in one.children(recursive=deep)]
        for process in (*own, *below):
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        cluster.remove_node(node, allow_graceful=False)
        return len(own)

    for resources in nodes:
        add(json.loads(resources))
    print(json.dumps(cluster.address), file=answers)
    for line in orders:
        match json.loads(line):
            case {"add": resources}:
                answer = add(resources)
            case {"kill": number, **more}:
                answer = kill(number, deep=more.get("deep", False))
            case {"pids": number}:
                answer = [one.pid for one in actors(number)]
        print(json.dumps(answer), file=answers)
    cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
