"""Who is at the page: passkeys, passwords, the company's provider, API tokens, sessions, and one-time links.

Nothing here opens a door or changes a register: that takes signatures, which the controller checks itself.
"""
