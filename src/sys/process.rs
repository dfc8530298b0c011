//! Processes of our own program: started with nothing inherited but one socket, never waited for by a caller.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::{Gid, Uid};

use super::socket::Channel;

/// A process we started.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts `program` with `channel` as its standard input, its output nowhere and its messages in `log` (or nowhere).
    /// Its working directory is `/`, so that it holds no mount.
    pub fn start(
        program: &Path,
        args: &[OsString],
        env: &[(OsString, OsString)],
        channel: Channel,
        log: Option<File>,
    ) -> io::Result<Process> {
        let log = log.map_or_else(Stdio::null, |file| Stdio::from(OwnedFd::from(file)));
        let mut command = Command::new(program);
        command
            .args(args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            // A Ctrl-C at our terminal is ours to answer.
            .process_group(0)
            .stdin(Stdio::from(channel.into_fd()))
            .stdout(Stdio::null())
            .stderr(log);
        command.spawn().map(Process)
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends SIGKILL and does not wait: a process inside a dead mount may not end before the server answers.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
    }

    /// Waits until it has ended. Only for threads that have nothing else to do.
    pub fn reap(&mut self) {
        let _ = self.0.wait();
    }

    /// True when it has ended (and is reaped).
    pub fn ended(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(_)) | Err(_))
    }
}

/// Makes this process act as a user for good: groups first, then group, then user, because each step needs the rights the
/// next one gives away.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    nix::unistd::setgroups(&groups)?;
    nix::unistd::setgid(Gid::from_raw(gid))?;
    Ok(nix::unistd::setuid(Uid::from_raw(uid))?)
}

/// Modes given to new objects are meant as they are.
pub fn clear_umask() {
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
}

/// The user this process acts as.
pub fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The process that started this one; another number (1, mostly) once that has ended.
pub fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// Ends this process at once: no destructors, no waiting for threads that hang in a dead mount.
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: _exit takes no memory and does not return.
    unsafe { libc::_exit(code) }
}

/// Lets processes started from now on inherit this file; gives the number it has there.
pub fn inherit(file: &File) -> io::Result<i32> {
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(file.as_raw_fd())
}

/// The file a parent let us inherit as descriptor `number`.
pub fn inherited(number: i32) -> io::Result<File> {
    let path = format!("/proc/self/fd/{number}");
    let flags =
        nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_CLOEXEC;
    let mode = nix::sys::stat::Mode::empty();
    Ok(File::from(nix::fcntl::open(path.as_str(), flags, mode)?))
}

/// Is there anything at this path? Used for hooks of tests only, never on a lower.
pub fn path_exists(path: &Path) -> bool {
    path.exists()
}

/// Random bytes from the kernel.
pub fn random() -> io::Result<[u8; 16]> {
    use std::io::Read;
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The file that swallows everything.
pub fn open_null() -> io::Result<File> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
}
