#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""manifests.py COROSCOPE BUILD: Kubernetes' manifests as its API server would take them, the agent's configuration in them by the agent itself, and
the receivers' configurations by the receivers."""
import json
import os
import shutil

import deployed
import live

RECEIVERS = deployed.ROOT / "tools" / "receivers"
MANIFESTS = deployed.DEPLOY / "kubernetes"


def receiver(name):
    found = live.run([RECEIVERS, "--path", name])
    if found.code:
        raise live.Skip(found.err.strip())
    return found.out.strip()


def judged(folder):
    return live.run([receiver("kubernetes"), folder])


def check_configuration(objects, pod):
    """The configuration, with the environment of a pod on a node."""
    container = pod["containers"][0]
    texts = objects["ConfigMap"]["data"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    places = {volumes[one["name"]].get("configMap", {}).get("name"): one["mountPath"] for one in container["volumeMounts"]}
    live.check("the ConfigMap is the one that is mounted", objects["ConfigMap"]["metadata"]["name"] in places, places)
    config = container["args"][container["args"].index("--config") + 1]
    live.check("there the agent looks for it", config == f"{places[objects['ConfigMap']['metadata']['name']]}/{next(iter(texts))}", config)
    values = {"NODE_IP": "192.0.2.7", "POD_IP": "2001:db8::5"}
    env = {one["name"]: one["value"] for one in container["env"] if one["name"].startswith("COROSCOPE_")}
    for name, value in values.items():
        env = {key: text.replace(f"$({name})", value) for key, text in env.items()}
    with live.scratch() as folder:
        (folder / "agent.yaml").write_text(next(iter(texts.values())), encoding="utf-8")
        effect = deployed.accepted(live.COROSCOPE, folder / "agent.yaml", {**os.environ, **env})
    port = next(one["containerPort"] for one in container["ports"] if one["name"] == container["livenessProbe"]["httpGet"]["port"])
    live.check("it listens where it is probed", f"listen: {values['POD_IP']}:{port}" in effect, effect)
    live.check("and asks its node's kubelet", f"kubelet: https://{values['NODE_IP']}:10250" in effect, effect)
    spool = next(line for line in effect if line.startswith("spool: ")).split()[1]
    kept = {one["mountPath"] for one in container["volumeMounts"] if "hostPath" in volumes[one["name"]]}
    live.check("what waits survives the pod", os.path.dirname(spool) in kept, (spool, kept))


def test_manifests():
    done = judged(MANIFESTS)
    live.check("the API server takes every object, without a warning", done.code == 0 and not done.err, done)
    listed = [json.loads(line) for line in done.out.splitlines()]
    objects = {one["kind"]: one for one in listed}
    live.check("these are all", sorted(one["kind"] for one in listed) == sorted(
        ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet"]), sorted(objects))
    pod = objects["DaemonSet"]["spec"]["template"]["spec"]
    subject = objects["ClusterRoleBinding"]["subjects"][0]
    account = objects["ServiceAccount"]["metadata"]
    live.check("the right to see pods is the agent's", (subject["namespace"], subject["name"]) == (account["namespace"], account["name"])
               and pod["serviceAccountName"] == account["name"] and objects["ClusterRoleBinding"]["roleRef"]["name"] == objects["ClusterRole"]["metadata"]["name"])
    live.check("all in one namespace", {one["metadata"].get("namespace") for one in listed} == {None, objects["Namespace"]["metadata"]["name"]})
    context = pod["containers"][0]["securityContext"]
    live.check("only what is documented is added", context["capabilities"] == {"drop": ["ALL"], "add": deployed.capabilities()}
               and not context.get("privileged"), context)
    check_configuration(objects, pod)


def test_judge():
    """What is wrong is found."""
    faults = {
        "daemonset.yaml": [("readOnlyRootFilesystem", "readOnlyRootFileSystem", "unknown field"), ("path: /readyz", "path: /readyz, scheme: FTP", "scheme"),
                           ("hostPID: true", "hostPID: 1", "hostPID"), ("name: state, mountPath", "name: stat, mountPath", "volumeMounts[1].name"),
                           ("256Mi", "256MB", "quantities"), ("matchLabels: {app", "matchLabels: {xapp", "`selector` does not match")],
        "rbac.yaml": [("verbs: [get]", "verbs: []", "rules[0].verbs"), ("kind: ServiceAccount\n    name", "kind: Service\n    name", "subjects[0].kind")],
        "namespace.yaml": [("enforce: privileged", "enforce: not a label", "metadata.labels")],
        "kustomization.yaml": [("agent.yaml]", "agents.yaml]", "agents.yaml")],
    }
    for name, changes in faults.items():
        for old, new, said in changes:
            with live.scratch() as folder:
                shutil.copytree(MANIFESTS, folder / "manifests")
                text = (MANIFESTS / name).read_text(encoding="utf-8")
                (folder / "manifests" / name).write_text(text.replace(old, new), encoding="utf-8")
                done = judged(folder / "manifests")
            live.check(f"{new!r} is refused", old in text and done.code == 1 and said in done.err, done)


def test_collector():
    """The Collector's own validation."""
    command = [receiver("otelcol"), "validate", "--feature-gates=service.profilesSupport", "--config"]
    config = deployed.DEPLOY / "otel-collector.yaml"
    with live.scratch() as folder:
        # it wants to see the directory that is written to
        text = config.read_text(encoding="utf-8")
        (folder / "good.yaml").write_text(text.replace("/var/lib/otelcol", str(folder)), encoding="utf-8")
        done = live.run([*command, folder / "good.yaml"])
        live.check("the Collector takes its configuration", done.code == 0, done)
        (folder / "bad.yaml").write_text(text.replace("max_backups", "max_backup"), encoding="utf-8")
        done = live.run([*command, folder / "bad.yaml"])
        live.check("it would refuse another", done.code != 0 and "max_backup" in done.err + done.out, done)


def test_pyroscope():
    """Its own reading of its configuration, after which it only lists its parts."""
    config = deployed.DEPLOY / "pyroscope.yaml"
    with live.scratch() as folder:
        (folder / "bad.yaml").write_text(config.read_text(encoding="utf-8").replace("reject_older_than", "reject_older"), encoding="utf-8")
        done, bad = (live.run([receiver("pyroscope"), "-modules", f"-config.file={path}"]) for path in (config, folder / "bad.yaml"))
    live.check("Pyroscope takes its configuration", done.code == 0 and "ingester" in done.out, done)
    live.check("it would refuse another", bad.code != 0 and "reject_older" in bad.err + bad.out, bad)


live.judged(test_manifests, test_judge, test_collector, test_pyroscope)
