"""The console gateway of a host: joins screens, serial lines and terminals of this host to the dashboard over TLS."""
