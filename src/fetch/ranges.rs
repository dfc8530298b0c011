//! Sets of bytes as ranges.

/// A set of byte positions: half-open ranges, sorted, apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// A set from stored ranges, whatever their order.
    pub(super) fn of(stored: &[(u64, u64)]) -> Ranges {
        let mut ranges = Ranges::default();
        for (from, to) in stored {
            ranges.insert(*from, *to);
        }
        ranges
    }

    /// As stored.
    pub(super) fn stored(&self) -> Vec<(u64, u64)> {
        self.0.clone()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds `[from, to)`.
    pub(super) fn insert(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let (mut from, mut to) = (from, to);
        // Those that touch it become one with it.
        let first = self.0.partition_point(|range| range.1 < from);
        let last = self.0.partition_point(|range| range.0 <= to);
        if first < last {
            from = from.min(self.0[first].0);
            to = to.max(self.0[last - 1].1);
        }
        self.0.splice(first..last, [(from, to)]);
    }

    /// True when all of `[from, to)` is in the set.
    pub(super) fn covers(&self, from: u64, to: u64) -> bool {
        from >= to || self.end_of(from) >= to
    }

    /// Where the stretch of the set at `from` ends; `from` when it is not in the set.
    pub(super) fn end_of(&self, from: u64) -> u64 {
        let at = self.0.partition_point(|range| range.1 <= from);
        match self.0.get(at) {
            Some(range) if range.0 <= from => range.1,
            _ => from,
        }
    }

    /// The first stretch of `[from, to)` that is not in the set.
    pub(super) fn missing(&self, from: u64, to: u64) -> Option<(u64, u64)> {
        let start = self.end_of(from);
        if start >= to {
            return None;
        }
        let at = self.0.partition_point(|range| range.0 <= start);
        let end = self.0.get(at).map_or(to, |range| range.0.min(to));
        Some((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_ranges_become_one_and_gaps_are_found() {
        let mut set = Ranges::of(&[(10, 20), (30, 40)]);
        assert_eq!(set.missing(0, 50), Some((0, 10)));
        assert_eq!(set.missing(12, 50), Some((20, 30)));
        assert_eq!(set.missing(35, 38), None);
        assert!(set.covers(30, 40) && !set.covers(30, 41) && set.covers(7, 7));
        set.insert(20, 30);
        assert_eq!(set.stored(), [(10, 40)]);
        set.insert(50, 60);
        set.insert(0, 5);
        set.insert(3, 55);
        assert_eq!(set.stored(), [(0, 60)]);
        assert_eq!(set.missing(60, 61), Some((60, 61)));
    }

    #[test]
    fn it_is_the_same_as_a_set_of_numbers() {
        let mut state = 9_u64;
        let mut next = |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % n
        };
        for _ in 0..200 {
            let (mut ranges, mut plain) = (Ranges::default(), [false; 64]);
            for _ in 0..8 {
                let from = next(60);
                let to = from + next(10);
                ranges.insert(from, to.min(64));
                (from..to.min(64)).for_each(|at| plain[at as usize] = true);
                let (from, to) = (next(64), next(64));
                let all = (from..to).all(|at| plain[at as usize]);
                assert_eq!(ranges.covers(from, to), all, "{ranges:?} {from} {to}");
                let gap = (from..to).find(|at| !plain[*at as usize]);
                assert_eq!(ranges.missing(from, to).map(|gap| gap.0), gap);
            }
        }
    }
}
