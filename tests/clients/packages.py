"""The libraries and programs that the suites drive, fetched once into the build directory (`target/clients`).

Owns: which packages, of which major versions, and whether they are there already. Refuses to know: what is done with them.
Start at `PYTHON` and `node_packages`. A folder is made anew when the list of what belongs into it changes.
"""

import os
import shutil
import subprocess
import venv

from harness import TARGET

CACHE = os.path.join(TARGET, "clients")
FETCH_SECONDS_MAX = 300

PYTHON = ("redis==8.*", "celery[redis]==5.*", "rq==3.*", "Django==5.2.*", "django-redis==7.*")

IOREDIS, IOREDIS_NODE_MIN, IOREDIS_OLDER = "ioredis@6", 20, "ioredis@5"
NODE = ("bullmq@6", "redlock@4")


def python():
    """The interpreter of an environment that has `PYTHON`."""
    home = os.path.join(CACHE, "python")
    program = os.path.join(home, "bin", "python")

    def fill():
        venv.EnvBuilder(with_pip=True).create(home)
        fetch([program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON])

    once(home, PYTHON, fill)
    return program


def node_modules():
    """The folder that NODE_PATH names, with ioredis and `NODE` in it."""
    home = os.path.join(CACHE, "node")
    wanted = node_packages()

    def fill():
        os.makedirs(home)
        fetch(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", home, *wanted])

    once(home, wanted, fill)
    return os.path.join(home, "node_modules")


def node_packages():
    """`NODE` and the newest ioredis that this machine's Node can load."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return (IOREDIS if int(version.strip("v\n").split(".")[0]) >= IOREDIS_NODE_MIN else IOREDIS_OLDER, *NODE)


def once(home, wanted, fill):
    """Fills the folder unless it was filled with the same packages before; the marker is written last."""
    marker, content = os.path.join(home, "installed.txt"), "\n".join(wanted) + "\n"
    if os.path.exists(marker):
        with open(marker, encoding="ascii") as file:
            if file.read() == content:
                return
    shutil.rmtree(home, ignore_errors=True)
    fill()
    with open(marker, "w", encoding="ascii") as file:
        file.write(content)


def fetch(argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=FETCH_SECONDS_MAX)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} failed:\n{(done.stderr or done.stdout)[-2000:]}")
