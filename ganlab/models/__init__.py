"""Networks, and nothing else: no loss, no optimiser, no file."""
