"""cicflowmeter through its own session class, because its command line fails: `cicflowmeter_flows.py CAPTURE OUT`."""

import sys

from cicflowmeter.flow_session import FlowSession
from scapy.sendrecv import sniff

if __name__ == "__main__":
    session = FlowSession(output_mode="csv", output=sys.argv[2], fields=None, verbose=False)
    sniff(offline=sys.argv[1], filter="ip and (tcp or udp)", prn=session.process, store=False)
    session.flush_flows()
