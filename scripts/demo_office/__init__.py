"""A small office in network namespaces: hosts, a switch with a mirror port, servers, and an hour's work in a minute."""
