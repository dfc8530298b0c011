//! Who starts, joins and stops all of it.
