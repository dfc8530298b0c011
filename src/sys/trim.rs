//! The allocator: memory that is not used any more goes back to the host.

/// So many pools of memory serve all threads. The allocator's own measure is eight for each processor, and what one thread
/// gave back in its pool another does not get: a quarter of the daemon's memory. Small pieces come from a cache of the thread's own,
/// so that few pools keep nobody waiting.
#[cfg(target_env = "gnu")]
const POOLS: i32 = 2;

/// Lets threads share their memory. To be called before there are others.
pub fn share_memory() {
    // SAFETY: it sets a number of the allocator.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, POOLS);
    }
}

/// Gives back what the allocator keeps for later. After work that took much memory for a moment: pieces of it lie between
/// what lives on, and stay with the process otherwise.
pub fn give_memory_back() {
    // SAFETY: it works on the allocator's own data under the allocator's locks.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
