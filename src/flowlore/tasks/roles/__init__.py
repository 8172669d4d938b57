"""What a host or device is, told from how its rates move, and from nothing else: no address, port, name or payload."""
