"""Consoles in the web process: one websocket joins a browser to the gateway of the host where the thing runs."""
