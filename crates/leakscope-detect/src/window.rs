//! Floors of the last blocks of a ring, oldest first, and where their growth began.

use crate::ring::Ring;
use crate::stats::{Line, MAX, Points};

/// A part of a [`Window`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) n_blocks: usize,
    pub(crate) backs: &'a [usize],
    pub(crate) points: Points<'a>,
}

/// Floors of `n` blocks, the newest `skip` left out, oldest first; blocks without a sample are left out.
pub(crate) struct Window {
    pub(crate) n: usize,
    pub(crate) backs: [usize; MAX],
    hours: [f64; MAX],
    pub(crate) floors: [f64; MAX],
}

impl Window {
    pub(crate) fn of(ring: &Ring, skip: usize, n: usize) -> Self {
        let mut window = Self { n: 0, backs: [0; MAX], hours: [0.0; MAX], floors: [0.0; MAX] };
        let block_hours = f64::from(ring.minutes) / 60.0;
        for back in (skip..(skip + n).min(ring.held())).rev() {
            if let Some(floor) = ring.get(back) {
                window.backs[window.n] = back;
                window.hours[window.n] = (skip + n - 1 - back) as f64 * block_hours;
                window.floors[window.n] = floor;
                window.n += 1;
            }
        }
        window
    }

    /// The newest `n` blocks, where none was skipped.
    pub(crate) fn last(&self, n: usize) -> View<'_> {
        let from = self.backs[..self.n].partition_point(|back| *back >= n);
        let points = self.points().slice(from..self.n);
        View { n_blocks: n, backs: &self.backs[from..self.n], points }
    }

    pub(crate) fn points(&self) -> Points<'_> {
        Points { hours: &self.hours[..self.n], floors: &self.floors[..self.n] }
    }
}

/// Blocks since the growth of the last `n` began, `n` at least: where a level and then a line fit best. O(n²) in the ring's length.
pub(crate) fn onset(held: &Window, n: usize) -> usize {
    let all = held.points();
    let (mut least, mut n_best) = (f64::INFINITY, n);
    let (mut level, mut about_level) = (0.0, 0.0);
    for (place, floor) in all.floors.iter().enumerate().take_while(|(place, _)| held.backs[*place] + 1 >= n) {
        let squares = about_level + Line::squares(all.slice(place..all.len()));
        if squares < least {
            (least, n_best) = (squares, held.backs[place] + 1);
        }
        // Welford's update of the mean and the squares about it.
        let off = floor - level;
        level += off / (place + 1) as f64;
        about_level += off * (floor - level);
    }
    n_best
}
