//! The names in one directory, all of them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::index::Index;

/// One name.
pub(in crate::meta) struct Ent {
    /// Empty: it is gone.
    pub(super) name: Box<[u8]>,
    pub(super) ino: u64,
    pub(super) cookie: u64,
    pub(super) since: u32,
}

/// The names in one directory in the order of their cookies. A name that goes leaves a gap until half of them are gaps, so
/// that emptying a directory from its front costs no more than from its end.
pub(super) struct Dir {
    list: Vec<Ent>,
    index: Index,
    gaps: usize,
    used: AtomicBool,
}

/// So few names are found by looking at all of them.
const FEW: usize = 8;

impl Dir {
    /// A directory with these names.
    pub(super) fn new(mut list: Vec<Ent>, hash: &impl Fn(&[u8]) -> u64) -> Dir {
        list.sort_unstable_by_key(|ent| ent.cookie);
        list.shrink_to_fit();
        let mut dir = Dir {
            list,
            index: Index::default(),
            gaps: 0,
            used: AtomicBool::new(true),
        };
        dir.index_all(hash);
        dir
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
    pub(super) fn at(&self, cookie: u64) -> Option<&Ent> {
        let at = self.list.binary_search_by_key(&cookie, |ent| ent.cookie);
        at.ok()
            .map(|at| &self.list[at])
            .filter(|ent| !ent.name.is_empty())
    }

    /// The entries after a cookie.
    pub(super) fn after(&self, cookie: u64) -> impl Iterator<Item = &Ent> {
        let from = self.list.partition_point(|ent| ent.cookie <= cookie);
        self.list[from..].iter().filter(|ent| !ent.name.is_empty())
    }

    /// Adds an entry, or replaces that of its name.
    pub(super) fn put(&mut self, ent: Ent, hash: &impl Fn(&[u8]) -> u64) {
        self.remove(&ent.name, hash);
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
            let at = self.list.len() - 1;
            let list = &self.list;
            let of = |at: u32| hash(&list[at as usize].name);
            self.index.insert(of(at as u32), at as u32, of);
        }
    }

    /// Takes a name out.
    pub(super) fn remove(&mut self, name: &[u8], hash: &impl Fn(&[u8]) -> u64) -> Option<u64> {
        let at = self.place(name, hash)?;
        if self.list.len() > FEW {
            let list = &self.list;
            let of = |at: u32| hash(&list[at as usize].name);
            self.index.remove(of(at as u32), at as u32, of);
        }
        self.list[at].name = Box::default();
        self.gaps += 1;
        let ino = self.list[at].ino;
        if self.gaps > FEW && self.gaps * 2 > self.list.len() {
            self.list.retain(|ent| !ent.name.is_empty());
            self.gaps = 0;
            self.index_all(hash);
        }
        Some(ino)
    }

    fn place(&self, name: &[u8], hash: &impl Fn(&[u8]) -> u64) -> Option<usize> {
        if self.list.len() <= FEW {
            return self.list.iter().position(|ent| *ent.name == *name);
        }
        let is = |at: u32| *self.list[at as usize].name == *name;
        self.index.find(hash(name), is).map(|at| at as usize)
    }

    fn index_all(&mut self, hash: &impl Fn(&[u8]) -> u64) {
        self.index = Index::default();
        if self.list.len() <= FEW {
            return;
        }
        let list = &self.list;
        let of = |at: u32| hash(&list[at as usize].name);
        for (at, ent) in list.iter().enumerate() {
            if !ent.name.is_empty() {
                self.index.insert(of(at as u32), at as u32, of);
            }
        }
    }
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
            for cookie in 3..3000_u64 {
                let name: Box<[u8]> = dice.u32(..most).to_string().into_bytes().into();
                if dice.u8(..5) < 2 {
                    assert_eq!(
                        dir.remove(&name, &hash).is_some(),
                        map.remove(&name).is_some()
                    );
                } else {
                    let ent = Ent {
                        name: name.clone(),
                        ino: cookie,
                        cookie,
                        since: 1,
                    };
                    dir.put(ent, &hash);
                    map.insert(name.clone(), cookie);
                }
                let found = dir.find(&name, &hash).map(|ent| ent.cookie);
                assert_eq!(found, map.get(&name).copied());
                assert_eq!(dir.len(), map.len());
                assert_eq!(dir.at(cookie).is_some(), map.values().any(|c| *c == cookie));
            }
            let listed: Vec<u64> = dir.after(100).map(|ent| ent.cookie).collect();
            let mut there: Vec<u64> = map.values().copied().filter(|c| *c > 100).collect();
            there.sort_unstable();
            assert_eq!(listed, there);
        }
    }
}
