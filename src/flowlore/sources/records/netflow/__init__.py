"""NetFlow v5, v7, v9 and IPFIX: datagrams of exporters to the flow table."""
