//! How the kernel asks: decode, one call of `overlay`, reply.
