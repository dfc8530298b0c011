//! What the process that waits for an answer is up to.

/// Signals whose default is to be ignored; a wait does not end for them (SIGCHLD, SIGCONT, SIGURG, SIGWINCH).
const QUIET: u64 =
    bit(libc::SIGCHLD) | bit(libc::SIGCONT) | bit(libc::SIGURG) | bit(libc::SIGWINCH);

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// True when a signal is waiting for thread `pid` that it would act on, or when the thread is gone.
/// False when that cannot be known.
pub fn is_signalled(pid: u32) -> bool {
    if pid == 0 {
        return false;
    }
    match std::fs::read_to_string(format!("/proc/{pid}/status")) {
        Ok(status) => acts_on(&status),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn acts_on(status: &str) -> bool {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let mask = |name| field(name).unwrap_or(0);
    let waiting = mask("SigPnd:") | mask("ShdPnd:");
    waiting & !mask("SigBlk:") & !mask("SigIgn:") & !QUIET != 0
}

/// True when group `gid` is among the supplementary groups of thread `pid`. False when that cannot be known.
pub fn has_group(pid: u32, gid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    pid != 0 && status.is_ok_and(|status| lists_group(&status, gid))
}

fn lists_group(status: &str, gid: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:"));
    line.is_some_and(|groups| groups.split_whitespace().any(|g| g.parse() == Ok(gid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pending: u64, shared: u64, blocked: u64) -> String {
        format!(
            "Name:\tcat\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t{blocked:016x}\nSigIgn:\t{:016x}\n",
            0
        )
    }

    #[test]
    fn a_pending_kill_counts_and_a_blocked_or_quiet_signal_does_not() {
        let int = bit(libc::SIGINT);
        assert!(acts_on(&status(bit(libc::SIGKILL), 0, 0)));
        assert!(acts_on(&status(0, int, 0)));
        assert!(!acts_on(&status(0, int, int)));
        assert!(!acts_on(&status(0, bit(libc::SIGCHLD), 0)));
        assert!(!acts_on(&status(0, 0, 0)));
    }

    #[test]
    fn this_process_is_not_signalled_and_a_missing_one_is() {
        assert!(!is_signalled(std::process::id()));
        assert!(is_signalled(u32::MAX - 1));
    }

    #[test]
    fn supplementary_groups_are_read() {
        let status = "Gid:\t7\t7\t7\t7\nGroups:\t4 24 1000 \n";
        assert!(lists_group(status, 24));
        assert!(!lists_group(status, 7));
        assert!(!lists_group("Groups:\t\n", 0));
        assert!(!has_group(0, 0));
    }
}
