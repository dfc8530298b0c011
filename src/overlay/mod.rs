//! What one file operation does.
