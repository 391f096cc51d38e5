//! Where objects accumulate: the holders that stay while what they hold becomes more.

use crate::shapes::{Shapes, Tally};

/// Objects more of a shape, in all, for it to count as growing.
const COUNT_GROWTH_MIN: u64 = 3;
/// The count of a growing shape grows by one in so many at least.
const COUNT_GROWTH_SHARE: u64 = 20;
/// A step counts as growth from this part of a mean step on.
const STEP_SHARE_MIN: f64 = 0.1;

/// A type must grow in all by this part of what it grows in one place, else it came there from elsewhere.
const MOVED_SHARE: f64 = 0.5;

/// One place of accumulation.
#[derive(Clone, Debug)]
pub(crate) struct Accumulation {
    /// The shape of the holder.
    pub(crate) at: u32,
    /// The growing shape that holds most of the growth, if it is not the holder's own bytes.
    pub(crate) elements: Option<u32>,
    /// Bytes that accumulated there, in each capture.
    pub(crate) bytes: Vec<u64>,
}

impl Accumulation {
    /// Bytes more in the last capture than in the first.
    pub(crate) fn growth(&self) -> i64 {
        self.bytes.last().copied().unwrap_or(0) as i64 - self.bytes.first().copied().unwrap_or(0) as i64
    }

    /// Whether each step from capture to capture has its part of the growth.
    pub(crate) fn grew_in_every_step(&self) -> bool {
        let mean = self.growth() as f64 / (self.bytes.len() - 1).max(1) as f64;
        let mut steps = self.bytes.windows(2).map(|step| step[1] as f64 - step[0] as f64);
        mean > 0.0 && steps.all(|step| step >= STEP_SHARE_MIN * mean)
    }
}

/// All places where at least `bytes_min` accumulated from the first of `tallies` to the last, in no order.
///
/// A shape whose count stays is a holder. What it holds grows by shapes whose count grows, and by its own bytes: that accumulated
/// there; what grows inside of holders below accumulated below.
pub(crate) fn accumulations(shapes: &Shapes, tallies: &[Tally], bytes_min: i64) -> Vec<Accumulation> {
    let (Some(first), Some(last)) = (tallies.first(), tallies.last()) else { return Vec::new() };
    let children = shapes.children();
    let growth = |shape: u32| last.retained[shape as usize] as i64 - first.retained[shape as usize] as i64;
    let multiplies = |shape: u32| {
        let (before, after) = (first.count[shape as usize], last.count[shape as usize]);
        after >= before + COUNT_GROWTH_MIN.max(before / COUNT_GROWTH_SHARE)
    };
    let mut found = Vec::new();
    let mut holders = vec![0_u32];
    while let Some(at) = holders.pop() {
        let (growing, staying): (Vec<u32>, Vec<u32>) =
            children[at as usize].iter().partition(|&&child| multiplies(child));
        let bytes: Vec<u64> = tallies
            .iter()
            .map(|tally| {
                let of_child = |&child: &u32| tally.retained[child as usize];
                let below = staying.iter().map(of_child).fold(0_u64, u64::saturating_add);
                tally.retained[at as usize].saturating_sub(below)
            })
            .collect();
        let elements = growing.iter().copied().max_by_key(|&child| growth(child));
        let own = last.self_bytes[at as usize] as i64 - first.self_bytes[at as usize] as i64;
        let elements = elements.filter(|&child| growth(child) >= own);
        let accumulation = Accumulation { at, elements, bytes };
        if accumulation.growth() >= bytes_min && !moved(shapes, tallies, &accumulation) {
            found.push(accumulation);
        }
        holders.extend(staying.into_iter().filter(|&child| growth(child) >= bytes_min));
    }
    found
}

/// Whether objects are only held in another way than before: there are not that many more of their type, or bytes of it, in all.
///
/// A thread that happens to look at a cache while the capture is taken holds it too, and what it holds is then held by none alone.
fn moved(shapes: &Shapes, tallies: &[Tally], place: &Accumulation) -> bool {
    let shape = place.elements.unwrap_or(place.at);
    let of = shapes.all[shape as usize].of;
    let growth = |part: fn(&Tally) -> &[u64], shapes_of: &dyn Fn(usize) -> bool| {
        let sum = |tally: &Tally| {
            let numbers = part(tally).iter().enumerate().filter(|(index, _)| shapes_of(*index));
            numbers.fold(0_u64, |sum, (_, number)| sum.saturating_add(*number)) as i64
        };
        tallies.last().map_or(0, sum) - tallies.first().map_or(0, sum)
    };
    let of_type = |index: usize| shapes.all[index].of == of;
    let here = |index: usize| index == shape as usize;
    let part: fn(&Tally) -> &[u64] =
        if place.elements.is_some() { |tally| &tally.count } else { |tally| &tally.self_bytes };
    (growth(part, &of_type) as f64) < MOVED_SHARE * growth(part, &here) as f64
}
