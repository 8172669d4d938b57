"""The servers: real software with configurations and throw-away keys made in the work folder."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from .network import inside
from .plan import NAMES, PORTS

NGINX = """
user root;
worker_processes 1;
pid {work}/nginx.pid;
error_log {work}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {work}/body;
  proxy_temp_path {work}/proxy;
  fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi;
  scgi_temp_path {work}/scgi;
  client_max_body_size 1m;
  ssl_certificate {work}/server.pem;
  ssl_certificate_key {work}/server.key;
  root {work}/www;
  server {{
    listen 80; listen [::]:80;
    location /upload {{ dav_methods PUT; root {work}; }}
    location /login {{ return 302 https://www.shop.example/; }}
  }}
  server {{
    listen 443 ssl http2; listen [::]:443 ssl http2;
    ssl_protocols TLSv1.2 TLSv1.3;
  }}
  server {{
    listen 198.51.100.20:443 ssl; listen [2001:db8:80::20]:443 ssl;
    ssl_protocols TLSv1.2;
  }}
}}
"""

SSHD = """
Port 22
HostKey {work}/host_key
AuthorizedKeysFile {work}/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
PrintMotd no
PrintLastLog no
PidFile {work}/sshd.pid
"""

MOSQUITTO = """
listener 1883 198.51.100.40
allow_anonymous true
persistence false
log_type none
user root
"""

CHRONY = """
bindaddress 198.51.100.123
allow all
local stratum 2
cmdport 0
pidfile {work}/chronyd.pid
user root
"""

FTP = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
authorizer = DummyAuthorizer()
authorizer.add_anonymous(sys.argv[1])
FTPHandler.authorizer = authorizer
FTPServer(("192.0.2.20", 21), FTPHandler).serve_forever()
"""


class Servers:
    """Everything that runs for as long as the capture, ended together."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.environment = {**os.environ, "HOME": str(work), "LANG": "C.UTF-8"}
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, capture: Path, seed: int) -> None:
        self._make_keys()
        self._make_pages()
        self._start("switch", sys.executable, "-m", "demo_office.switch", str(capture), str(seed))
        self._start("router", *self._dnsmasq())
        self._start("cloud", "nginx", "-c", self._file("nginx.conf", NGINX), "-g", "daemon off;")
        self._start("cloud", "mosquitto", "-c", self._file("mosquitto.conf", MOSQUITTO))
        self._start("cloud", "chronyd", "-x", "-d", "-f", self._file("chrony.conf", CHRONY))
        aiosmtpd = ("-m", "aiosmtpd", "-n", "-l", "198.51.100.25:25", "-c", "aiosmtpd.handlers.Sink")
        self._start("cloud", sys.executable, *aiosmtpd)
        addresses = NAMES["play.video.example"]
        key, certificate = str(self.work / "server.key"), str(self.work / "server.pem")
        self._start("cloud", sys.executable, "-m", "demo_office.quic", "serve", certificate, key, *addresses)
        Path("/run/sshd").mkdir(exist_ok=True)
        self._start("files", "/usr/sbin/sshd", "-D", "-f", self._file("sshd_config", SSHD))
        self._start("files", sys.executable, self._file("ftp.py", FTP), str(self.work / "www"))
        time.sleep(3)
        for process in self._running:
            if process.poll() is not None:
                raise RuntimeError(f"server ended at once: {process.args!r}; see {self.work / 'servers.log'}")

    def stop(self) -> None:
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            process.wait(timeout=10)

    def _start(self, host: str, *command: str) -> None:
        with (self.work / "servers.log").open("ab") as log:
            self._running.append(
                subprocess.Popen(
                    inside(host, *command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self.environment,
                )
            )

    def _file(self, name: str, template: str) -> str:
        path = self.work / name
        path.write_text(template if name.endswith(".py") else template.format(work=self.work))
        return str(path)

    def _dnsmasq(self) -> list[str]:
        words = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group=root"]
        words += [f"--pid-file={self.work}/dnsmasq.pid", f"--dhcp-leasefile={self.work}/leases", "--bind-interfaces"]
        words += ["--interface=staff", "--interface=things", "--no-resolv", "--no-hosts", "--local=/example/"]
        words += [
            "--dhcp-range=192.0.2.100,192.0.2.110,255.255.255.128",
            "--dhcp-option=option:domain-name,office.example",
        ]
        words += ["--dhcp-range=192.0.2.200,192.0.2.210,255.255.255.128"]
        for name, addresses in NAMES.items():
            words += [f"--host-record={name},{','.join(addresses)}"]
        for port in PORTS:
            if port.host in ("desk", "laptop", "camera", "sensor"):
                words += [f"--dhcp-host={port.mac},{port.addresses[0].partition('/')[0]}"]
        return words

    def _make_keys(self) -> None:
        """A certificate authority, one certificate for every name, SSH keys; made for the run and thrown away."""
        alternative = ",".join(f"DNS:{name}" for name in NAMES)
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
        self._run(
            "openssl", "req", "-x509", *curve, "-subj", "/CN=Demo Office CA", "-keyout", "ca.key", "-out", "ca.pem"
        )
        self._run(
            *("openssl", "req", "-x509", *curve, "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-subj", "/CN=www.office.example", "-addext", f"subjectAltName={alternative}"),
            *("-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "server.key", "-out", "server.pem"),
        )
        for name in ("host_key", "user_key", "wrong_key"):
            self._run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo@office.example", "-f", name)
        (self.work / "authorized_keys").write_bytes((self.work / "user_key.pub").read_bytes())

    def _make_pages(self) -> None:
        folder = self.work / "www"
        sizes: Mapping[str, int] = {"index.html": 3_000, "story.html": 9_000, "logo.png": 2_500, "update.bin": 60_000}
        (folder / "v").mkdir(parents=True)
        (self.work / "upload").mkdir()
        for name, size in sizes.items():
            (folder / name).write_bytes((b"an example page of the demo office. " * (size // 36 + 1))[:size])
        for segment in range(4):
            (folder / "v" / f"{segment}.ts").write_bytes(bytes([segment]) * (35_000 + 6_000 * segment))

    def _run(self, *command: str) -> None:
        subprocess.run(command, cwd=self.work, check=True, capture_output=True)
