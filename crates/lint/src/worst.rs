//! The worst way of laying pods that are not bound to a node yet.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_model::{Resources, Size};

/// Pods are laid in at most so many steps in the first way: beyond, a fleet is so large that the check would cost more than
/// the plan.
const MOST_STEPS: u32 = 2_000;

/// Further ways are tried for at most so many pods.
const MOST_PODS: u32 = 64;

/// So many states of the further ways are visited at most.
const MOST_STATES: u32 = 1_000;

/// A node, or several that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Space {
    /// Accelerators that are free.
    pub(crate) accelerators: u32,
    /// `None` is a node that may be added: nothing but its accelerators is known.
    pub(crate) free: Option<Resources>,
    /// Offers whose pods may use it, as bits.
    pub(crate) offers: u64,
}

/// Pods that are not bound yet.
pub(crate) struct Loose {
    /// Size of one.
    pub(crate) size: Size,
    /// Offers that they may be of, as bits.
    pub(crate) offers: u64,
    /// Their number.
    pub(crate) count: u32,
}

/// Nodes, each with its number.
pub(crate) type Spaces = BTreeMap<Space, u32>;

/// Slots of `size` in the worst way of laying `pods` that is found; the search ends where fewer than `enough` are left.
///
/// A pod goes to any node that takes it, or to none. The first way lays the largest pods where they cost most. On small
/// instances all ways are tried, and the result is exact; on others it is that of a way that can happen, and counts too
/// much room rather than too little.
pub(crate) fn worst(spaces: &Spaces, mut pods: Vec<Loose>, size: &Size, enough: u64) -> u64 {
    let total = slots(spaces, size);
    let most_lost = pods.iter().fold(0_u64, |lost, pods| lost.saturating_add(pods.most_lost(size)));
    if total.saturating_sub(most_lost) >= enough {
        return enough;
    }
    let useful = |space: &Space| space.slots(size) > 0 && pods.iter().any(|pods| pods.may_use(space));
    let (spaces, others): (Spaces, Spaces) = spaces.iter().partition(|(space, _)| useful(space));
    // The largest first: a smaller one would take the place in which it takes most.
    pods.sort_by_key(|pods| std::cmp::Reverse(pods.size.accelerators));
    let beside = slots(&others, size);
    let mut search = Search {
        size,
        enough: enough.saturating_sub(beside),
        least: total,
        states: MOST_STATES,
        seen: BTreeSet::new(),
    };
    search.least = greedy(spaces.clone(), &pods, size);
    let number = pods.iter().fold(0_u32, |number, pods| number.saturating_add(pods.count));
    if number <= MOST_PODS {
        search.lay(&spaces, &pods, 0);
    }
    search.least.saturating_add(beside)
}

/// Slots after laying each pod where it costs most, and among such places where least is left.
fn greedy(mut spaces: Spaces, pods: &[Loose], size: &Size) -> u64 {
    let mut steps = 0;
    for pods in pods {
        for _ in 0..pods.count {
            let ways = ways(&spaces, pods, size);
            let Some((before, after)) = ways.last().filter(|_| steps < MOST_STEPS) else { break };
            replace(&mut spaces, before, *after);
            steps += 1;
        }
    }
    slots(&spaces, size)
}

/// A search through the ways of laying pods.
struct Search<'a> {
    size: &'a Size,
    enough: u64,
    /// Slots that are left in the worst way so far.
    least: u64,
    /// States that may still be visited.
    states: u32,
    /// States that were visited, with the number of kinds of pods that are left, and of pods of the first kind laid.
    seen: BTreeSet<(usize, u32, Spaces)>,
}

impl Search<'_> {
    /// Lays the rest of `pods`, of whose first kind `laid` are laid.
    fn lay(&mut self, spaces: &Spaces, pods: &[Loose], laid: u32) {
        self.least = self.least.min(slots(spaces, self.size));
        let Some((first, rest)) = pods.split_first() else { return };
        if self.least < self.enough || self.states == 0 {
            return;
        }
        if !self.seen.insert((pods.len(), laid, spaces.clone())) {
            return;
        }
        self.states -= 1;
        if laid < first.count {
            for (before, after) in ways(spaces, first, self.size).into_iter().rev() {
                let mut spaces = spaces.clone();
                replace(&mut spaces, &before, after);
                self.lay(&spaces, pods, laid + 1);
            }
        }
        self.lay(spaces, rest, 0);
    }
}

/// The nodes that take a pod, before and after, the most harmful last.
fn ways(spaces: &Spaces, pods: &Loose, size: &Size) -> Vec<(Space, Space)> {
    let open = spaces.keys().filter(|space| space.offers & pods.offers != 0 && space.slots(size) > 0);
    let mut ways: Vec<(Space, Space)> = open.filter_map(|space| Some((*space, space.less(&pods.size)?))).collect();
    let cost = |before: &Space, after: &Space| before.slots(size).saturating_sub(after.slots(size));
    ways.sort_by_key(|(before, after)| (cost(before, after), std::cmp::Reverse(after.accelerators)));
    ways
}

fn slots(spaces: &Spaces, size: &Size) -> u64 {
    let each = spaces.iter().map(|(space, copies)| u64::from(space.slots(size)) * u64::from(*copies));
    each.fold(0, u64::saturating_add)
}

/// One node of those that are like `before` becomes `after`.
fn replace(spaces: &mut Spaces, before: &Space, after: Space) {
    if let Some(copies) = spaces.get_mut(before) {
        *copies = copies.saturating_sub(1);
        if *copies == 0 {
            spaces.remove(before);
        }
    }
    let copies = spaces.entry(after).or_insert(0);
    *copies = copies.saturating_add(1);
}

impl Loose {
    /// True if one of them fits on such a node.
    fn may_use(&self, space: &Space) -> bool {
        space.offers & self.offers != 0 && space.less(&self.size).is_some()
    }

    /// Slots of `size` that they cost at most, wherever they are laid: a pod reduces the slots of a node by no more than its
    /// largest share of any resource, rounded up.
    fn most_lost(&self, size: &Size) -> u64 {
        let (own, asked) = (&self.size.resources, &size.resources);
        let shares = [
            (u64::from(self.size.accelerators), u64::from(size.accelerators)),
            (own.cpu_millis, asked.cpu_millis),
            (own.memory_bytes, asked.memory_bytes),
            (own.ephemeral_storage_bytes, asked.ephemeral_storage_bytes),
        ];
        let share = |(own, asked): (u64, u64)| if asked == 0 { 0 } else { own.div_ceil(asked) };
        shares.into_iter().map(share).max().unwrap_or(0).saturating_mul(self.count.into())
    }
}

impl Space {
    fn slots(&self, size: &Size) -> u32 {
        let mut most = self.accelerators.checked_div(size.accelerators).unwrap_or(u32::MAX);
        let Some(free) = &self.free else { return most };
        let asked = &size.resources;
        for (free, asked) in [
            (free.cpu_millis, asked.cpu_millis),
            (free.memory_bytes, asked.memory_bytes),
            (free.ephemeral_storage_bytes, asked.ephemeral_storage_bytes),
        ] {
            let bound = free.checked_div(asked).map(|bound| u32::try_from(bound).unwrap_or(u32::MAX));
            most = most.min(bound.unwrap_or(u32::MAX));
        }
        most
    }

    fn less(&self, pod: &Size) -> Option<Self> {
        let accelerators = self.accelerators.checked_sub(pod.accelerators)?;
        let free = match &self.free {
            Some(free) if !pod.resources.within(free) => return None,
            Some(free) => Some(free.minus(&pod.resources)),
            None => None,
        };
        Some(Self { accelerators, free, offers: self.offers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(accelerators: u32) -> Size {
        let resources = Resources { cpu_millis: 0, memory_bytes: 0, ephemeral_storage_bytes: 0 };
        Size { accelerators, resources }
    }

    fn node(accelerators: u32, offers: u64) -> Space {
        Space { accelerators, free: Some(Resources::default()), offers }
    }

    fn loose(accelerators: u32, offers: u64, count: u32) -> Loose {
        Loose { size: size(accelerators), offers, count }
    }

    #[test]
    fn a_way_is_found_that_is_worse_than_the_largest_first_where_it_costs_most() {
        let spaces: Spaces = [(node(2, 0b11), 1), (node(2, 0b01), 1)].into();
        let pods = || vec![loose(2, 0b01, 1), loose(1, 0b10, 1)];
        assert_eq!(greedy(spaces.clone(), &pods(), &size(2)), 1, "the large pod takes the node of the small one");
        assert_eq!(worst(&spaces, pods(), &size(2), 1), 0);
    }

    #[test]
    fn a_pod_may_stay_away_from_a_node_that_it_would_take_from_a_worse_one() {
        let with_memory = |accelerators, memory_bytes| {
            let resources = Resources { memory_bytes, ..Resources::default() };
            Size { accelerators, resources }
        };
        let free = Resources { memory_bytes: 8, ..Resources::default() };
        let spaces: Spaces = [(Space { accelerators: 4, free: Some(free), offers: 0b1 }, 1)].into();
        let wide = || loose(3, 0b1, 1);
        let heavy = || Loose { size: with_memory(2, 8), offers: 0b1, count: 1 };
        let asked = with_memory(1, 2);
        assert_eq!(worst(&spaces, vec![wide()], &asked, 1), 1);
        assert_eq!(
            worst(&spaces, vec![heavy(), wide()], &asked, 1),
            0,
            "only without the wide one does the heavy one fit"
        );
    }

    #[test]
    fn room_without_end_is_enough() {
        let spaces: Spaces = [(Space { accelerators: 8, free: None, offers: 0b1 }, u32::MAX)].into();
        assert_eq!(worst(&spaces, vec![loose(8, 0b1, 1_000)], &size(8), 128), 128);
    }

    #[test]
    fn many_pods_are_laid_in_one_way() {
        let spaces: Spaces = [(node(2, 0b11), 40), (node(2, 0b01), 40)].into();
        let pods = vec![loose(2, 0b01, 40), loose(1, 0b10, 40)];
        assert_eq!(worst(&spaces, pods, &size(2), 80), 40);
    }
}
