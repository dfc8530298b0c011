//! A user without rights who mounts through `fusermount3`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Ran, Rig, can_mount, driftfs, run_limited, sh, skip};

/// `nobody`; `fusermount3` wants a user with a name.
pub const UID: u32 = 65534;

const LIMIT: Duration = Duration::from_secs(300);

/// A rig that belongs to [`UID`], seen from a mount namespace of the calling thread.
pub struct User {
    pub rig: Rig,
    program: PathBuf,
}

impl User {
    /// Nothing mounted yet; `None` (and a reason in the summary) where a user cannot mount.
    pub fn new(test: &str) -> Option<User> {
        if !can_mount(test) {
            return None;
        }
        if Command::new("fusermount3").arg("-V").output().is_err() {
            skip(test, "needs fusermount3");
            return None;
        }
        // SAFETY: only this thread's view of mounts is set apart; nothing is shared with it by address.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            skip(test, "needs a mount namespace of its own");
            return None;
        }
        let rig = Rig::new();
        sh("mount --make-rprivate /", &rig.root);
        let user = User {
            program: rig.root.join("driftfs"),
            rig,
        };
        user.make();
        match user.reason() {
            None => Some(user),
            Some(reason) => {
                skip(test, &reason);
                None
            }
        }
    }

    /// What the user needs: a program and directories within reach, the device (in CI only root may open it), and nobody's
    /// settings of `fusermount3`.
    fn make(&self) {
        let rig = &self.rig;
        fs::copy(driftfs().get_program(), &self.program).unwrap();
        fs::create_dir(rig.root.join("tmp")).unwrap();
        fs::write(rig.root.join("fuse.conf"), "").unwrap();
        for dir in [&rig.root, &rig.lower, &rig.mnt, &rig.root.join("tmp")] {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
            chown(dir, Some(UID), Some(UID)).unwrap();
        }
        sh(
            "mknod device c 10 229; chmod 666 device; mount --bind device /dev/fuse; touch -a /etc/fuse.conf; \
             mount --bind fuse.conf /etc/fuse.conf",
            &rig.root,
        );
    }

    fn reason(&self) -> Option<String> {
        let ran = self.sh_any("test -x ../driftfs && exec 3<> /dev/fuse", &self.rig.lower);
        (ran.code != 0).then(|| format!("a user cannot reach what the test made: {}", ran.err))
    }

    /// Lets `fusermount3` grant `allow_other`.
    pub fn grant_others(&self) {
        fs::write(self.rig.root.join("fuse.conf"), "user_allow_other\n").unwrap();
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .uid(UID)
            .gid(UID)
            .env("HOME", self.rig.root.join("tmp"))
            .env("TMPDIR", self.rig.root.join("tmp"))
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("XDG_STATE_HOME");
        command
    }

    /// `driftfs mount` as the user.
    pub fn mount(&self, args: &[&str]) -> Ran {
        let mut command = self.command(&self.program);
        command
            .arg("mount")
            .args([&self.rig.lower, &self.rig.mnt])
            .arg("--state")
            .arg(&self.rig.state)
            .args(args);
        run_limited(&mut command, LIMIT)
    }

    /// Any other `driftfs` command of the user.
    pub fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.command(&self.program);
        command.arg("-m").arg(&self.rig.mnt).args(args);
        run_limited(&mut command, LIMIT)
    }

    /// A program of the user, whatever it answers.
    pub fn program(&self, program: &Path, args: &[&str], dir: &Path) -> Ran {
        let mut command = self.command(program);
        command.args(args).current_dir(dir);
        run_limited(&mut command, LIMIT)
    }

    /// A script of the user, whatever it answers.
    pub fn sh_any(&self, script: &str, dir: &Path) -> Ran {
        self.program(Path::new("bash"), &["-euc", script], dir)
    }

    /// A script of the user that must succeed.
    #[track_caller]
    pub fn sh(&self, script: &str, dir: &Path) -> String {
        let ran = self.sh_any(script, dir);
        assert_eq!(
            ran.code, 0,
            "{script}\nstdout: {}\nstderr: {}",
            ran.out, ran.err
        );
        ran.out
    }

    /// What the user sees of a tree: root sees nothing of the mount of somebody else.
    #[track_caller]
    pub fn listing(&self, dir: &Path) -> String {
        self.sh(
            "export LC_ALL=C; find . -mindepth 1 -name .driftfs -prune -o ! -type d -printf '%P %y %m %U %G %n %s %T@ %l\\n' | sort; \
             find . -mindepth 1 -name .driftfs -prune -o -type d -printf '%P %m %U %G\\n' | sort; \
             find . -name .driftfs -prune -o -type f -readable -print0 | sort -z | xargs -0r md5sum; \
             find . -name .driftfs -prune -o -readable ! -type l -print0 | sort -z > $TMPDIR/names; \
             xargs -0r getfacl -nps -- < $TMPDIR/names; xargs -0r getfattr -hd -e hex -- < $TMPDIR/names",
            dir,
        )
    }
}
