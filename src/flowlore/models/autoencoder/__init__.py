"""A multi-modal autoencoder: adaptation, integration and decoding of whatever a flow shows (arXiv 2405.02649)."""
