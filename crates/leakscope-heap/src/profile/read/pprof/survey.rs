//! The first pass over a profile: how much there is of everything, all ids and all texts, so that the second pass writes columns
//! of the right size and resolves every reference where it stands.

use rustc_hash::FxHashMap;

use crate::error::HeapError;
use crate::profile::model::{Text, Texts};
use crate::profile::proto::{self, location, profile, sample};
use crate::profile::read::index_fits;
use crate::profile::read::protobuf::{Broken, Field, Message};

/// Ids up to so many times their count are looked up in an array; beyond that in a map.
const DENSE_TIMES_MAX: u64 = 4;
/// And up to so many more, so that few ids with a hole or two are no map.
const DENSE_MORE_MAX: u64 = 1_024;

/// What a profile has.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) n_sample_types: usize,
    pub(super) n_samples: usize,
    /// Locations of all stacks.
    pub(super) n_stacked: usize,
    pub(super) n_values: usize,
    pub(super) n_labels: usize,
    pub(super) n_lines: usize,
    pub(super) mapping_ids: Ids,
    pub(super) location_ids: Ids,
    pub(super) function_ids: Ids,
    pub(super) texts: Texts,
    /// The text of each index into the string table.
    pub(super) text_of: Vec<Text>,
}

impl Survey {
    /// # Errors
    /// [`HeapError`], with the field that is wrong.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, HeapError> {
        let mut counting = Counting::default();
        let mut message = Message::of(bytes);
        while let Some(field) = message.next().map_err(|broken| broken.of("the file"))? {
            counting.field(field)?;
        }
        counting.finish()
    }
}

#[derive(Debug, Default)]
struct Counting<'a> {
    n_sample_types: usize,
    n_samples: usize,
    n_stacked: usize,
    n_values: usize,
    n_labels: usize,
    n_lines: usize,
    mapping_ids: Vec<u64>,
    location_ids: Vec<u64>,
    function_ids: Vec<u64>,
    strings: Vec<&'a str>,
    n_string_bytes: usize,
}

impl<'a> Counting<'a> {
    fn field(&mut self, field: Field<'a>) -> Result<(), HeapError> {
        match field.number {
            profile::SAMPLE_TYPE => self.n_sample_types += 1,
            profile::SAMPLE => {
                self.sample(field).map_err(|broken| broken.of(&format!("sample[{}]", self.n_samples)))?;
                self.n_samples += 1;
            }
            profile::MAPPING => {
                let (id, _) =
                    id_of(field).map_err(|broken| broken.of(&format!("mapping[{}]", self.mapping_ids.len())))?;
                self.mapping_ids.push(id);
            }
            profile::LOCATION => {
                let place = |broken: Broken| broken.of(&format!("location[{}]", self.location_ids.len()));
                let (id, n_lines) = id_of(field).map_err(place)?;
                self.location_ids.push(id);
                self.n_lines += n_lines;
            }
            profile::FUNCTION => {
                let place = |broken: Broken| broken.of(&format!("function[{}]", self.function_ids.len()));
                let (id, _) = id_of(field).map_err(place)?;
                self.function_ids.push(id);
            }
            profile::STRING_TABLE => self.string(field)?,
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn sample(&mut self, field: Field<'a>) -> Result<(), Broken> {
        let mut message = field.message()?;
        while let Some(field) = message.next()? {
            match field.number {
                sample::LOCATION_ID => self.n_stacked += field.n_numbers(),
                sample::VALUE => self.n_values += field.n_numbers(),
                sample::LABEL => self.n_labels += 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn string(&mut self, field: Field<'a>) -> Result<(), HeapError> {
        let index = self.strings.len();
        let place = || format!("string_table[{index}]");
        let bytes = field.message().map_err(|broken| broken.of(&place()))?.rest();
        if index == 0 && !bytes.is_empty() {
            let found = format!("{} bytes", bytes.len());
            return Err(HeapError::Invalid { place: place(), expected: "the empty text".to_owned(), found });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            let found = format!("{:#04x} at byte {at} of {}", bytes[at], bytes.len());
            HeapError::Invalid { place: place(), expected: "UTF-8".to_owned(), found }
        })?;
        self.strings.push(text);
        self.n_string_bytes += bytes.len();
        Ok(())
    }

    fn finish(self) -> Result<Survey, HeapError> {
        if self.n_sample_types == 0 {
            return Err(HeapError::Invalid {
                place: "sample_type".to_owned(),
                expected: "at least one".to_owned(),
                found: "none".to_owned(),
            });
        }
        index_fits("samples", self.n_samples)?;
        index_fits("lines of locations", self.n_lines)?;
        index_fits("labels of samples", self.n_labels)?;
        let (texts, text_of) = texts(&self.strings, self.n_string_bytes)?;
        Ok(Survey {
            n_sample_types: self.n_sample_types,
            n_samples: self.n_samples,
            n_stacked: self.n_stacked,
            n_values: self.n_values,
            n_labels: self.n_labels,
            n_lines: self.n_lines,
            mapping_ids: Ids::of(&self.mapping_ids, "mapping")?,
            location_ids: Ids::of(&self.location_ids, "location")?,
            function_ids: Ids::of(&self.function_ids, "function")?,
            texts,
            text_of,
        })
    }
}

/// The id of a mapping, location or function, and how many lines a location has.
fn id_of(field: Field<'_>) -> Result<(u64, usize), Broken> {
    // They are field 1 of all three.
    const { assert!(proto::mapping::ID == location::ID && proto::function::ID == location::ID) };
    let mut message = field.message()?;
    let (mut id, mut n_lines) = (0, 0);
    while let Some(field) = message.next()? {
        match field.number {
            location::ID => id = field.number()?,
            location::LINE => n_lines += 1,
            _ => {}
        }
    }
    Ok((id, n_lines))
}

/// Each text once, the empty one first, and the text of each string.
fn texts(strings: &[&str], n_bytes: usize) -> Result<(Texts, Vec<Text>), HeapError> {
    index_fits("strings", strings.len())?;
    if strings.is_empty() {
        return Err(HeapError::Invalid {
            place: "string_table".to_owned(),
            expected: "the empty text first".to_owned(),
            found: "no strings".to_owned(),
        });
    }
    let mut texts = Texts::with_capacity(strings.len(), n_bytes);
    let mut numbers = FxHashMap::with_capacity_and_hasher(strings.len(), rustc_hash::FxBuildHasher);
    let text_of = strings.iter().map(|text| *numbers.entry(*text).or_insert_with(|| texts.push(text)));
    let text_of = text_of.collect();
    Ok((texts, text_of))
}

/// From ids in a file to indices into a column.
#[derive(Debug)]
pub(super) enum Ids {
    /// 1 to n in this order, as nearly all writers have them.
    Counted(u64),
    /// Small numbers: the index behind each, [`NONE`] where no entry has the id.
    Dense(Vec<u32>),
    Sparse(FxHashMap<u64, u32>),
}

/// An id that no entry has.
const NONE: u32 = u32::MAX;

impl Ids {
    fn of(ids: &[u64], what: &'static str) -> Result<Self, HeapError> {
        index_fits(what, ids.len())?;
        let invalid = |index: usize, expected: &str, found: String| {
            Err(HeapError::Invalid { place: format!("{what}[{index}].id"), expected: expected.to_owned(), found })
        };
        if let Some(index) = ids.iter().position(|id| *id == 0) {
            return invalid(index, "a number from 1", "0".to_owned());
        }
        if ids.iter().zip(1..).all(|(id, count)| *id == count) {
            return Ok(Self::Counted(ids.len() as u64));
        }
        let again = |index: usize, id: u64, first: u32| {
            invalid(index, "an id that no other has", format!("{id}, which is that of {what}[{first}]"))
        };
        let max = ids.iter().copied().max().unwrap_or(0);
        if max <= DENSE_TIMES_MAX * ids.len() as u64 + DENSE_MORE_MAX {
            let mut dense = vec![NONE; max as usize + 1];
            for (index, id) in ids.iter().enumerate() {
                let first = std::mem::replace(&mut dense[*id as usize], index as u32);
                if first != NONE {
                    return again(index, *id, first);
                }
            }
            return Ok(Self::Dense(dense));
        }
        let mut sparse = FxHashMap::with_capacity_and_hasher(ids.len(), rustc_hash::FxBuildHasher);
        for (index, id) in ids.iter().enumerate() {
            if let Some(first) = sparse.insert(*id, index as u32) {
                return again(index, *id, first);
            }
        }
        Ok(Self::Sparse(sparse))
    }

    #[inline]
    pub(super) fn index(&self, id: u64) -> Option<u32> {
        match self {
            Self::Counted(n) => (id.wrapping_sub(1) < *n).then(|| (id - 1) as u32),
            Self::Dense(dense) => dense.get(usize::try_from(id).ok()?).copied().filter(|index| *index != NONE),
            Self::Sparse(sparse) => sparse.get(&id).copied(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Counted(n) => *n as usize,
            Self::Dense(dense) => dense.iter().filter(|index| **index != NONE).count(),
            Self::Sparse(sparse) => sparse.len(),
        }
    }
}
