"""What is in a file that came from psk? Payloads and pickles are read, never decoded."""
