//! Given base, client and server bytes, what is the answer? Text is merged like git does (`gix-merge`).
