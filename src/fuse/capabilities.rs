//! What is agreed with the kernel when a mount begins.

use fuser::{InitFlags, KernelConfig};

/// Largest write the kernel sends at once.
const MAX_WRITE: u32 = 1 << 20;

/// Asks for what every mount wants: each alone, so that a kernel without one of them still gives the others.
pub(super) fn ask(config: &mut KernelConfig) {
    for wanted in [
        InitFlags::FUSE_DO_READDIRPLUS,
        InitFlags::FUSE_READDIRPLUS_AUTO,
        InitFlags::FUSE_PARALLEL_DIROPS,
        InitFlags::FUSE_ATOMIC_O_TRUNC,
        InitFlags::FUSE_HANDLE_KILLPRIV_V2,
        InitFlags::FUSE_AUTO_INVAL_DATA,
        InitFlags::FUSE_ASYNC_DIO,
        // The umask comes with the request: where a directory has a default list it has no say.
        InitFlags::FUSE_DONT_MASK,
        InitFlags::FUSE_POSIX_ACL,
    ] {
        if config.add_capabilities(wanted).is_err() {
            tracing::info!(?wanted, "not known to this kernel");
        }
    }
    if let Err(nearest) = config.set_max_write(MAX_WRITE) {
        tracing::info!(nearest, "largest write");
    }
}

/// True when the kernel can open directories without asking (since Linux 5.1).
pub(super) fn opens_directories(config: &KernelConfig) -> bool {
    let known = config.capabilities();
    known.contains(InitFlags::FUSE_NO_OPENDIR_SUPPORT)
}

/// Asks for passthrough; true when the kernel has it.
pub(super) fn ask_passthrough(config: &mut KernelConfig) -> bool {
    let known = config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok();
    // Our live files lie on a file system that is not stacked on another.
    let can = known && config.set_max_stack_depth(1).is_ok();
    tracing::info!(can, "passthrough");
    can
}
