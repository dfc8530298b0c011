//! `--push close`: close() returns when the server has it. `--push manual`: nothing goes without a command.

use std::fs;

use crate::support::{Rig, can_mount, read, write};

#[test]
fn close_waits_for_the_server() {
    if !can_mount("push_modes::close") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &["--push", "close"]);
    for i in 0..20 {
        write(rig.mnt.join("f"), format!("{i}\n"));
        assert_eq!(read(rig.lower.join("f")), format!("{i}\n"));
    }
}

#[test]
fn manual_waits_for_a_person() {
    if !can_mount("push_modes::manual") {
        return;
    }
    let rig = Rig::mounted(|_| {}, &["--push", "manual"]);
    write(rig.mnt.join("f"), "x");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(fs::metadata(rig.lower.join("f")).is_err());
    let plan = rig.run(&["plan"]);
    assert!(plan.out.contains('f'), "{plan:?}");
    rig.run(&["sync"]).ok();
    assert_eq!(read(rig.lower.join("f")), "x");
}
