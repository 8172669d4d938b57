"""NFStream to CSV, as its documentation shows: `nfstream_flows.py CAPTURE OUT full|names|least`."""

import sys

from nfstream import NFStreamer

if __name__ == "__main__":
    capture, out, how = sys.argv[1:]
    NFStreamer(
        source=capture,
        n_dissections=20 if how == "names" else 0,
        statistical_analysis=how != "least",
        splt_analysis=0 if how == "least" else 20,
        idle_timeout=120,
        active_timeout=1800,
        n_meters=1,
    ).to_csv(path=out)
