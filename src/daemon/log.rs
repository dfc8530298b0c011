//! The daemon's log: `daemon.log`, or standard error in the foreground. `DRIFTFS_LOG` filters it (`debug`,
//! `driftfs::reintegrate=trace`, …).

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use super::start::Output;
use crate::sys;

/// The log file. A full disk costs lines, and nothing else: the subscriber would tell of an error on standard error, which is
/// the same file, and a panic there while the log is locked would stop every thread that has something to say.
struct Log(File);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged unless `DRIFTFS_LOG` says otherwise. `fuser` warns of every question it has no answer for, such as the one
/// many programs ask of each file they open (is it a terminal?).
const USUAL: &str = "info,fuser=error";

/// Starts logging; in the background standard output and error go to the log too, and no directory is kept in use.
pub(super) fn start(state: &Path, output: Output) -> io::Result<()> {
    let filter = EnvFilter::try_from_env("DRIFTFS_LOG").unwrap_or_else(|_| EnvFilter::new(USUAL));
    let format = tracing_subscriber::fmt().with_env_filter(filter);
    let set = match output {
        Output::Terminal => format
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .try_init(),
        Output::Log => {
            let file = sys::open_log(state)?;
            sys::settle_down(&file)?;
            format
                .with_ansi(false)
                .with_writer(Mutex::new(Log(file)))
                .try_init()
        }
    };
    if let Err(error) = set {
        eprintln!("driftfs: logging was started already: {error}");
    }
    std::panic::set_hook(Box::new(|info| tracing::error!(%info, "panic")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_fails_no_line() {
        let tmp = tempfile::tempdir().unwrap();
        let file = sys::open_dir(tmp.path()).unwrap();
        assert!((&file).write_all(b"nobody writes to a directory").is_err());
        Log(file).write_all(b"a line").unwrap();
    }
}
