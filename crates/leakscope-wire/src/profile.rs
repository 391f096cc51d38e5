//! What a profile says, and what grew over several.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Finding, HeapClass};

/// One analysed profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProfileAnalysis {
    /// `pprof`, `v8-heapprofile`, `class-histogram`, ...
    pub format: String,
    /// Bytes of the capture, not compressed.
    pub file_bytes: u64,
    /// Samples; of a part that filters chose, those that are left.
    pub samples: u64,
    /// What the values count, in their order everywhere.
    pub sample_types: Vec<SampleType>,
    /// Functions, or what was asked for in their place, the largest first.
    pub functions: Vec<ProfileFunction>,
    /// Types, most bytes first, where the capture counts objects by type; else left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<HeapClass>>,
    /// What looks wrong, strongest first.
    pub suspects: Vec<Finding>,
    /// Sum of all samples' sizes, one for each sample type, before any filter.
    pub totals: Vec<i64>,
    /// How far samples lie apart; `null` where every event was counted or the capture does not say.
    pub period: Option<Period>,
    /// When it was taken, in RFC 3339; `null` where the capture does not say.
    pub taken_at: Option<String>,
    /// What could not be read.
    pub warnings: Vec<String>,
    /// Answers to what was asked beside.
    #[serde(flatten)]
    pub answers: ProfileAnswers,
}

/// Answers to single questions; what was not asked is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProfileAnswers {
    /// Functions with who calls them and whom they call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Vec<ProfileNode>>,
    /// Functions by the lines of their source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<Vec<ProfileRoutine>>,
}

/// What one value of each sample counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SampleType {
    /// `inuse_space`, `alloc_objects`, `goroutine`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// `bytes`, `count`, ...
    pub unit: String,
}

/// How far samples lie apart on average.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Period {
    /// What is counted between two samples.
    #[serde(rename = "type")]
    pub kind: String,
    /// In which unit.
    pub unit: String,
    /// How many.
    pub value: i64,
}

/// Values of one function, file, line or address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileFunction {
    /// The function; where none is known the file, else `[binary]`, else `<unknown>`.
    pub name: String,
    /// Its source file.
    pub file: Option<String>,
    /// Line from 1; left out but by lines and addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Address of the program; left out but by addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    /// Made by itself, one value for each sample type.
    pub flat: Vec<i64>,
    /// Made by itself and by all that it calls, likewise.
    pub cum: Vec<i64>,
}

/// One function among its callers and callees, in one sample type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileNode {
    /// As [`ProfileFunction::name`], with file, line and address where these were asked for.
    pub name: String,
    /// Made by itself.
    pub flat: i64,
    /// Made by itself and by all that it calls.
    pub cum: i64,
    /// Who calls it, the largest first.
    pub callers: Vec<ProfileCall>,
    /// Whom it calls, the largest first.
    pub callees: Vec<ProfileCall>,
}

/// All that one function calls of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileCall {
    /// The other one.
    pub name: String,
    /// Made in these calls.
    pub value: i64,
    /// Whether the compiler had put all of them into the caller.
    pub inlined: bool,
}

/// One function in one file, by lines, in one sample type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileRoutine {
    /// Its name.
    pub function: String,
    /// Its file; `null` where the profile does not say.
    pub file: Option<String>,
    /// Sum over its lines.
    pub flat: i64,
    /// Likewise; a sample that passes several of its lines counts for each.
    pub cum: i64,
    /// Lines with values, ascending.
    pub lines: Vec<ProfileLine>,
}

/// Values of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileLine {
    /// From 1; 0 where not known.
    pub line: i64,
    /// Made by the line itself.
    pub flat: i64,
    /// Made by it and by all that it calls.
    pub cum: i64,
    /// What stands there, where the file can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What grew from the first profile to the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProfileDiff {
    /// As [`ProfileAnalysis::format`], of the last capture.
    pub format: String,
    /// Of each capture, in order.
    pub captures: Vec<ProfileTotals>,
    /// What the values count, in their order everywhere: what all captures have.
    pub sample_types: Vec<SampleType>,
    /// Growth from the first capture to the last, the largest first.
    pub functions: Vec<ProfileFunction>,
    /// Growth of all bytes that are held; `null` where the captures count no bytes.
    pub growth_bytes: Option<i64>,
    /// What grew, most suspicious first.
    pub suspects: Vec<Finding>,
    /// What could not be read or compared.
    pub warnings: Vec<String>,
    /// Answers to what was asked beside, of the growth.
    #[serde(flatten)]
    pub answers: ProfileAnswers,
}

/// One of several profiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileTotals {
    /// As it was given.
    pub file: String,
    /// Bytes of the capture, not compressed.
    pub file_bytes: u64,
    /// Samples.
    pub samples: u64,
    /// Sum of all samples, one for each sample type of the comparison.
    pub totals: Vec<i64>,
    /// When it was taken, in RFC 3339; `null` where the capture does not say.
    pub taken_at: Option<String>,
}
