//! A tree that is hard to copy goes onto the mount and back, by the three tools that copy everything.

use std::path::Path;
use std::time::Duration;

use crate::bed::{many, python};
use crate::support::{Rig, can_mount, scale, sh, sh_within, trees};

// (rsync takes times in one second for equal unless told otherwise. To root XFS shows its access control lists a second time, as attributes; rsync would take those it has not sent away again.)
const TOOLS: [(&str, &str); 3] = [
    (
        "rsync",
        "mkdir $2 && rsync -aHAXS --modify-window=-1 --numeric-ids --filter='-x trusted.SGI_ACL_*' $1/ $2/",
    ),
    (
        "tar",
        "mkdir $2 && tar -C $1 --xattrs --xattrs-include='*' --acls --numeric-owner --sparse -cf - . | tar -C $2 --xattrs \
         --xattrs-include='*' --acls --numeric-owner -xpf -",
    ),
    ("cp", "cp -a $1 $2"),
];

/// How long copying or sending 10,000 new files may take on a machine that does other things too.
const LONG: Duration = Duration::from_secs(900);

fn copy(recipe: &str, from: &Path, to: &Path) {
    let script = format!(
        "set -o pipefail; set -- {} {}; {recipe}",
        from.display(),
        to.display()
    );
    sh_within(&script, Path::new("/"), LONG);
}

fn hostile(dir: &Path, many: usize) {
    std::fs::create_dir(dir).unwrap();
    python("hostile.py", &[&many.to_string()], dir, "outside");
}

#[track_caller]
fn same(what: &str, left: &Path, right: &Path) {
    let told = trees::differences(left, right);
    assert!(
        told.is_empty(),
        "{what}: {} differences:\n{}",
        told.len(),
        told[..told.len().min(10)].join("\n")
    );
    // Directories too: the comparison above leaves their times out.
    let times = |root: &Path| {
        sh(
            "find . -mindepth 1 -type d -printf '%P %T@\\0' | sort -z",
            root,
        )
    };
    let (left, right) = (times(left), times(right));
    let told: Vec<_> = left
        .split('\0')
        .zip(right.split('\0'))
        .filter(|(left, right)| left != right)
        .take(5)
        .collect();
    assert!(told.is_empty(), "{what}: times of directories: {told:?}");
}

fn onto_and_back(state: &str) {
    if !can_mount(&format!("round_trip::{state}")) {
        return;
    }
    let rig = Rig::mounted(|_| {}, &["-o", "dev", "--push", "manual"]);
    if state == "offline" {
        rig.offline();
    }
    let source = rig.root.join("source");
    // The large directory goes with one tool; the test below takes it away with all of them.
    hostile(&source, scale(150, 500));
    for (name, recipe) in TOOLS {
        if name == "cp" {
            let more = scale(0, 10_000);
            sh_within(
                &format!("cd many; seq -f 'more %.0f' {more} | tr '\\n' '\\0' | xargs -0r touch"),
                &source,
                LONG,
            );
        }
        let (there, back) = (rig.mnt.join(name), rig.root.join(name));
        copy(recipe, &source, &there);
        same(&format!("{name} onto the mount, {state}"), &source, &there);
        copy(recipe, &there, &back);
        same(&format!("{name} and back, {state}"), &source, &back);
        sh(&format!("rm -rf {}", back.display()), Path::new("/"));
        // Sending is what takes long; one of them stands for all.
        if name != "cp" {
            sh(&format!("rm -rf {}", there.display()), Path::new("/"));
        }
    }
    if state == "offline" {
        rig.run_within(&["online", "--wait"], LONG).ok();
    }
    rig.run_within(&["sync"], LONG).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
    trees::assert_equal(&source, &rig.lower.join("cp"));
}

#[test]
fn onto_the_mount_and_back_connected() {
    onto_and_back("connected");
}

#[test]
fn onto_the_mount_and_back_offline() {
    onto_and_back("offline");
}

#[test]
fn a_hostile_tree_from_the_server_is_copied_whole() {
    if !can_mount("round_trip::from_the_server") {
        return;
    }
    let rig = Rig::mounted(|lower| hostile(&lower.join("tree"), many()), &["-o", "dev"]);
    let (there, source) = (rig.mnt.join("tree"), rig.lower.join("tree"));
    for (name, recipe) in TOOLS {
        let back = rig.root.join(name);
        copy(recipe, &there, &back);
        same(&format!("{name}, connected"), &source, &back);
        sh(&format!("rm -rf {}", back.display()), Path::new("/"));
    }
    rig.offline();
    for (name, recipe) in TOOLS {
        let back = rig.root.join(name);
        copy(recipe, &there, &back);
        same(&format!("{name}, offline"), &source, &back);
    }
    // Everything is moved, touched, and goes back to the server.
    sh(
        "mv tree moved; find moved -type f -exec chmod u+w -- {} +; mv moved/many moved/more; cp -a moved/acls moved/again; ln moved/kinds/fifo moved/pipe",
        &rig.mnt,
    );
    rig.run_within(&["online", "--wait"], LONG).ok();
    trees::assert_equal(&rig.mnt, &rig.lower);
}
