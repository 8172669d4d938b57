"""Networks that are taught classes from the first step: what every pre-trained encoder has to beat."""
