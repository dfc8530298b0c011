//! The names in one directory, all of them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::index::Index;
use crate::meta::Entry;
use crate::model::{Cookie, Epoch, Ino, Name};

/// One name.
pub(super) struct Ent {
    pub(super) ino: u64,
    cookie: u32,
    since: u32,
    /// Where its bytes are among those of all names.
    at: u32,
    /// 0: it is gone.
    len: u8,
}

/// The names in one directory in the order of their cookies. A name that goes leaves a gap until half of them are gaps, so
/// that emptying a directory from its front costs no more than from its end.
pub(super) struct Dir {
    list: Vec<Ent>,
    bytes: Vec<u8>,
    index: Index,
    gaps: usize,
    used: AtomicBool,
}

/// So few names are found by looking at all of them.
const FEW: usize = 8;

/// True for an entry whose numbers can be kept.
pub(in crate::meta) fn fits(entry: &Entry) -> bool {
    u32::try_from(entry.cookie.0).is_ok() && u32::try_from(entry.since.0).is_ok()
}

impl Dir {
    /// A directory with these names, all of which fit.
    pub(super) fn new(mut entries: Vec<Entry>, hash: &impl Fn(&[u8]) -> u64) -> Dir {
        entries.sort_unstable_by_key(|entry| entry.cookie);
        let bytes = entries.iter().map(|entry| entry.name.bytes().len()).sum();
        let mut dir = Dir {
            list: Vec::with_capacity(entries.len()),
            bytes: Vec::with_capacity(bytes),
            index: Index::default(),
            gaps: 0,
            used: AtomicBool::new(true),
        };
        for entry in &entries {
            let ent = dir.ent(entry);
            dir.list.push(ent);
        }
        dir.index_all(hash);
        dir
    }

    fn ent(&mut self, entry: &Entry) -> Ent {
        let (at, name) = (self.bytes.len() as u32, entry.name.bytes());
        self.bytes.extend_from_slice(name);
        Ent {
            ino: entry.ino.0,
            // What does not fit is kept out by whoever calls.
            cookie: entry.cookie.0 as u32,
            since: entry.since.0 as u32,
            at,
            len: name.len() as u8,
        }
    }

    fn name(&self, ent: &Ent) -> &[u8] {
        name(&self.bytes, ent)
    }

    /// The entry as it is in the database. `None` for a gap.
    pub(super) fn entry(&self, parent: Ino, ent: &Ent) -> Option<Entry> {
        Some(Entry {
            parent,
            name: Name::new(self.name(ent)).ok()?,
            ino: Ino(ent.ino),
            cookie: Cookie(ent.cookie.into()),
            since: Epoch(ent.since.into()),
        })
    }

    /// How many names it has.
    pub(super) fn len(&self) -> usize {
        self.list.len() - self.gaps
    }

    /// Notes that somebody asked.
    pub(super) fn touch(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// True when somebody asked since the last call.
    pub(super) fn was_touched(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The entry of a name.
    pub(super) fn find(&self, name: &[u8], hash: &impl Fn(&[u8]) -> u64) -> Option<&Ent> {
        self.place(name, hash).map(|at| &self.list[at])
    }

    /// The entry at a cookie.
    pub(super) fn at(&self, cookie: u32) -> Option<&Ent> {
        let at = self.list.binary_search_by_key(&cookie, |ent| ent.cookie);
        at.ok().map(|at| &self.list[at]).filter(|ent| ent.len > 0)
    }

    /// The entries after a cookie.
    pub(super) fn after(&self, cookie: u64) -> impl Iterator<Item = &Ent> {
        let from = self
            .list
            .partition_point(|ent| u64::from(ent.cookie) <= cookie);
        self.list[from..].iter().filter(|ent| ent.len > 0)
    }

    /// Adds an entry that fits, or replaces that of its name.
    pub(super) fn put(&mut self, entry: &Entry, hash: &impl Fn(&[u8]) -> u64) {
        self.remove(entry.name.bytes(), hash);
        let ent = self.ent(entry);
        if self
            .list
            .last()
            .is_some_and(|last| last.cookie >= ent.cookie)
        {
            // Cookies grow, so this is the rare case.
            let at = self.list.partition_point(|e| e.cookie < ent.cookie);
            self.list.insert(at, ent);
            return self.index_all(hash);
        }
        self.list.push(ent);
        if self.list.len() == FEW + 1 {
            self.index_all(hash);
        } else if self.list.len() > FEW {
            let at = self.list.len() as u32 - 1;
            let of = hash_at(&self.list, &self.bytes, hash);
            self.index.insert(of(at), at, of);
        }
    }

    /// Takes a name out; gives what it led to.
    pub(super) fn remove(&mut self, name: &[u8], hash: &impl Fn(&[u8]) -> u64) -> Option<u64> {
        let at = self.place(name, hash)?;
        if self.list.len() > FEW {
            let of = hash_at(&self.list, &self.bytes, hash);
            self.index.remove(of(at as u32), at as u32, of);
        }
        self.list[at].len = 0;
        self.gaps += 1;
        let ino = self.list[at].ino;
        if self.gaps > FEW && self.gaps * 2 > self.list.len() {
            self.close_gaps();
            self.index_all(hash);
        }
        Some(ino)
    }

    fn close_gaps(&mut self) {
        let old = std::mem::take(&mut self.bytes);
        self.list.retain(|ent| ent.len > 0);
        self.gaps = 0;
        for ent in &mut self.list {
            let at = self.bytes.len() as u32;
            self.bytes.extend_from_slice(name(&old, ent));
            ent.at = at;
        }
    }

    fn place(&self, name: &[u8], hash: &impl Fn(&[u8]) -> u64) -> Option<usize> {
        if self.list.len() <= FEW {
            return self.list.iter().position(|ent| self.name(ent) == name);
        }
        let is = |at: u32| self.name(&self.list[at as usize]) == name;
        self.index.find(hash(name), is).map(|at| at as usize)
    }

    fn index_all(&mut self, hash: &impl Fn(&[u8]) -> u64) {
        self.index = Index::default();
        if self.list.len() <= FEW {
            return;
        }
        let of = hash_at(&self.list, &self.bytes, hash);
        for (at, ent) in self.list.iter().enumerate() {
            if ent.len > 0 {
                self.index.insert(of(at as u32), at as u32, &of);
            }
        }
    }
}

fn name<'a>(bytes: &'a [u8], ent: &Ent) -> &'a [u8] {
    &bytes[ent.at as usize..][..ent.len as usize]
}

/// The hash of the name at a place.
fn hash_at<'a>(
    list: &'a [Ent],
    bytes: &'a [u8],
    hash: &'a impl Fn(&[u8]) -> u64,
) -> impl Fn(u32) -> u64 + 'a {
    move |at| hash(name(bytes, &list[at as usize]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn hash(name: &[u8]) -> u64 {
        name.iter().map(|b| u64::from(*b)).sum()
    }

    #[test]
    fn it_answers_as_a_map_would() {
        let mut dice = fastrand::Rng::with_seed(3);
        for most in [6_u32, 200] {
            let (mut dir, mut map) = (Dir::new(Vec::new(), &hash), BTreeMap::new());
            for cookie in 3..3000_u32 {
                let name = Name::new(dice.u32(..most).to_string().as_bytes()).unwrap();
                if dice.u8(..5) < 2 {
                    assert_eq!(
                        dir.remove(name.bytes(), &hash).is_some(),
                        map.remove(&name).is_some()
                    );
                } else {
                    let entry = Entry {
                        parent: Ino(1),
                        name: name.clone(),
                        ino: Ino(u64::from(cookie)),
                        cookie: Cookie(cookie.into()),
                        since: Epoch(1),
                    };
                    dir.put(&entry, &hash);
                    let kept = dir.find(name.bytes(), &hash).unwrap();
                    assert_eq!(dir.entry(Ino(1), kept), Some(entry));
                    map.insert(name.clone(), cookie);
                }
                let found = dir.find(name.bytes(), &hash).map(|ent| ent.cookie);
                assert_eq!(found, map.get(&name).copied());
                assert_eq!(dir.len(), map.len());
                assert_eq!(dir.at(cookie).is_some(), map.values().any(|c| *c == cookie));
            }
            let listed: Vec<u32> = dir.after(100).map(|ent| ent.cookie).collect();
            let mut there: Vec<u32> = map.values().copied().filter(|c| *c > 100).collect();
            there.sort_unstable();
            assert_eq!(listed, there);
        }
    }
}
