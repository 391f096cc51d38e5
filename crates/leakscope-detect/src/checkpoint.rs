//! A detector as bytes and back: restored, it gives the same verdicts bit for bit.

use std::fmt;

use leakscope_model::State;

use crate::detector::{Detector, Role};
use crate::evidence::Test;
use crate::life::Life;
use crate::past::Past;
use crate::ring::Ring;
use crate::stats::MAX;
use crate::track::{Held, Track};

/// First byte of a checkpoint. A detector with other state gets another number; old checkpoints are then refused and the detector starts anew.
const VERSION: u8 = 5;

/// Why bytes are not a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// Written by another version.
    Version {
        /// The version that was found.
        found: u8,
    },
    /// The bytes end early or say what cannot be.
    Malformed {
        /// Where.
        at: usize,
    },
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { found } => write!(f, "expected a checkpoint of version {VERSION}, found version {found}"),
            Self::Malformed { at } => write!(f, "expected a detector's state, found something else at byte {at}"),
        }
    }
}

impl std::error::Error for CheckpointError {}

impl Detector {
    /// The whole state as bytes: a few hundred to 15,000.
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        Codec::write(&mut bytes, |codec| self.clone().visit(codec));
        bytes
    }

    /// The detector of a checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::Version`] for another version's bytes, [`CheckpointError::Malformed`] for bytes that are no checkpoint.
    pub fn restore(bytes: &[u8]) -> Result<Self, CheckpointError> {
        match bytes.split_first() {
            Some((&VERSION, body)) => {
                let mut detector = Self::default();
                let mut codec = Codec::Read { bytes: body, at: 0 };
                let done = detector.visit(&mut codec).is_some();
                match codec {
                    Codec::Read { bytes, at } if done && at == bytes.len() => Ok(detector),
                    Codec::Read { at, .. } => Err(CheckpointError::Malformed { at: at + 1 }),
                    Codec::Write(_) => Err(CheckpointError::Malformed { at: 0 }),
                }
            }
            Some((found, _)) => Err(CheckpointError::Version { found: *found }),
            None => Err(CheckpointError::Malformed { at: 0 }),
        }
    }
}

/// One walk over the state that writes or reads: what is written and what is read cannot differ.
enum Codec<'a> {
    Write(&'a mut Vec<u8>),
    Read { bytes: &'a [u8], at: usize },
}

impl<'a> Codec<'a> {
    fn write(bytes: &'a mut Vec<u8>, walk: impl FnOnce(&mut Self) -> Option<()>) {
        // Writing has no way to fail.
        let _ = walk(&mut Codec::Write(bytes));
    }

    fn bytes<const N: usize>(&mut self, value: &mut [u8; N]) -> Option<()> {
        match self {
            Codec::Write(out) => out.extend_from_slice(value),
            Codec::Read { bytes, at } => {
                *value = bytes.get(*at..*at + N)?.try_into().ok()?;
                *at += N;
            }
        }
        Some(())
    }

    fn u8(&mut self, value: &mut u8) -> Option<()> {
        let mut raw = [*value];
        self.bytes(&mut raw)?;
        *value = raw[0];
        Some(())
    }

    fn flag(&mut self, value: &mut bool) -> Option<()> {
        let mut raw = u8::from(*value);
        self.u8(&mut raw)?;
        *value = raw == 1;
        (raw <= 1).then_some(())
    }

    fn u16(&mut self, value: &mut u16) -> Option<()> {
        let mut raw = value.to_le_bytes();
        self.bytes(&mut raw)?;
        *value = u16::from_le_bytes(raw);
        Some(())
    }

    fn u32(&mut self, value: &mut u32) -> Option<()> {
        let mut raw = value.to_le_bytes();
        self.bytes(&mut raw)?;
        *value = u32::from_le_bytes(raw);
        Some(())
    }

    fn i64(&mut self, value: &mut i64) -> Option<()> {
        let mut raw = value.to_le_bytes();
        self.bytes(&mut raw)?;
        *value = i64::from_le_bytes(raw);
        Some(())
    }

    fn f64(&mut self, value: &mut f64) -> Option<()> {
        let mut raw = value.to_le_bytes();
        self.bytes(&mut raw)?;
        *value = f64::from_le_bytes(raw);
        Some(())
    }

    fn f32(&mut self, value: &mut f32) -> Option<()> {
        let mut raw = value.to_le_bytes();
        self.bytes(&mut raw)?;
        *value = f32::from_le_bytes(raw);
        Some(())
    }

    fn option<T: Default>(
        &mut self,
        value: &mut Option<T>,
        visit: impl FnOnce(&mut Self, &mut T) -> Option<()>,
    ) -> Option<()> {
        let mut there = u8::from(value.is_some());
        self.u8(&mut there)?;
        match there {
            0 => *value = None,
            1 => visit(self, value.get_or_insert_with(T::default))?,
            _ => return None,
        }
        Some(())
    }
}

impl Detector {
    fn visit(&mut self, codec: &mut Codec<'_>) -> Option<()> {
        for role in Role::ALL {
            codec.option(&mut self.tracks[role as usize], |codec, track| track.visit(codec))?;
        }
        codec.option(&mut self.load.last, Codec::f64)?;
        for ring in &mut self.load.rings {
            ring.visit(codec)?;
        }
        self.life.visit(codec)?;
        let states = [State::TooEarly, State::Steady, State::Recovered, State::Suspect, State::Leaking];
        let mut state = states.iter().position(|state| *state == self.state)? as u8;
        codec.u8(&mut state)?;
        self.state = *states.get(usize::from(state))?;
        codec.f64(&mut self.score)?;
        codec.option(&mut self.limit, Codec::f64)?;
        codec.i64(&mut self.life_began_ms)?;
        codec.option(&mut self.last_ms, Codec::i64)?;
        codec.f64(&mut self.resident)?;
        codec.f64(&mut self.heap_pages)?;
        codec.option(&mut self.below_since_ms, Codec::i64)?;
        codec.u32(&mut self.n_grown)?;
        self.past.visit(codec)?;
        codec.flag(&mut self.recurs)?;
        codec.flag(&mut self.began_by_drop)
    }
}

impl Past {
    fn visit(&mut self, codec: &mut Codec<'_>) -> Option<()> {
        codec.f64(&mut self.settled)?;
        codec.u32(&mut self.n_grew)?;
        codec.f64(&mut self.log10_e)?;
        codec.f64(&mut self.slope)
    }
}

impl Life {
    fn visit(&mut self, codec: &mut Codec<'_>) -> Option<()> {
        codec.option(&mut self.start_time, Codec::f64)?;
        codec.option(&mut self.requests, Codec::f64)?;
        codec.option(&mut self.resident, Codec::f64)?;
        codec.u32(&mut self.n_ended)
    }
}

impl Track {
    fn visit(&mut self, codec: &mut Codec<'_>) -> Option<()> {
        for ring in &mut self.rings {
            ring.visit(codec)?;
        }
        for top in &mut self.tops {
            top.visit(codec)?;
        }
        for held in &mut self.held {
            held.visit(codec)?;
        }
        codec.f64(&mut self.last)?;
        codec.flag(&mut self.sparse)?;
        codec.f64(&mut self.excess)?;
        codec.f64(&mut self.open_peak)?;
        codec.f64(&mut self.lowest)
    }
}

impl Ring {
    /// Only the values that the ring holds are written; the length of its blocks is the scale's, not the state's.
    fn visit(&mut self, codec: &mut Codec<'_>) -> Option<()> {
        codec.option(&mut self.open, Codec::i64)?;
        codec.f32(&mut self.open_value)?;
        codec.u32(&mut self.n_closed)?;
        codec.f32(&mut self.base)?;
        codec.f32(&mut self.unit)?;
        let held = self.held();
        self.codes[..held].iter_mut().try_for_each(|code| codec.u16(code))
    }
}

impl Held {
    fn visit(&mut self, codec: &mut Codec<'_>) -> Option<()> {
        let tests = [
            Test::Amplitude,
            Test::Records,
            Test::Trend,
            Test::Pace,
            Test::Step,
            Test::Load,
            Test::Horizon,
            Test::Novelty,
            Test::Reach,
        ];
        // Most scales of a young process have nothing to tell.
        let mut there = *self != Self::default();
        codec.flag(&mut there)?;
        if !there {
            *self = Self::default();
            return Some(());
        }
        codec.f32(&mut self.ratio)?;
        let mut test = tests.iter().position(|test| *test == self.weakest)? as u8;
        codec.u8(&mut test)?;
        self.weakest = *tests.get(usize::from(test))?;
        codec.u8(&mut self.n_blocks)?;
        codec.u8(&mut self.n_points)?;
        codec.f32(&mut self.surprise)?;
        if usize::from(self.n_blocks) > MAX {
            return None;
        }
        codec.option(&mut self.since_ms, Codec::i64)
    }
}
