# SPDX-License-Identifier: Apache-2.0
"""Packages of Debian's suites other than the system's own, through a state of apt's own: fetched and unpacked, never installed.

What tools/pythons and tools/kernels share.
"""
import contextlib
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Missing(Exception):
    """Says why something is not there, and how to get it."""


def run(*command, **kwargs):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **kwargs)
    if done.returncode:
        raise Missing(f"{' '.join(map(str, command[:4]))} ... failed:\n{done.stdout[-2000:]}")
    return done.stdout


def say(text):
    print(f"== {text}", file=sys.stderr, flush=True)


def cache(variable, name):
    """Where what the tests need is kept: the folder that the variable names, or one of this name below the user's cache."""
    return pathlib.Path(os.environ.get(variable) or
                        os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "coroscope", name))


@contextlib.contextmanager
def made_whole(path):
    """A folder that appears under its name only when it is complete."""
    half = path.with_name(path.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    yield half
    half.rename(path)


def mirror():
    """Where this system gets Debian's packages from."""
    for name in filter(os.path.isfile, ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*"))):
        with open(name, encoding="utf-8") as file:
            for uri in re.findall(r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+)", file.read(), re.MULTILINE):
                if uri.rstrip("/").endswith("/debian"):
                    return uri.rstrip("/")
    raise Missing("this system does not get packages from a Debian mirror: those of Debian's suites cannot be had here")


class Suite:
    """One suite, and a folder for its lists. Mirrors have security's archive beside the other."""

    def __init__(self, name, state):
        self.name, self.state = name, state

    def environment(self):
        """For apt's programs: lists of their own, no installed packages, the mirror of the system."""
        for folder in "lists/partial", "cache/archives/partial":
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        (self.state / "status").touch()
        archive = f"[signed-by={KEYRING}] {mirror()}{'-security' if self.name.endswith('-security') else ''} {self.name} main\n"
        (self.state / "sources.list").write_text(f"deb {archive}deb-src {archive}", encoding="utf-8")
        options = {"Dir::State": self.state, "Dir::State::lists": self.state / "lists", "Dir::State::status": self.state / "status",
                   "Dir::Cache": self.state / "cache", "Dir::Etc::sourcelist": self.state / "sources.list",
                   "Dir::Etc::sourceparts": "/dev/null", "APT::Architecture": "amd64", "APT::Install-Recommends": "false",
                   "Acquire::Check-Valid-Until": "false", "Acquire::Languages": "none", "APT::Sandbox::User": "root"}
        config = self.state / "apt.conf"
        config.write_text("".join(f'{key} "{value}";\n' for key, value in options.items()), encoding="utf-8")
        return {**os.environ, "APT_CONFIG": str(config)}

    def apt(self, *command, cwd=None):
        return run("apt-get", "-qq", "-y", *command, cwd=cwd, env=self.environment())

    def names(self, prefix):
        """Packages whose names begin so. The lists must have been updated."""
        return run("apt-cache", "pkgnames", prefix, env=self.environment()).split()


def unpack(package, folder):
    """What a package would install, below a folder."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
        run("tar", "-x", "--keep-directory-symlink", "-C", folder, stdin=archive.stdout)
