"""From frames to packets: link layers, IP, transport and tunnels, read by compiled kernels.

`frames.parse_frames` is the way in. Nothing here raises on bytes from the wire: a frame that makes no flow gets a
verdict, and what is odd about one that does is counted in `notes`.
"""
