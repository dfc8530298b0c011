//! Leaving the caller's terminal: descriptors, session, signals.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{SigSet, Signal};

/// The descriptor on which a program started by [`spawn_detached`] reports.
pub const REPORT_FD: RawFd = 3;

/// Starts this program with `args` in a session of its own, with standard streams on `/dev/null` and no descriptor of ours but the
/// writing end of a pipe at [`REPORT_FD`]. Gives the child and the reading end.
pub fn spawn_detached(args: &[OsString]) -> io::Result<(Child, File)> {
    let mut command = Command::new(own_program()?);
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let end = writer.as_raw_fd();
    // SAFETY: only async-signal-safe system calls are made between fork and exec, and nothing is allocated. `end` is
    // open until this function returns, which is after the child has executed the program.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            place_report(end)?;
            close_from(REPORT_FD + 1)
        });
    }
    let child = command.spawn()?;
    drop(writer);
    Ok((child, File::from(reader)))
}

fn place_report(end: RawFd) -> io::Result<()> {
    if end == REPORT_FD {
        // SAFETY: plain fcntl on a descriptor that is open.
        let done = unsafe { libc::fcntl(end, libc::F_SETFD, 0) };
        return check(done);
    }
    // SAFETY: plain dup2; whatever was at REPORT_FD was inherited from our caller and is not ours to keep.
    check(unsafe { libc::dup2(end, REPORT_FD) })
}

/// Marks every descriptor from `first` on close-on-exec. (Closing them here would also close the pipe on which
/// std tells the parent that exec failed.)
fn close_from(first: RawFd) -> io::Result<()> {
    // SAFETY: close_range touches descriptors only, and with CLOEXEC closes none before exec.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first as libc::c_uint,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    check(done as i32)
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The pipe a detached program reports on. Call once, at its start.
pub fn report_pipe() -> io::Result<File> {
    // SAFETY: fcntl on a number is harmless; the number becomes ours only when it is open, and this program was
    // started with it for this purpose.
    let pipe = unsafe {
        check(libc::fcntl(REPORT_FD, libc::F_SETFD, libc::FD_CLOEXEC))?;
        OwnedFd::from_raw_fd(REPORT_FD)
    };
    Ok(File::from(pipe))
}

/// Reads what a detached program reports until it closes the pipe.
pub fn read_report(pipe: &mut File) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    pipe.take(64 * 1024).read_to_end(&mut said)?;
    Ok(said)
}

/// Writes a report; a caller that is gone is no reason to fail.
pub fn write_report(pipe: &mut File, text: &[u8]) {
    let _ = pipe.write_all(text);
}

/// Leaves the directory the daemon was started in, and points standard output and error to `log`.
pub fn settle_down(log: &File) -> io::Result<()> {
    std::env::set_current_dir("/")?;
    nix::unistd::dup2_stdout(log.as_fd())?;
    nix::unistd::dup2_stderr(log.as_fd())?;
    Ok(())
}

/// The signals that ask the daemon to end, held back in this thread and all it starts from now on.
pub struct EndSignals(SigSet);

/// Holds the ending signals back; call before the first thread is started.
pub fn hold_end_signals() -> io::Result<EndSignals> {
    let mut set = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .for_each(|signal| set.add(signal));
    set.thread_block()?;
    Ok(EndSignals(set))
}

impl EndSignals {
    /// Waits for one of them and gives its name.
    pub fn wait(&self) -> io::Result<&'static str> {
        Ok(self.0.wait()?.as_str())
    }
}

/// Our own program, also when its file was replaced meanwhile.
pub fn own_program() -> io::Result<std::path::PathBuf> {
    let path = std::env::current_exe()?;
    if std::fs::symlink_metadata(&path).is_ok() {
        return Ok(path);
    }
    Ok(Path::new("/proc/self/exe").to_owned())
}

/// Milliseconds are slept away (for waits with a limit of their own).
pub fn sleep(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// What this program prints when started with `args`, until it ends or until `patience` is over; then it is killed. Nobody waits for its death: it
/// may hang in a call on a dead share for ever.
pub fn output_within(args: &[OsString], patience: std::time::Duration) -> io::Result<Vec<u8>> {
    let mut child = Command::new(own_program()?)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (tell, told) = std::sync::mpsc::channel();
    let pipe = child.stdout.take();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        let Some(mut pipe) = pipe else { return };
        while let Ok(n @ 1..) = pipe.read(&mut chunk) {
            if tell.send(chunk[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    let until = std::time::Instant::now() + patience;
    let mut all = Vec::new();
    while let Ok(chunk) =
        told.recv_timeout(until.saturating_duration_since(std::time::Instant::now()))
    {
        all.extend(chunk);
    }
    let killed = child.kill();
    std::thread::spawn(move || child.wait());
    killed.map(|()| all)
}
