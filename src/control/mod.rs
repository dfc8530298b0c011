//! How a person's command reaches the daemon.
