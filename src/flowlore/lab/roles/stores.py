"""Databases and proxies: PostgreSQL, Redis, memcached, tinyproxy and microsocks."""

import socket
from collections.abc import Sequence
from random import Random

from ..activity import Program, Scene
from .budget import Budget, number, pause_s
from .materials import authority, prose, written
from .programs import Habit, ProgramService, run_program, shown
from .targets import address_of, look_up, place_of, verified
from .web import CURL, OPENSSL, PLAIN, SECURE, curl, url_of

REDIS_CLI = Program(name="redis-cli", package="redis-tools")
PSQL = Program(name="psql", package="postgresql-client")


def _serve_postgres(scene: Scene, port: int) -> Sequence[str]:
    """PostgreSQL refuses to be root: it runs as `postgres`, with our group, in a folder that is its own."""
    addresses = ",".join(scene.addresses)
    data = scene.folder / "data"
    data.mkdir(exist_ok=True)
    drop = "exec setpriv --pdeathsig INT --reuid=postgres --clear-groups"
    trust = f"echo 'host all all all trust' >> {data}/pg_hba.conf"
    make = f"{drop[5:]} initdb -D {data} -A trust -U lab -N >/dev/null"
    start = f"postgres -D {data} -h {addresses} -p {port} -k '' -c fsync=off -c shared_buffers=16MB"
    return ["sh", "-c", f"chown postgres {data}; {make} || {make}; {trust}; {drop} {start}"]


def _query(scene: Scene, rng: Random, budget: Budget) -> None:
    """A session of short questions, some rows put in, now and then a long answer."""
    place = place_of(scene, rng, "postgres")
    _, address = look_up(scene, rng, place)
    lines = ["create table if not exists notes (number int, text text);"]
    for _ in budget.actions_up_to(number(scene, rng, "queries", 2, 20)):
        if not budget.spend(150):
            break
        rows = int(10 ** rng.uniform(0, 3))
        lines.append(
            rng.choice(
                (
                    f"insert into notes values ({rng.randrange(1000)}, '{prose(rng, rng.randint(10, 900))}');",
                    f"select n, md5(n::text) from generate_series(1, {rows}) n;",
                    "select count(*) from notes;",
                )
            )
        )
        lines.append(f"select pg_sleep({min(pause_s(scene, rng, 0.2), 2):.3f});")
    words = ["psql", "-q", "-w", "-h", address, "-p", str(place.port), "-U", "lab", "-d", "postgres", "-o", "/dev/null"]
    run_program(scene, budget, words, feed="\n".join([*lines, ""]).encode(), environment={"PGCONNECT_TIMEOUT": "4"})


def _serve_mariadb(scene: Scene, port: int) -> Sequence[str]:
    """Whoever comes is let in, and finds a database of notes."""
    data = scene.folder / "data"
    make = "mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db"
    make += f" --user=root --datadir={data} >/dev/null"
    start = f"mariadbd --no-defaults --user=root --datadir={data} --socket={scene.folder}/mariadb.sock --port={port}"
    start += f" --bind-address={scene.addresses[0]} --skip-name-resolve --skip-grant-tables --skip-networking=0"
    start += " --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=16M --performance-schema=0"
    return ["sh", "-c", f"{make}; exec {start}"]


def _query_mariadb(scene: Scene, rng: Random, budget: Budget) -> None:
    """A session of short questions, some rows put in, now and then a long answer."""
    place = place_of(scene, rng, "mariadb")
    look_up(scene, rng, place)
    address = verified(scene, place.addresses[0])  # the server has one only
    lines = ["create database if not exists lab; use lab; create table if not exists notes (number int, text text);"]
    for _ in budget.actions_up_to(number(scene, rng, "queries", 2, 20)):
        if not budget.spend(100):
            break
        rows = int(10 ** rng.uniform(0, 3))
        text = prose(rng, rng.randint(10, 900))
        questions = (
            f"insert into notes values ({rng.randrange(1000)}, '{text}');",
            f"select seq, md5(seq) from seq_1_to_{rows};",
            "select count(*) from notes;",
        )
        lines.append(f"{rng.choice(questions)} select sleep({min(pause_s(scene, rng, 0.2), 2):.3f});")
    words = ["mariadb", "--no-defaults", "--skip-ssl", "-h", address, "-P", str(place.port), "-u", "lab"]
    run_program(scene, budget, [*words, "--connect-timeout=4"], feed="\n".join([*lines, ""]).encode())


def _serve_redis(scene: Scene, port: int) -> Sequence[str]:
    words = ["redis-server", "--port", str(port), "--bind", *scene.addresses, "--save", "", "--appendonly", "no"]
    return [*words, "--protected-mode", "no", "--dir", str(scene.folder), "--maxmemory", "64mb"]


def _use_redis(scene: Scene, rng: Random, budget: Budget) -> None:
    place = place_of(scene, rng, "redis")
    _, address = look_up(scene, rng, place)
    lines = []
    for _ in budget.actions_up_to(number(scene, rng, "commands", 3, 60)):
        if not budget.spend(4):
            break
        key = f"key:{rng.randrange(50)}"
        lines.append(
            rng.choice((f'SET {key} "{prose(rng, int(10 * 200 ** rng.random()))}"', f"GET {key}", "INCR seen"))
        )
    words = ["redis-cli", "-h", address, "-p", str(place.port)]
    run_program(scene, budget, words, feed="\n".join([*lines, ""]).encode())


def _serve_memcached(scene: Scene, port: int) -> Sequence[str]:
    return ["memcached", "-u", "root", "-m", "32", "-U", "0", "-p", str(port), "-l", ",".join(scene.addresses)]


def _use_memcached(scene: Scene, rng: Random, budget: Budget) -> None:
    """The text protocol: what is not found is put in."""
    place = place_of(scene, rng, "memcached")
    _, address = look_up(scene, rng, place)
    if not budget.spend(8):
        return
    with socket.create_connection((address, place.port), timeout=3.0) as opened:
        for _ in budget.actions_up_to(number(scene, rng, "commands", 3, 60)):
            content = rng.randbytes(int(10 * 300 ** rng.random()))
            if not budget.spend(4 + len(content) // 700):
                return
            key = f"key{rng.randrange(50)}"
            put = f"set {key} 0 60 {len(content)}\r\n".encode() + content + b"\r\n"
            opened.sendall(put if rng.random() < 0.4 else f"get {key}\r\n".encode())
            opened.recv(8_192)
            budget.pause(pause_s(scene, rng, 0.1))


def _serve_proxy(scene: Scene, port: int) -> Sequence[str]:
    lines = ["User root", f"Port {port}", f"Listen {scene.addresses[0]}", "Timeout 60", "MaxClients 50"]
    path = written(scene.folder, "tinyproxy.conf", "\n".join([*lines, f'PidFile "{scene.folder}/tinyproxy.pid"', ""]))
    return ["tinyproxy", "-d", "-c", path]


def _serve_socks(scene: Scene, port: int) -> Sequence[str]:
    return ["microsocks", "-i", scene.addresses[0], "-p", str(port)]


def _browse_by_proxy(scene: Scene, rng: Random, budget: Budget) -> None:
    _browse_through(scene, rng, budget, "proxy", "http")


def _browse_by_socks(scene: Scene, rng: Random, budget: Budget) -> None:
    _browse_through(scene, rng, budget, "socks", "socks5")


def _browse_through(scene: Scene, rng: Random, budget: Budget, service: str, scheme: str) -> None:
    """Pages by way of a proxy, which is told the address of the site."""
    for _ in budget.actions_up_to(number(scene, rng, "visits", 1, 4)):
        proxy, site = place_of(scene, rng, service), place_of(scene, rng, *SECURE, *PLAIN)
        _, by = look_up(scene, rng, proxy)
        name = address = address_of(scene, rng, site)
        if not budget.spend(400):
            return
        words = [word for word in curl(scene, site, name, address, budget) if word not in ("--noproxy", "*")]
        words += ["--proxy", f"{scheme}://{shown(by)}:{proxy.port}", "--cacert", str(authority(scene))]
        for _page in range(rng.randint(1, 4)):
            words += ["-o", "/dev/null", f"{url_of(site, name)}/{rng.choice(('page', 'image'))}-{rng.randrange(10)}"]
        run_program(scene, budget, words)
        budget.pause(pause_s(scene, rng, 1.0))


POSTGRES = ProgramService(
    name="postgres", port=5432, command=_serve_postgres, needs=(Program(name="initdb", package="postgresql"),)
)
MARIADB = ProgramService(
    name="mariadb",
    port=3306,
    command=_serve_mariadb,
    needs=(
        Program(name="mariadbd", package="mariadb-server-core"),
        Program(name="mariadb-install-db", package="mariadb-server-core"),
    ),
)
REDIS = ProgramService(
    name="redis", port=6379, command=_serve_redis, needs=(Program(name="redis-server", package="redis-server"),)
)
MEMCACHED = ProgramService(
    name="memcached", port=11211, command=_serve_memcached, needs=(Program(name="memcached", package="memcached"),)
)
PROXY = ProgramService(
    name="proxy",
    port=8888,
    command=_serve_proxy,
    needs=(Program(name="tinyproxy", package="tinyproxy-bin"),),
    application="http-proxy",
)
SOCKS = ProgramService(
    name="socks", port=1080, command=_serve_socks, needs=(Program(name="microsocks", package="microsocks"),)
)

QUERY = Habit(
    name="query-postgres",
    application="postgres",
    steps=_query,
    uses=("postgres",),
    needs=(PSQL,),
    options=("ipv6_share", "pause_factor", "queries"),
)
QUERY_MARIADB = Habit(
    name="query-mariadb",
    application="mariadb",
    steps=_query_mariadb,
    uses=("mariadb",),
    needs=(Program(name="mariadb", package="mariadb-client-core"),),
    options=("ipv6_share", "pause_factor", "queries"),
)
USE_REDIS = Habit(
    name="use-redis",
    application="redis",
    steps=_use_redis,
    uses=("redis",),
    needs=(REDIS_CLI,),
    options=("commands", "ipv6_share"),
)
USE_MEMCACHED = Habit(
    name="use-memcached",
    application="memcached",
    steps=_use_memcached,
    uses=("memcached",),
    options=("commands", "ipv6_share", "pause_factor"),
)
BROWSE_BY_PROXY = Habit(
    name="browse-by-proxy",
    application="http-proxy",
    steps=_browse_by_proxy,
    uses=("proxy", "web-plain"),
    needs=(CURL, OPENSSL),
    options=("ipv6_share", "pause_factor", "visits"),
)
BROWSE_BY_SOCKS = Habit(
    name="browse-by-socks",
    application="socks",
    steps=_browse_by_socks,
    uses=("socks", "web-plain"),
    needs=(CURL, OPENSSL),
    options=("ipv6_share", "pause_factor", "visits"),
)
