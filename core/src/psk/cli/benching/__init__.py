"""How quick is a channel, at which sizes, and beside which other?"""
