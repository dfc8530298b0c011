//! A set that nearly always holds one thing.

use std::collections::{BTreeSet, btree_set};
use std::ops::{BitAnd, BitOr, Sub};

/// An ordered set without any memory of its own for a single element: the names of an object are one, but for hard links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Few<T: Ord> {
    /// Nothing.
    None,
    /// A single element.
    One(T),
    /// At least two.
    Many(BTreeSet<T>),
}

/// Walks through a [`Few`] in order.
#[derive(Clone, Debug)]
pub struct Iter<'a, T> {
    one: Option<&'a T>,
    many: btree_set::Iter<'a, T>,
}

impl<T: Ord> Few<T> {
    /// An empty set.
    pub fn new() -> Few<T> {
        Few::None
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        match self {
            Few::None => 0,
            Few::One(_) => 1,
            Few::Many(set) => set.len(),
        }
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        matches!(self, Few::None)
    }

    /// The least element.
    pub fn first(&self) -> Option<&T> {
        self.iter().next()
    }

    /// True when `element` is in it.
    pub fn contains(&self, element: &T) -> bool {
        match self {
            Few::None => false,
            Few::One(one) => one == element,
            Few::Many(set) => set.contains(element),
        }
    }

    /// The elements in order.
    pub fn iter(&self) -> Iter<'_, T> {
        let (one, many) = match self {
            Few::None => (None, btree_set::Iter::default()),
            Few::One(one) => (Some(one), btree_set::Iter::default()),
            Few::Many(set) => (None, set.iter()),
        };
        Iter { one, many }
    }

    /// Puts an element in; false when it was there.
    pub fn insert(&mut self, element: T) -> bool {
        match std::mem::take(self) {
            Few::None => {
                *self = Few::One(element);
                true
            }
            Few::One(one) if one == element => {
                *self = Few::One(one);
                false
            }
            Few::One(one) => {
                *self = Few::Many(BTreeSet::from([one, element]));
                true
            }
            Few::Many(mut set) => {
                let new = set.insert(element);
                *self = Few::Many(set);
                new
            }
        }
    }

    /// Takes an element out; false when it was not there.
    pub fn remove(&mut self, element: &T) -> bool {
        match std::mem::take(self) {
            Few::One(one) if one == *element => true,
            Few::Many(mut set) => {
                let was = set.remove(element);
                *self = Few::from(set);
                was
            }
            other => {
                *self = other;
                false
            }
        }
    }
}

impl<T: Ord> Default for Few<T> {
    fn default() -> Few<T> {
        Few::None
    }
}

impl<T: Ord> From<BTreeSet<T>> for Few<T> {
    fn from(mut set: BTreeSet<T>) -> Few<T> {
        match set.len() {
            0 | 1 => set.pop_first().map_or(Few::None, Few::One),
            _ => Few::Many(set),
        }
    }
}

impl<T: Ord> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        for element in elements {
            self.insert(element);
        }
    }
}

impl<T: Ord> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Few<T> {
        let mut few = Few::None;
        few.extend(elements);
        few
    }
}

impl<T: Ord> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, btree_set::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Few::None => (None, BTreeSet::new()),
            Few::One(one) => (Some(one), BTreeSet::new()),
            Few::Many(set) => (None, set),
        };
        one.into_iter().chain(many)
    }
}

impl<'a, T: Ord> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.one.take().or_else(|| self.many.next())
    }
}

impl<T: Ord + Clone> BitOr for &Few<T> {
    type Output = Few<T>;

    /// What is in either.
    fn bitor(self, other: &Few<T>) -> Few<T> {
        self.iter().chain(other).cloned().collect()
    }
}

impl<T: Ord + Clone> BitAnd for &Few<T> {
    type Output = Few<T>;

    /// What is in both.
    fn bitand(self, other: &Few<T>) -> Few<T> {
        let both = self.iter().filter(|element| other.contains(element));
        both.cloned().collect()
    }
}

impl<T: Ord + Clone> Sub for &Few<T> {
    type Output = Few<T>;

    /// What is in this one only.
    fn sub(self, other: &Few<T>) -> Few<T> {
        let only = self.iter().filter(|element| !other.contains(element));
        only.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_what_a_set_does() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut few: Few<u8> = Few::new();
        let mut set = BTreeSet::new();
        for _ in 0..20_000 {
            let element = random.u8(..4);
            match random.u8(..2) {
                0 => assert_eq!(few.insert(element), set.insert(element)),
                _ => assert_eq!(few.remove(&element), set.remove(&element)),
            }
            assert_eq!(few.len(), set.len());
            assert_eq!(few.is_empty(), set.is_empty());
            assert_eq!(few.first(), set.first());
            assert!(few.iter().eq(&set));
            assert!((0..4).all(|n| few.contains(&n) == set.contains(&n)));
            assert_eq!(few, Few::from(set.clone()));
            let other: BTreeSet<u8> = (0..random.u8(..4)).map(|_| random.u8(..4)).collect();
            let fewer = Few::from(other.clone());
            assert!((&few | &fewer).iter().eq(&(&set | &other)));
            assert!((&few & &fewer).iter().eq(&(&set & &other)));
            assert!((&few - &fewer).iter().eq(&(&set - &other)));
            assert!(few.clone().into_iter().eq(set.clone()));
        }
    }
}
