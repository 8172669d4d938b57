"""Capture files: pcap and pcapng become chunks of frames, one file or many merged by time."""
