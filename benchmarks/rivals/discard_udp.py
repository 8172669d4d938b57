"""Takes datagrams on a port of the loopback interface and throws them away until it is ended: `discard_udp.py PORT`."""

import socket
import sys

if __name__ == "__main__":
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        opened.bind(("127.0.0.1", int(sys.argv[1])))
        buffer = bytearray(65_536)
        while True:
            opened.recv_into(buffer)
