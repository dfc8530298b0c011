//! Memory that is not used any more goes back to the host.

/// Gives back what the allocator keeps for later. After work that took much memory for a moment: pieces of it lie between
/// what lives on, and stay with the process otherwise.
pub fn give_memory_back() {
    // SAFETY: it works on the allocator's own data under the allocator's locks.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
