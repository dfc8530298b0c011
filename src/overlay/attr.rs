//! Reading and setting attributes.

use super::hidden::is_shown;
use super::{Call, Overlay, Result, SetAttrs, Stat};
use crate::model::{Attrs, Ino, Kind, Who};

impl Overlay {
    /// The attributes of a node.
    pub fn getattr(&self, call: &Call, ino: Ino) -> Result<Stat> {
        if is_shown(ino) {
            return self.getattr_shown(ino);
        }
        if let Some(dir) = self.directory_of(ino)? {
            self.look_first(call, dir)?;
        }
        Ok(Stat::from(&self.tree.stat(ino)?))
    }

    /// Sets attributes. A change of size by a user without privilege takes set-id bits away.
    pub fn setattr(&self, call: &Call, ino: Ino, set: &SetAttrs) -> Result<Stat> {
        self.check_live(ino)?;
        if *set == SetAttrs::default() {
            // So the kernel tells, before a write without privilege, that set-id bits have to go. They would go with the
            // write; but the kernel keeps what is answered here, and asks no more for the mode.
            self.strip_set_id(ino, call.who)?;
        }
        let kill = set.size.is_some() && call.who.uid != 0;
        let seen = self
            .tree
            .set_attrs(ino, set, kill, call.who)
            .map_err(|error| self.missing(call, error))?;
        self.hooks.say_changed(ino);
        Ok(Stat::from(&seen))
    }

    /// The directory whose listing on the server tells about `ino`: where its first name is. `None`: it has no name.
    pub(super) fn directory_of(&self, ino: Ino) -> Result<Option<Ino>> {
        if ino == Ino::ROOT {
            return Ok(Some(ino));
        }
        let home = self.tree.meta().quick(|rows| rows.home(ino));
        Ok(home.map_err(crate::tree::TreeError::Meta)?)
    }

    /// Takes set-id bits away as a write by `who` does.
    pub(super) fn strip_set_id(&self, ino: Ino, who: Who) -> Result<()> {
        if who.uid == 0 {
            return Ok(());
        }
        let attrs = self.tree.stat(ino)?.node.attrs;
        let mode = without_set_id(&attrs);
        if mode != attrs.mode {
            let set = SetAttrs {
                mode: Some(mode),
                ..SetAttrs::default()
            };
            self.tree.set_attrs(ino, &set, false, who)?;
            self.changed_more(ino);
        }
        Ok(())
    }
}

/// The mode of a regular file after a write without privilege: no set-user-id, and no set-group-id where the group may
/// execute (without that bit it means mandatory locking and stays).
fn without_set_id(attrs: &Attrs) -> u32 {
    if attrs.kind != Kind::File {
        return attrs.mode;
    }
    let mut mode = attrs.mode & !0o4000;
    if mode & 0o0010 != 0 {
        mode &= !0o2000;
    }
    mode
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn file(mode: u32) -> Attrs {
        let zero = Time::default();
        Attrs {
            kind: Kind::File,
            mode,
            uid: 1,
            gid: 1,
            rdev: 0,
            size: 0,
            mtime: zero,
            ctime: zero,
            atime: zero,
        }
    }

    #[test]
    fn a_write_takes_set_id_bits_of_executables_away() {
        assert_eq!(without_set_id(&file(0o6755)), 0o755);
        assert_eq!(without_set_id(&file(0o2644)), 0o2644);
        assert_eq!(without_set_id(&file(0o4600)), 0o600);
    }
}
