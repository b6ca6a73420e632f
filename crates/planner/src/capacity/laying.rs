//! Replicas that are decided but not bound yet: how few slots remain wherever they end up.
//!
//! The scheduler of a member decides which node a pod gets. Until it has, the planner assumes the worst: any
//! of the pods, on any nodes that they may use and where they fit, where the fewest slots remain. That is
//! exact while the instance is small; beyond, a bound says at least as much loss.

use roadstead_model::{Resources, Size};

/// Steps after which the exact search gives way to the bound.
const BUDGET: usize = 5_000;

/// Ways to load one bin after which the exact search gives way to the bound.
const MAX_OPTIONS: usize = 256;

/// A node, or several that are alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bin {
    /// Free accelerators.
    pub(crate) accelerators: u32,
    /// Other free resources; `None` is no bound (a node that an autoscaler would add).
    pub(crate) free: Option<Resources>,
    /// Which pods may use it: those that share a bit.
    pub(crate) mask: u64,
    /// Number of them.
    pub(crate) copies: u32,
}

/// Pods of one size.
#[derive(Debug, Clone)]
pub(crate) struct Pods {
    /// Size of one.
    pub(crate) size: Size,
    /// Which bins they may use: those that share a bit.
    pub(crate) mask: u64,
    /// Number of them.
    pub(crate) count: u32,
}

impl Bin {
    /// Replicas of `size` that one of these holds.
    pub(crate) fn slots(&self, size: &Size) -> u32 {
        slots(self.accelerators, self.free.as_ref(), size)
    }

    /// True if `other` is the same but for the number of copies.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (self.accelerators, &self.free, self.mask) == (other.accelerators, &other.free, other.mask)
    }

    fn all_slots(&self, size: &Size) -> u64 {
        u64::from(self.slots(size)) * u64::from(self.copies)
    }

    fn takes(&self, pods: &Pods) -> bool {
        self.mask & pods.mask != 0 && self.slots(&pods.size) > 0
    }

    /// The rest after `count` pods of `size`, if they fit.
    fn less(&self, size: &Size, count: u32) -> Option<Self> {
        let accelerators = self.accelerators.checked_sub(size.accelerators.checked_mul(count)?)?;
        let asked = size.resources.times(count);
        let free = match &self.free {
            Some(free) if !asked.within(free) => return None,
            Some(free) => Some(free.minus(&asked)),
            None => None,
        };
        Some(Self { accelerators, free, mask: self.mask, copies: self.copies })
    }
}

/// Replicas of `size` that so much holds; what a size does not ask for does not bound it.
fn slots(accelerators: u32, free: Option<&Resources>, size: &Size) -> u32 {
    let mut most = accelerators.checked_div(size.accelerators).unwrap_or(u32::MAX);
    let Some(free) = free else { return most };
    let asked = &size.resources;
    for (free, asked) in [
        (free.cpu_millis, asked.cpu_millis),
        (free.memory_bytes, asked.memory_bytes),
        (free.ephemeral_storage_bytes, asked.ephemeral_storage_bytes),
    ] {
        if let Some(bound) = free.checked_div(asked) {
            most = most.min(u32::try_from(bound).unwrap_or(u32::MAX));
        }
    }
    most
}

/// Replicas of `size` that `bins` still hold, however `assumed` is laid: the exact number (or a lower bound of
/// it on large instances) if that is less than `enough`, else at least `enough`.
pub(crate) fn fewest_slots(bins: &[Bin], assumed: &[Pods], size: &Size, enough: u32) -> u32 {
    let narrow = |slots: u64| u32::try_from(slots).unwrap_or(u32::MAX);
    if assumed.is_empty() {
        return narrow(slots_up_to(bins, size, enough));
    }
    let total = bins.iter().fold(0u64, |total, bin| total.saturating_add(bin.all_slots(size)));
    if total == 0 {
        return 0;
    }
    // Mostly there is more than enough room, and a bound that looks at no bin says so.
    let bounded = total.saturating_sub(loss_anywhere(assumed, size));
    if bounded >= u64::from(enough) {
        return narrow(bounded);
    }
    let useful: Vec<&Bin> = bins.iter().filter(|bin| bin.copies > 0 && bin.slots(size) > 0).collect();
    let pods: Vec<&Pods> =
        assumed.iter().filter(|pods| pods.count > 0 && useful.iter().any(|bin| bin.takes(pods))).collect();
    if pods.is_empty() {
        return narrow(total);
    }
    let bounded = narrow(total.saturating_sub(loss_bound(&useful, &pods, size)));
    if bounded >= enough {
        return bounded;
    }
    greatest_loss(&useful, &pods, size).map_or(bounded, |loss| narrow(total.saturating_sub(loss)))
}

/// All slots, counted until there are enough.
fn slots_up_to(bins: &[Bin], size: &Size, enough: u32) -> u64 {
    let mut slots = 0;
    for bin in bins {
        slots = bin.all_slots(size).saturating_add(slots);
        if slots >= u64::from(enough) {
            break;
        }
    }
    slots
}

/// A loss that is never exceeded, whatever the bins: pod by pod, as if each were where it costs most.
fn loss_anywhere(pods: &[Pods], size: &Size) -> u64 {
    pods.iter().fold(0u64, |loss, pods| {
        u64::from(slots_of_pod(&pods.size, size)).saturating_mul(u64::from(pods.count)).saturating_add(loss)
    })
}

/// A loss that is never exceeded: pod by pod on nodes, and by accelerators on nodes that are all alike.
fn loss_bound(bins: &[&Bin], pods: &[&Pods], size: &Size) -> u64 {
    let (alike, nodes): (Vec<&Bin>, Vec<&Bin>) = bins.iter().copied().partition(|bin| bin.free.is_none());
    let by_pod =
        |bins: &[&Bin]| pods.iter().fold(0u64, |loss, pods| loss.saturating_add(loss_by_pod(bins, pods, size)));
    let by_volume = alike.iter().fold(0u64, |loss, bin| loss.saturating_add(loss_by_volume(bin, pods, size)));
    by_pod(bins).min(by_pod(&nodes).saturating_add(by_volume))
}

fn loss_by_pod(bins: &[&Bin], pods: &Pods, size: &Size) -> u64 {
    let per_pod = bins.iter().filter(|bin| bin.takes(pods)).map(|bin| bin.slots(size)).max().unwrap_or(0);
    u64::from(per_pod.min(slots_of_pod(&pods.size, size))) * u64::from(pods.count)
}

/// The most slots of `size` that one pod can cost: its largest share of any resource, rounded up.
fn slots_of_pod(pod: &Size, size: &Size) -> u32 {
    let (p, s) = (&pod.resources, &size.resources);
    [
        (u64::from(pod.accelerators), u64::from(size.accelerators)),
        (p.cpu_millis, s.cpu_millis),
        (p.memory_bytes, s.memory_bytes),
        (p.ephemeral_storage_bytes, s.ephemeral_storage_bytes),
    ]
    .into_iter()
    .filter(|(_, asked)| *asked > 0)
    .map(|(taken, asked)| u32::try_from(taken.div_ceil(asked)).unwrap_or(u32::MAX))
    .max()
    .unwrap_or(0)
}

/// The loss on bins that only accelerators bound, if pods could be cut into pieces of their greatest common
/// divisor: the upper hull of the loss of one bin, spent where it is steepest.
fn loss_by_volume(bin: &Bin, pods: &[&Pods], size: &Size) -> u64 {
    let fitting = || pods.iter().filter(|pods| bin.takes(pods) && pods.size.accelerators > 0);
    let step = fitting().fold(0, |step, pods| gcd(step, pods.size.accelerators));
    if step == 0 {
        return 0;
    }
    let volume_of = |pods: &&&Pods| u64::from(pods.count) * u64::from(pods.size.accelerators);
    let mut volume = fitting().fold(0u64, |volume, pods| volume.saturating_add(volume_of(&pods)));
    let full = bin.slots(size);
    let loss_at = |taken: u32| full - slots(bin.accelerators - taken, None, size);
    let (mut at, mut loss) = (0u32, 0u64);
    while volume > 0 && at + step <= bin.accelerators {
        let steepest = (1..=(bin.accelerators - at) / step)
            .map(|steps| at + steps * step)
            .map(|next| (u64::from(next - at), u64::from(loss_at(next) - loss_at(at)), next))
            .reduce(|best, next| if next.1 * best.0 > best.1 * next.0 { next } else { best });
        let Some((width, gain, next)) = steepest.filter(|(_, gain, _)| *gain > 0) else {
            break;
        };
        let spent = volume.min(width.saturating_mul(u64::from(bin.copies)));
        loss = spent.saturating_mul(gain).div_ceil(width).saturating_add(loss);
        volume -= spent;
        at = next;
    }
    loss.min(bin.all_slots(size))
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// One way to fill a bin.
#[derive(Debug)]
struct Filling {
    /// Pods of each kind.
    counts: Vec<u32>,
    /// Slots that it costs.
    loss: u32,
    /// Distance to the state without it.
    offset: usize,
}

/// The greatest loss, by a search over all ways to load each bin; `None` if that is too much work.
fn greatest_loss(bins: &[&Bin], pods: &[&Pods], size: &Size) -> Option<u64> {
    let space = Space::new(pods)?;
    let touched = |bin: &Bin| usize::try_from(bin.copies).unwrap_or(usize::MAX).min(space.pods);
    let mut loads = Vec::with_capacity(bins.len());
    let mut work = 0usize;
    for bin in bins {
        let options = ways_to_load(bin, pods, size, &space)?;
        work = work.checked_add(touched(bin).checked_mul(options.len())?.checked_mul(space.states)?)?;
        if work > BUDGET {
            return None;
        }
        loads.push(options);
    }
    let mut best = vec![0u64; space.states];
    for (bin, options) in bins.iter().zip(&loads).filter(|(_, options)| !options.is_empty()) {
        for _ in 0..touched(bin) {
            space.load_one_bin(&mut best, options);
        }
    }
    best.into_iter().max()
}

/// All ways to load a bin that cost a slot, without those that cost no more than a lighter one.
fn ways_to_load(bin: &Bin, pods: &[&Pods], size: &Size, space: &Space) -> Option<Vec<Filling>> {
    let full = bin.slots(size);
    let mut open = vec![(Vec::with_capacity(pods.len()), bin.clone())];
    for kind in pods {
        let most = if bin.mask & kind.mask == 0 { 0 } else { kind.count };
        let mut next = Vec::new();
        for (counts, bin) in &open {
            for count in 0..=most {
                let Some(rest) = bin.less(&kind.size, count) else {
                    break;
                };
                let mut more = Vec::with_capacity(pods.len());
                more.extend_from_slice(counts);
                more.push(count);
                next.push((more, rest));
                if next.len() > MAX_OPTIONS {
                    return None;
                }
            }
        }
        open = next;
    }
    let mut loads: Vec<Filling> = Vec::new();
    for (counts, rest) in open {
        let loss = full - rest.slots(size);
        let lighter = |load: &Filling| load.loss >= loss && load.counts.iter().zip(&counts).all(|(a, b)| a <= b);
        if loss > 0 && !loads.iter().any(lighter) {
            let offset = space.offset(&counts)?;
            loads.push(Filling { counts, loss, offset });
        }
    }
    Some(loads)
}

/// The states of the search: how many pods of each kind are laid.
struct Space {
    /// Number of pods of each kind.
    counts: Vec<u32>,
    /// For each kind, how far apart states are that differ by one pod.
    strides: Vec<usize>,
    /// Number of states.
    states: usize,
    /// Number of pods.
    pods: usize,
}

impl Space {
    fn new(pods: &[&Pods]) -> Option<Self> {
        let mut space = Self { counts: Vec::new(), strides: Vec::new(), states: 1, pods: 0 };
        for kind in pods {
            let count = usize::try_from(kind.count).ok()?;
            space.counts.push(kind.count);
            space.strides.push(space.states);
            space.pods = space.pods.checked_add(count)?;
            space.states = space.states.checked_mul(count.checked_add(1)?)?;
            if space.states > BUDGET {
                return None;
            }
        }
        Some(space)
    }

    /// Distance between states that differ by `counts` pods of each kind.
    fn offset(&self, counts: &[u32]) -> Option<usize> {
        self.strides.iter().zip(counts).try_fold(0usize, |offset, (stride, count)| {
            offset.checked_add(stride.checked_mul(usize::try_from(*count).ok()?)?)
        })
    }

    /// Improves `best` (the greatest loss by state) by what one more bin can cost.
    fn load_one_bin(&self, best: &mut [u64], loads: &[Filling]) {
        // The last state: everything is laid.
        let mut laid = self.counts.clone();
        for state in (0..self.states).rev() {
            for load in loads.iter().filter(|load| load.counts.iter().zip(&laid).all(|(count, laid)| count <= laid)) {
                let gain = state.checked_sub(load.offset).and_then(|before| best.get(before).copied());
                if let (Some(gain), Some(here)) = (gain, best.get_mut(state)) {
                    *here = (*here).max(gain + u64::from(load.loss));
                }
            }
            self.step_back(&mut laid);
        }
    }

    /// From what is laid in a state to what is laid in the one before.
    fn step_back(&self, laid: &mut [u32]) {
        for (laid, all) in laid.iter_mut().zip(&self.counts) {
            if *laid > 0 {
                *laid -= 1;
                return;
            }
            *laid = *all;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(accelerators: u32, cpu: u64) -> Size {
        Size { accelerators, resources: Resources { cpu_millis: cpu, ..Resources::default() } }
    }

    fn bin(accelerators: u32, cpu: u64) -> Bin {
        let free = Resources { cpu_millis: cpu, ..Resources::default() };
        Bin { accelerators, free: Some(free), mask: 1, copies: 1 }
    }

    fn added(accelerators: u32, copies: u32) -> Bin {
        Bin { accelerators, free: None, mask: 1, copies }
    }

    fn pods(accelerators: u32, count: u32) -> Pods {
        Pods { size: size(accelerators, 0), mask: 1, count }
    }

    #[test]
    fn one_pod_can_spoil_one_slot_each() {
        let bins = [bin(8, 0), bin(8, 0)];
        for (count, left) in [(0, 4), (1, 3), (2, 2), (3, 2), (6, 1), (10, 0), (100, 0)] {
            assert_eq!(fewest_slots(&bins, &[pods(1, count)], &size(4, 0), u32::MAX), left, "{count} pods");
        }
    }

    #[test]
    fn many_alike_are_bounded_well() {
        // 500 instances of 8: 300 pods of 1 spoil one slot of 2 each, and 1,000 every slot of the first 500.
        let bins = [added(8, 500)];
        assert_eq!(fewest_slots(&bins, &[pods(1, 300)], &size(2, 0), u32::MAX), 1_700);
        assert_eq!(fewest_slots(&bins, &[pods(1, 1_000)], &size(2, 0), u32::MAX), 1_250);
        assert_eq!(fewest_slots(&bins, &[pods(8, 100)], &size(8, 0), u32::MAX), 400);
    }

    #[test]
    fn no_end_of_instances_is_no_end_of_slots() {
        assert_eq!(fewest_slots(&[added(8, u32::MAX)], &[pods(8, 5)], &size(8, 0), 9), u32::MAX - 5);
        assert_eq!(fewest_slots(&[added(4, u32::MAX)], &[], &size(8, 0), 9), 0);
    }

    #[test]
    fn pods_of_other_nodes_cost_nothing() {
        let other = Pods { mask: 2, ..pods(8, 5) };
        assert_eq!(fewest_slots(&[bin(8, 0)], &[other], &size(8, 0), 1), 1);
    }

    /// Every way to lay any of the pods, one after the other.
    fn brute_force(bins: &mut Vec<Bin>, pods: &[Pods], size: &Size) -> u32 {
        let now = bins.iter().map(|bin| bin.slots(size)).sum();
        let Some((kind, rest)) = pods.split_first() else {
            return now;
        };
        if kind.count == 0 {
            return brute_force(bins, rest, size);
        }
        let mut left = vec![Pods { count: kind.count - 1, ..kind.clone() }];
        left.extend_from_slice(rest);
        let mut fewest = brute_force(bins, &left, size);
        for index in 0..bins.len() {
            let before = bins[index].clone();
            if before.mask & kind.mask == 0 {
                continue;
            }
            if let Some(after) = before.less(&kind.size, 1) {
                bins[index] = after;
                fewest = fewest.min(brute_force(bins, &left, size));
                bins[index] = before;
            }
        }
        fewest
    }

    fn any_size() -> impl Strategy<Value = Size> {
        (1u32..5, 0u64..4).prop_map(|(accelerators, cpu)| size(accelerators, cpu))
    }

    fn any_bin() -> impl Strategy<Value = Bin> {
        (0u32..9, proptest::option::of(0u64..9), 1u64..4).prop_map(|(accelerators, cpu, mask)| Bin {
            free: cpu.map(|cpu_millis| Resources { cpu_millis, ..Resources::default() }),
            mask,
            ..bin(accelerators, 0)
        })
    }

    fn any_pods() -> impl Strategy<Value = Pods> {
        (any_size(), 1u64..4, 0u32..4).prop_map(|(size, mask, count)| Pods { size, mask, count })
    }

    proptest! {
        #[test]
        fn equals_brute_force(
            bins in proptest::collection::vec(any_bin(), 0..4),
            pods in proptest::collection::vec(any_pods(), 0..3),
            size in any_size(),
        ) {
            let expected = brute_force(&mut bins.clone(), &pods, &size);
            prop_assert_eq!(fewest_slots(&bins, &pods, &size, u32::MAX), expected);
            prop_assert!(fewest_slots(&bins, &pods, &size, expected) >= expected);
            let enough = fewest_slots(&bins, &pods, &size, expected + 1);
            prop_assert_eq!(enough, expected);
        }

        #[test]
        fn the_bound_is_never_optimistic(
            bins in proptest::collection::vec(any_bin(), 0..4),
            pods in proptest::collection::vec(any_pods(), 0..3),
            size in any_size(),
        ) {
            let total: u32 = bins.iter().map(|bin| bin.slots(&size)).sum();
            let loss = loss_bound(&bins.iter().collect::<Vec<_>>(), &pods.iter().collect::<Vec<_>>(), &size);
            let fewest = brute_force(&mut bins.clone(), &pods, &size);
            prop_assert!(u64::from(total - fewest) <= loss, "lost {} bound {}", total - fewest, loss);
        }

        #[test]
        fn copies_are_so_many_bins(
            one in any_bin(),
            copies in 0u32..4,
            pods in proptest::collection::vec(any_pods(), 0..3),
            size in any_size(),
        ) {
            let many = vec![one.clone(); copies as usize];
            let together = Bin { copies, ..one };
            prop_assert_eq!(
                fewest_slots(&[together], &pods, &size, u32::MAX),
                fewest_slots(&many, &pods, &size, u32::MAX)
            );
        }
    }
}
