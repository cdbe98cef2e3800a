# SPDX-License-Identifier: Apache-2.0
"""Container engines of the distribution's packages, as the image's tests use them: each with a store of its own, for the time of a with block."""
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import debian_suites
import live

STORE = debian_suites.cache("COROSCOPE_IMAGES", "images")


class Podman:
    """Without a daemon; it also builds images."""
    packages = ("podman", "mmdebstrap")
    hint = "apt install podman runc mmdebstrap"
    only_its_own = ("--read-only-tmpfs=false",)  # else "--read-only" leaves it /tmp and others

    def __enter__(self):
        missing = [name for name in self.packages if not shutil.which(name)]
        if missing:
            raise live.Skip(f"there is no {', '.join(missing)}: {self.hint}")
        STORE.mkdir(parents=True, exist_ok=True)
        works = self("info")
        if works.code:
            raise live.Skip(f"podman does not work here: {works.err.strip()[-500:]}")
        return self

    def __exit__(self, *_):
        pass

    def __call__(self, *words, timeout=120):
        """With cgroups without a systemd: of those of both versions at once crun 1.8 can make nothing, runc can."""
        runtime = ["--runtime", "runc"] if shutil.which("runc") else []
        return live.run(["podman", "--root", STORE / "store", "--runroot", STORE / "run", "--cgroup-manager", "cgroupfs", "--events-backend", "none", *runtime,
                         *map(str, words)], timeout=timeout)


class Docker:
    """A daemon of its own, which ends with the with block; what it keeps goes with it. It gets images from podman."""
    packages = ("dockerd", "docker", "containerd")
    hint = "apt install docker.io"
    only_its_own = ()

    def __init__(self):
        self.cleanup = contextlib.ExitStack()

    def __enter__(self):
        missing = [name for name in self.packages if not shutil.which(name)]
        if missing:
            raise live.Skip(f"there is no {', '.join(missing)}: {self.hint}")
        self.folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory(prefix="coroscope-docker-", ignore_cleanup_errors=True)))
        self.log = self.folder / "log"
        with self.log.open("wb") as log:
            self.daemon = subprocess.Popen(["dockerd", "--host", f"unix://{self.folder}/socket", "--data-root", self.folder / "data", "--exec-root",
                                            self.folder / "run", "--pidfile", self.folder / "pid", "--bridge", "none", "--iptables=false", "--ip6tables=false",
                                            "--exec-opt", "native.cgroupdriver=cgroupfs"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while self("info").code:
            if self.daemon.poll() is not None or time.monotonic() > end:
                text = self.log.read_text(errors="replace")
                self.__exit__()
                raise live.Skip(f"dockerd does not work here: {text.strip()[-700:]}")
            time.sleep(0.3)
        return self

    def __exit__(self, *_):
        self.daemon.terminate()
        try:
            self.daemon.wait(60)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
        for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():  # it leaves the network's name there
            where = line.split()[1]
            if where.startswith(f"{self.folder}/"):
                live.run(["umount", where])
        self.cleanup.close()

    def __call__(self, *words, timeout=120):
        return live.run(["docker", "--host", f"unix://{self.folder}/socket", *map(str, words)], timeout=timeout,
                        env={**os.environ, "HOME": str(self.folder)})

    def take(self, podman, image):
        """An image that podman has."""
        archive = self.folder / "image.tar"
        return podman("save", "--output", archive, image, timeout=600), self("load", "--input", archive, timeout=600)
