//! Connected: what is below appears, and what is done here arrives below.

use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};

use crate::support::{Rig, can_mount, read, sh, trees, wait_for, write};

#[test]
fn the_lower_appears_and_can_be_read() {
    if !can_mount("basics::read") {
        return;
    }
    let rig = Rig::mounted(
        |lower| {
            sh(
                "mkdir -p a/b; echo one > a/one; echo two > a/b/two; ln -s one a/link; ln a/one a/twin; chmod 640 a/one; touch -d '2020-02-02 02:02:02.123456789' a/b/two",
                lower,
            );
        },
        &[],
    );
    assert_eq!(read(rig.mnt.join("a/b/two")), "two\n");
    assert_eq!(
        fs::read_link(rig.mnt.join("a/link")).unwrap().to_str(),
        Some("one")
    );
    assert_eq!(
        fs::metadata(rig.mnt.join("a/one")).unwrap().mode() & 0o7777,
        0o640
    );
    trees::assert_equal(&rig.mnt, &rig.lower);
    assert!(
        !rig.lower.join(".driftfs").exists(),
        "mounting and reading must write nothing below"
    );
    assert_eq!(rig.run(&["st", "--check"]).code, 0);
    let st = rig.json(&["st"]);
    assert_eq!(st["schema"], 1);
    assert_eq!(st["link"]["state"], "connected");
}

#[test]
fn what_is_written_here_arrives_below() {
    if !can_mount("basics::write") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("old"), "old\n"), &[]);
    sh(
        "mkdir -p d/e; echo new > d/e/new; echo more >> old; ln -s target d/sym; mkfifo d/pipe; ln old d/second; chmod 600 d/e/new; setfattr -n user.color -v blue d/e/new; mkdir empty; touch -d '2001-01-01 01:01:01.5' d/e/new",
        &rig.mnt,
    );
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    assert_eq!(read(rig.lower.join("old")), "old\nmore\n");
    sh(
        "mv d/e moved; rm d/pipe; rmdir empty; echo again > old",
        &rig.mnt,
    );
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    assert!(!rig.lower.join("empty").exists());
}

#[test]
fn auto_push_needs_no_command() {
    if !can_mount("basics::auto") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &[]);
    write(rig.mnt.join("note"), "by itself\n");
    wait_for("the automatic push", || {
        fs::read(rig.lower.join("note")).is_ok_and(|b| b == b"by itself\n")
    });
}

#[test]
fn changes_below_are_seen_while_connected() {
    if !can_mount("basics::pull") {
        return;
    }
    let rig = Rig::mounted(
        |lower| sh("echo 1 > f; echo gone > g; mkdir d; echo x > d/x", lower).clear(),
        &[],
    );
    assert_eq!(read(rig.mnt.join("f")), "1\n");
    assert_eq!(read(rig.mnt.join("d/x")), "x\n");
    sh(
        "echo 22 > f; rm g; echo n > d/n; mv d/x d/y; mkdir -p q/r; echo deep > q/r/s",
        &rig.lower,
    );
    wait_for("the new contents", || read(rig.mnt.join("f")) == "22\n");
    wait_for("the new name", || rig.mnt.join("d/n").exists());
    wait_for("the removal", || !rig.mnt.join("g").exists());
    wait_for("the rename", || {
        rig.mnt.join("d/y").exists() && !rig.mnt.join("d/x").exists()
    });
    wait_for("the new directory", || {
        fs::read(rig.mnt.join("q/r/s")).is_ok()
    });
    rig.run(&["sync"]).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
}

#[test]
fn ordinary_file_operations_work() {
    if !can_mount("basics::operations") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &["--push", "manual"]);
    let script = r#"
import os, mmap, fcntl, errno, ctypes
os.makedirs('d')
with open('d/f','wb') as f: f.write(b'0123456789'*1000)
with open('d/f','r+b') as f:
    m=mmap.mmap(f.fileno(),0); m[0:5]=b'HELLO'; m.flush(); m.close()
assert open('d/f','rb').read(10)==b'HELLO56789'
os.truncate('d/f', 7); assert os.stat('d/f').st_size==7
with open('d/f','ab') as f: f.write(b'X')
assert open('d/f','rb').read()==b'HELLO56X'
fd=os.open('d/f',os.O_RDWR); os.unlink('d/f'); os.pwrite(fd,b'still',0); assert os.pread(fd,5,0)==b'still'; assert os.fstat(fd).st_nlink==0; os.close(fd)
open('a','w').write('a'); open('b','w').write('b')
libc=ctypes.CDLL(None,use_errno=True)
assert libc.renameat2(-100,b'a',-100,b'b',1)==-1 and ctypes.get_errno()==errno.EEXIST
assert libc.renameat2(-100,b'a',-100,b'b',2)==0 and open('a').read()=='b' and open('b').read()=='a'
fd=os.open('s',os.O_CREAT|os.O_RDWR); os.posix_fallocate(fd,0,10000); assert os.fstat(fd).st_size==10000
os.lseek(fd,0,0); os.truncate(fd,1<<30); os.pwrite(fd,b'end',(1<<30)-3); assert os.lseek(fd,100000,os.SEEK_DATA)>100000; os.close(fd); os.unlink('s')
inode=os.stat('a').st_ino
os.rename('a','d/a'); assert os.stat('d/a').st_ino==inode
try: os.rmdir('d'); assert False
except OSError as e: assert e.errno==errno.ENOTEMPTY
os.setxattr('d/a','user.k',b'v'); assert os.getxattr('d/a','user.k')==b'v' and os.listxattr('d/a')==['user.k']
for i in range(300): open('d/n%d'%i,'w').close()
seen=set()
for e in os.scandir('d'):
    seen.add(e.name); os.unlink(e.path)
assert len(seen)==301 and os.listdir('d')==[], len(seen)
assert os.statvfs('.').f_blocks>0
"#;
    write(rig.root.join("ops.py"), script);
    sh("python3 ../ops.py", &rig.mnt);
}

#[test]
fn numbers_stay_over_a_remount() {
    if !can_mount("basics::numbers") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("f"), "x"), &[]);
    write(rig.mnt.join("n"), "y");
    let numbers = || {
        (
            fs::metadata(rig.mnt.join("f")).unwrap().ino(),
            fs::metadata(rig.mnt.join("n")).unwrap().ino(),
        )
    };
    let before = numbers();
    rig.run(&["sync"]).ok();
    assert_eq!(numbers(), before);
    rig.umount().ok();
    rig.mount(&[]).ok();
    assert_eq!(numbers(), before);
    assert_eq!(fs::metadata(&rig.mnt).unwrap().ino(), 1);
}

#[test]
fn a_private_mount_keeps_modes_to_itself() {
    if !can_mount("basics::modes") {
        return;
    }
    let rig = Rig::mounted(|lower| write(lower.join("secret"), "s"), &[]);
    fs::set_permissions(rig.mnt.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&rig.root, fs::Permissions::from_mode(0o755)).unwrap();
    let told = sh(
        "chmod 755 .; setpriv --reuid 65534 --clear-groups cat mnt/secret 2>&1 || true",
        &rig.root,
    );
    assert!(told.contains("Permission denied"), "{told}");
}

#[test]
fn a_running_program_cannot_be_emptied() {
    if !can_mount("basics::running") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &["--push", "manual"]);
    let program = rig.mnt.join("program");
    fs::copy("/bin/sleep", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut running = std::process::Command::new(&program)
        .arg("60")
        .spawn()
        .unwrap();
    let emptied = || {
        fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_TRUNC)
            .open(&program)
    };
    let busy = |error: std::io::Error| error.raw_os_error() == Some(libc::ETXTBSY);
    // The kernel itself refuses only the first.
    assert!(
        fs::OpenOptions::new()
            .write(true)
            .open(&program)
            .is_err_and(busy)
    );
    assert!(emptied().is_err_and(busy));
    assert!(
        fs::read(&program).unwrap() == fs::read("/bin/sleep").unwrap(),
        "the program was changed"
    );
    running.kill().unwrap();
    running.wait().unwrap();
    emptied().unwrap();
    assert_eq!(fs::metadata(&program).unwrap().len(), 0);
}
