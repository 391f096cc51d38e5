//! What a difference says by row, of the samples where they are: nothing is merged that no one asks for by itself.

use super::{Merger, Names, chosen, common_columns, outline};
use crate::profile::inlined::{Inlined, inlined_of};
use crate::profile::model::Profile;
use crate::profile::top::{self, Granularity, Row, is_base, top_of};

/// One profile less another: the same columns, rows and totals as [`super::difference`].
#[derive(Debug)]
pub struct Joined<'p> {
    /// Header, columns and locations, without samples unless these had to be merged.
    tables: Profile,
    /// The later profile and the base in these locations; none where the samples are merged.
    parts: Vec<top::Part<'p>>,
    /// Of each part and column; none where the samples are merged.
    totals: Vec<Vec<i64>>,
}

impl<'p> Joined<'p> {
    /// With all samples, equal ones as one: [`Self::into_profile`] gives the whole difference.
    pub fn merged(base: &Profile, later: &Profile) -> Self {
        Self { tables: super::difference(base, later), parts: Vec::new(), totals: Vec::new() }
    }

    /// Without samples of its own, in less time and memory.
    pub fn new(base: &'p Profile, later: &'p Profile) -> Self {
        let sides = [super::Part { profile: later, is_base: false }, super::Part { profile: base, is_base: true }];
        let columns = common_columns(&sides);
        let totals = [0, 1].map(|index| plain_totals(sides[index].profile, &chosen(&columns, index)));
        let [Some(of_later), Some(of_base)] = totals else { return Self::merged(base, later) };
        let mut builder = outline(&sides, &columns);
        let mut merger = Merger::new(columns.len());
        let mut parts = Vec::with_capacity(sides.len());
        for (index, side) in sides.into_iter().enumerate() {
            let columns = chosen(&columns, index);
            let locations = merger.locations(&mut builder, &mut Names::of(side.profile), &columns);
            parts.push(top::Part { profile: side.profile, locations: Some(locations), columns, is_base: side.is_base });
        }
        Self { tables: builder.finish(), parts, totals: vec![of_later, of_base] }
    }

    /// What is said of the whole, and its columns.
    pub fn outline(&self) -> &Profile {
        &self.tables
    }

    /// Likewise, with the samples if they were merged.
    pub fn into_profile(self) -> Profile {
        self.tables
    }

    /// As [`top::top`] of the difference.
    pub fn top(&self, granularity: Granularity) -> Vec<Row> {
        top_of(&self.tables, &self.parts(), granularity)
    }

    /// As [`super::super::inlined`] of the difference.
    pub fn inlined(&self, granularity: Granularity, column: usize) -> Vec<Inlined> {
        inlined_of(&self.tables, &self.parts(), granularity, column)
    }

    /// As [`top::totals`] of the difference.
    pub fn totals(&self) -> Vec<i64> {
        match self.totals.as_slice() {
            [later, base] => {
                later.iter().zip(base).map(|(later, base)| if *base > 0 { *base } else { *later }).collect()
            }
            _ => top::totals(&self.tables),
        }
    }

    fn parts(&self) -> Vec<top::Part<'_>> {
        if self.totals.is_empty() { vec![top::Part::whole(&self.tables)] } else { self.parts.clone() }
    }
}

/// The sum of each column, where samples say the same whether equal ones are merged or not: none is below 0, marked as another base's,
/// or so large that sums do not fit.
fn plain_totals(profile: &Profile, columns: &[usize]) -> Option<Vec<i64>> {
    let mut totals = vec![0_i64; columns.len()];
    for sample in 0..profile.n_samples() {
        let values = profile.values(sample);
        for (total, column) in totals.iter_mut().zip(columns) {
            *total = total.checked_add(values[*column]).filter(|_| values[*column] >= 0)?;
        }
        if is_base(profile, sample) {
            return None;
        }
    }
    Some(totals)
}
