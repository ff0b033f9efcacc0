"""One module for each theme: its beliefs, and the probes that ask about them."""
