//! Serves a router over TLS within limits, and stops without losing a request.
