//! POSIX access control lists in the form the kernel passes them (`system.posix_acl_*`), and how they and the mode go
//! together. Pure; the rules are those of the kernel's own file systems, so that nobody can tell the difference.
//!
//! A list holds the rights of the owner, of named users, of the group, of named groups, a mask over all but owner and
//! others, and of others. Owner, mask (group, when there is no mask) and others are the nine bits of the mode: whoever
//! changes one changes the other. A list of nothing else says what the mode says, and is not kept.

/// The list that guards an object.
pub(super) const ACCESS: &[u8] = b"system.posix_acl_access";
/// The list of a directory that what is made in it begins with.
pub(super) const DEFAULT: &[u8] = b"system.posix_acl_default";

/// Largest list: the kernel reads one of a FUSE file system into a page, and locks everybody out when it does not fit.
const LONGEST: usize = 4096;
const VERSION: u32 = 2;
const ENTRY: usize = 8;

const OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OWNER: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    tag: u16,
    rights: u16,
    /// Of a named user or group; kept as it came of the others.
    id: u32,
}

/// A list of rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acl(Vec<Entry>);

/// What an object made in a directory with a default list gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inherited {
    pub(super) mode: u32,
    /// `None`: the mode says it all.
    pub(super) access: Option<Acl>,
}

impl Acl {
    /// Reads the kernel's form; `None` for what no kernel passes.
    pub(super) fn parse(value: &[u8]) -> Option<Acl> {
        let (version, rest) = value.split_first_chunk::<4>()?;
        let fits = value.len() <= LONGEST && rest.len().is_multiple_of(ENTRY);
        if u32::from_le_bytes(*version) != VERSION || !fits {
            return None;
        }
        let entries: Vec<Entry> = rest
            .chunks_exact(ENTRY)
            .filter_map(|bytes| {
                let (tag, bytes) = bytes.split_first_chunk::<2>()?;
                let (rights, id) = bytes.split_first_chunk::<2>()?;
                Some(Entry {
                    tag: u16::from_le_bytes(*tag),
                    rights: u16::from_le_bytes(*rights),
                    id: u32::from_le_bytes(id.try_into().ok()?),
                })
            })
            .collect();
        let acl = Acl(entries);
        acl.is_whole().then_some(acl)
    }

    /// The kernel's form.
    pub(super) fn compose(&self) -> Vec<u8> {
        let mut value = VERSION.to_le_bytes().to_vec();
        for entry in &self.0 {
            value.extend(entry.tag.to_le_bytes());
            value.extend(entry.rights.to_le_bytes());
            value.extend(entry.id.to_le_bytes());
        }
        value
    }

    /// The nine bits of the mode that this list stands for.
    pub(super) fn bits(&self) -> u32 {
        let group = self.rights(MASK).or(self.rights(GROUP_OWNER));
        self.rights(OWNER).unwrap_or(0) << 6
            | group.unwrap_or(0) << 3
            | self.rights(OTHERS).unwrap_or(0)
    }

    /// True when the mode says all that this list says.
    pub(super) fn is_minimal(&self) -> bool {
        let extra = USER | GROUP | MASK;
        self.0.iter().all(|entry| entry.tag & extra == 0)
    }

    /// What chmod does to a list.
    pub(super) fn chmod(&mut self, mode: u32) {
        let group = self.group_tag();
        self.each(|entry| match entry.tag {
            OWNER => entry.rights = bits_of(mode >> 6),
            OTHERS => entry.rights = bits_of(mode),
            tag if tag == group => entry.rights = bits_of(mode >> 3),
            _ => {}
        });
    }

    /// What an object asked for with `mode` gets where this is the default list: the umask has no say then.
    pub(super) fn inherited(&self, mode: u32) -> Inherited {
        let mut access = self.clone();
        let group = access.group_tag();
        access.each(|entry| match entry.tag {
            OWNER => entry.rights &= bits_of(mode >> 6),
            OTHERS => entry.rights &= bits_of(mode),
            tag if tag == group => entry.rights &= bits_of(mode >> 3),
            _ => {}
        });
        Inherited {
            mode: mode & !0o777 | access.bits(),
            access: (!access.is_minimal()).then_some(access),
        }
    }

    /// The entry that the group's bits of the mode stand for.
    fn group_tag(&self) -> u16 {
        match self.rights(MASK) {
            Some(_) => MASK,
            None => GROUP_OWNER,
        }
    }

    fn rights(&self, tag: u16) -> Option<u32> {
        let entry = self.0.iter().find(|entry| entry.tag == tag)?;
        Some(u32::from(entry.rights))
    }

    fn each(&mut self, change: impl FnMut(&mut Entry)) {
        self.0.iter_mut().for_each(change);
    }

    /// Owner, group and others once each, a mask where somebody is named, in order of tags, no rights but read, write
    /// and execute. (The kernel has looked already; the server's word is not taken for it.)
    fn is_whole(&self) -> bool {
        let count = |tag| self.0.iter().filter(|entry| entry.tag == tag).count();
        let named = count(USER) + count(GROUP) > 0;
        let known = self.0.iter().all(|entry| {
            entry.rights <= 7
                && matches!(
                    entry.tag,
                    OWNER | USER | GROUP_OWNER | GROUP | MASK | OTHERS
                )
        });
        known
            && [OWNER, GROUP_OWNER, OTHERS].map(count) == [1, 1, 1]
            && (count(MASK) == 1 || (count(MASK) == 0 && !named))
            && self.0.is_sorted_by_key(|entry| entry.tag)
    }
}

fn bits_of(mode: u32) -> u16 {
    (mode & 7) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(entries: &[(u16, u16, u32)]) -> Acl {
        let entry = |&(tag, rights, id)| Entry { tag, rights, id };
        Acl(entries.iter().map(entry).collect())
    }

    fn named() -> Acl {
        acl(&[
            (OWNER, 7, !0),
            (USER, 6, 1000),
            (GROUP_OWNER, 5, !0),
            (MASK, 6, !0),
            (OTHERS, 4, !0),
        ])
    }

    #[test]
    fn a_list_reads_back_as_it_was_written() {
        let value = named().compose();
        assert_eq!(value.len(), 4 + 5 * 8);
        assert_eq!(value[..12], [2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255]);
        assert_eq!(Acl::parse(&value), Some(named()));
    }

    #[test]
    fn broken_lists_are_refused() {
        let whole = named().compose();
        assert_eq!(Acl::parse(&[]), None);
        assert_eq!(Acl::parse(&whole[..whole.len() - 1]), None);
        assert_eq!(Acl::parse(&VERSION.to_le_bytes()), None);
        let mut other_version = whole.clone();
        other_version[0] = 3;
        assert_eq!(Acl::parse(&other_version), None);
        let without_mask = acl(&[
            (OWNER, 7, 0),
            (USER, 6, 1),
            (GROUP_OWNER, 5, 0),
            (OTHERS, 4, 0),
        ]);
        assert_eq!(Acl::parse(&without_mask.compose()), None);
        let rights = acl(&[(OWNER, 8, 0), (GROUP_OWNER, 5, 0), (OTHERS, 4, 0)]);
        assert_eq!(Acl::parse(&rights.compose()), None);
        let order = acl(&[(OTHERS, 4, 0), (OWNER, 7, 0), (GROUP_OWNER, 5, 0)]);
        assert_eq!(Acl::parse(&order.compose()), None);
    }

    #[test]
    fn the_mask_is_the_group_of_the_mode() {
        assert_eq!(named().bits(), 0o764);
        assert!(!named().is_minimal());
        let minimal = acl(&[(OWNER, 6, 0), (GROUP_OWNER, 4, 0), (OTHERS, 0, 0)]);
        assert_eq!(minimal.bits(), 0o640);
        assert!(minimal.is_minimal());
    }

    #[test]
    fn chmod_moves_the_mask_and_leaves_the_named_and_the_group() {
        let mut list = named();
        list.chmod(0o4751);
        assert_eq!(
            list,
            acl(&[
                (OWNER, 7, !0),
                (USER, 6, 1000),
                (GROUP_OWNER, 5, !0),
                (MASK, 5, !0),
                (OTHERS, 1, !0)
            ])
        );
        let mut minimal = acl(&[(OWNER, 6, 0), (GROUP_OWNER, 4, 0), (OTHERS, 0, 0)]);
        minimal.chmod(0o751);
        assert_eq!(minimal.bits(), 0o751);
    }

    #[test]
    fn what_is_made_has_no_more_rights_than_asked_for() {
        let Inherited { mode, access } = named().inherited(0o2640);
        assert_eq!(mode, 0o2640);
        let access = access.expect("somebody is named");
        assert_eq!(access.bits(), 0o640);
        assert_eq!(access.0[1].rights, 6, "the mask limits the named");
        let plain = acl(&[(OWNER, 7, 0), (GROUP_OWNER, 5, 0), (OTHERS, 5, 0)]);
        let made = plain.inherited(0o666);
        assert_eq!((made.mode, made.access), (0o644, None));
    }
}
