//! On a disk that cannot clone: files in an image that can.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Rig, can_mount, driftfs, read, run_limited, sh, skip, wait_for};

const SIZE: &str = "700M";

/// A rig whose state directory is on an ext4 of its own.
struct OnExt4 {
    rig: Rig,
    disk: PathBuf,
}

impl OnExt4 {
    fn new(test: &str) -> Option<OnExt4> {
        if !can_mount(test) {
            return None;
        }
        let mut rig = Rig::new();
        let disk = rig.root.join("disk");
        let made = "mkdir disk; truncate -s 2G ext4; mkfs.ext4 -q ext4; command -v mkfs.xfs losetup; mount -o loop ext4 disk";
        let ran = run_limited(
            Command::new("bash")
                .args(["-euc", made])
                .current_dir(&rig.root),
            std::time::Duration::from_secs(60),
        );
        if ran.code != 0 {
            skip(test, "no loop devices, or no mkfs.ext4 and mkfs.xfs");
            return None;
        }
        rig.state = disk.join("state");
        Some(OnExt4 { rig, disk })
    }

    fn objects(&self) -> PathBuf {
        self.rig.state.join("objects")
    }

    fn is_mounted(&self) -> bool {
        fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .contains(&format!(" {} ", self.objects().display()))
    }

    /// Bytes used in the image.
    fn used(&self) -> u64 {
        sh(
            "sync -f .; df -B1 --output=used . | tail -1",
            &self.objects(),
        )
        .trim()
        .parse()
        .unwrap()
    }

    /// Unmounts, and waits until neither mount nor loop device is left.
    fn leave(&self) {
        self.rig.umount().ok();
        wait_for("the image to be let go of", || {
            !self.is_mounted() && sh("losetup -j objects.img", &self.rig.state).is_empty()
        });
    }
}

impl Drop for OnExt4 {
    fn drop(&mut self) {
        if let Some(pid) = self.rig.pid() {
            let _ = Command::new("kill")
                .args(["-KILL", &pid.to_string()])
                .status();
        }
        for point in [&self.rig.mnt, &self.objects(), &self.disk] {
            let _ = Command::new("umount").arg("-l").arg(point).output();
        }
    }
}

fn big(lower: &Path) {
    sh("head -c 64M /dev/urandom > big; echo small > small", lower);
}

#[test]
fn the_first_write_to_a_cached_file_copies_nothing() {
    let Some(bed) = OnExt4::new("cache_image::clone") else {
        return;
    };
    big(&bed.rig.lower);
    bed.rig
        .mount(&["--push", "manual", "--cache-image", SIZE])
        .ok();
    assert!(bed.is_mounted());
    assert_eq!(bed.rig.json(&["st"])["cache"]["image"], 700 << 20);
    sh("cat big > /dev/null", &bed.rig.mnt);
    let before = bed.used();
    assert!(before > 64 << 20);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(bed.rig.mnt.join("big"))
        .unwrap();
    file.write_all_at(b"x", 0).unwrap();
    file.sync_all().unwrap();
    drop(file);
    assert!(
        bed.used() < before + (8 << 20),
        "base and live share their blocks"
    );
    bed.rig.run(&["sync"]).ok();
    sh("cmp big ../lower/big", &bed.rig.mnt);
    bed.leave();
}

#[test]
fn an_image_survives_a_kill_and_a_remount() {
    let Some(bed) = OnExt4::new("cache_image::kill") else {
        return;
    };
    big(&bed.rig.lower);
    bed.rig
        .mount(&["--push", "manual", "--cache-image", SIZE])
        .ok();
    sh("echo mine > new; echo more >> small", &bed.rig.mnt);
    bed.rig.kill();
    assert!(bed.is_mounted());
    let state = bed.rig.state.to_str().unwrap();
    let check = || {
        run_limited(
            driftfs().args(["check", "--state", state]),
            std::time::Duration::from_secs(60),
        )
    };
    check().ok();
    // Nothing but the state directory tells that there is an image.
    bed.rig.mount(&["--push", "manual"]).ok();
    assert_eq!(read(bed.rig.mnt.join("new")), "mine\n");
    assert_eq!(read(bed.rig.mnt.join("small")), "small\nmore\n");
    bed.rig.kill();
    bed.rig.mount(&["--push", "manual"]).ok();
    assert_eq!(read(bed.rig.mnt.join("small")), "small\nmore\n");
    bed.leave();
    let out = bed.rig.root.join("out");
    let mut export = driftfs();
    export
        .args(["export", "--all-dirty", "--state", state])
        .arg(&out);
    run_limited(&mut export, std::time::Duration::from_secs(60)).ok();
    assert_eq!(read(out.join("changed/new")), "mine\n");
    wait_for("the image to be let go of", || !bed.is_mounted());
    bed.rig
        .mount(&["--push", "manual", "--cache-image", "900M"])
        .ok();
    assert_eq!(
        bed.rig.json(&["st"])["cache"]["image"],
        700 << 20,
        "as it was made"
    );
    bed.rig.run(&["sync"]).ok();
    assert_eq!(read(bed.rig.lower.join("small")), "small\nmore\n");
    bed.leave();
    fs::rename(
        bed.rig.state.join("objects.img"),
        bed.disk.join("elsewhere"),
    )
    .unwrap();
    let refused = bed.rig.mount(&[]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("is gone"), "{}", refused.err);
}

#[test]
fn a_full_disk_around_the_image_loses_nothing() {
    let Some(bed) = OnExt4::new("cache_image::full") else {
        return;
    };
    big(&bed.rig.lower);
    let refused = bed.rig.mount(&["--cache-image", "4G"]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("No space left"), "{}", refused.err);
    let image = bed.rig.state.join("objects.img");
    assert!(!image.exists() && !image.with_extension("new").exists());
    bed.rig
        .mount(&["--push", "manual", "--cache-image", SIZE])
        .ok();
    let allocated = fs::metadata(&image).unwrap().blocks() * 512;
    assert!(allocated >= 700 << 20, "{allocated}");
    let copy = bed.rig.mnt.join("copy");
    let file = fs::File::create(&copy).unwrap();
    sh(
        "dd if=/dev/zero of=filler bs=1M 2> /dev/null || true",
        &bed.disk,
    );
    // Whether this is refused depends on who serves the write; what is taken reaches the disk.
    let taken = std::io::copy(
        &mut fs::File::open(bed.rig.lower.join("big")).unwrap(),
        &mut &file,
    );
    file.sync_all().unwrap();
    sh("sync -f .", &bed.objects());
    if taken.is_ok() {
        sh("cmp copy ../lower/big", &bed.rig.mnt);
    }
    drop(file);
    fs::remove_file(bed.disk.join("filler")).unwrap();
    wait_for("room", || {
        fs::write(bed.rig.mnt.join("after"), "after").is_ok()
    });
    bed.leave();
}
