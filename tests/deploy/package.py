#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""package.py COROSCOPE BUILD: the Debian package that cpack makes of the build folder: what is in it, what it needs, and that it runs from where it
was unpacked."""
import os
import re
import shutil

import deployed
import live

FILES = {
    "./usr/bin/coroscope": "-rwxr-xr-x",
    "./usr/lib/systemd/system/coroscope-agent.service": "-rw-r--r--",
    "./etc/coroscope/agent.yaml": "-rw-r--r--",
    "./usr/share/doc/coroscope/README.md": "-rw-r--r--",
    "./usr/share/doc/coroscope/copyright": "-rw-r--r--",
    "./usr/share/doc/coroscope/examples/otel-collector.yaml": "-rw-r--r--",
    "./usr/share/doc/coroscope/examples/pyroscope.yaml": "-rw-r--r--",
    **{f"./usr/share/doc/coroscope/examples/kubernetes/{path.name}": "-rw-r--r--" for path in (deployed.DEPLOY / "kubernetes").iterdir()},
}


def require(*programs):
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        raise live.Skip(f"there is no {', '.join(missing)}: apt install dpkg-dev file binutils")


def package(folder):
    require("dpkg-shlibdeps", "dpkg-deb", "file", "readelf")
    done = live.run(["cpack", "--config", deployed.BUILD / "CPackConfig.cmake", "-B", folder], timeout=250, cwd=folder)
    found = list(folder.glob("*.deb"))
    live.check("cpack makes one package", done.code == 0 and len(found) == 1, done)
    return found[0]


def field(deb, name):
    return live.run(["dpkg-deb", "--field", deb, name]).out.strip()


def check_content(deb):
    rows = [line.split(None, 5) for line in live.run(["dpkg-deb", "--contents", deb]).out.splitlines()]
    live.check("it holds these files and no others", {row[5]: row[0] for row in rows if not row[5].endswith("/")} == FILES, rows)
    live.check("all are root's", all(row[1] == "root/root" for row in rows), rows)
    live.check("nobody else may write to a directory", all(row[0] == "drwxr-xr-x" for row in rows if row[5].endswith("/")), rows)
    listed = live.run(["dpkg-deb", "--info", deb, "conffiles"]).out.split()
    live.check("changes of the configuration survive upgrades", listed == [name[1:] for name in FILES if name.startswith("./etc/")], listed)
    for name in ("postinst", "prerm", "postrm"):
        script = live.run(["dpkg-deb", "--info", deb, name]).out
        live.check(f"{name} is a shell script", live.run(["sh", "-n", "-c", script]).code == 0 and script.startswith("#!/bin/sh\n"), script)


def owners(library):
    """Packages that have this library here. Since Debian merged /lib into /usr, dpkg may know it by either path."""
    path = re.search(rf"^\s*{re.escape(library)} \(.*\) => (\S+)$", live.run(["ldconfig", "-p"]).out, re.MULTILINE).group(1)
    tries = {path, os.path.realpath(path), path.removeprefix("/usr"), os.path.realpath(path).removeprefix("/usr")}
    return {line.split(":")[0] for one in tries for line in live.run(["dpkg", "-S", one]).out.splitlines()}


def check_dependencies(deb, program):
    depends = {re.split(r"[ (:]", one.strip())[0] for one in field(deb, "Depends").split(",")}
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", live.run(["readelf", "--dynamic", program]).out)
    live.check("it is linked with libraries", len(needed) > 5, needed)
    for library in needed:
        live.check(f"{library} comes with a dependency", owners(library) & depends, (owners(library), depends))
    live.check("it is stripped", ".symtab" not in live.run(["readelf", "--sections", program]).out)


def test_package():
    with live.scratch() as folder:
        deb = package(folder)
        root = folder / "root"
        live.check("it can be unpacked", live.run(["dpkg-deb", "--extract", deb, root]).code == 0)
        program = root / "usr/bin/coroscope"
        check_content(deb)
        check_dependencies(deb, program)
        version = live.run([program, "--version"])
        live.check("it runs", version.code == 0 and version.out.split()[-1] == field(deb, "Version"), (version, field(deb, "Version")))
        effect = deployed.accepted(program, root / "etc/coroscope/agent.yaml")
        state = "/var/lib/" + dict(deployed.unit_settings())["StateDirectory"]
        live.check("what it writes is where its unit lets it", f"spool: {state}/spool" in effect and f"- to: dir={state}/profiles" in effect, effect)
        live.check("it listens on this machine only", "listen: 127.0.0.1:9464" in effect, effect)


live.judged(test_package)
