//! What we watch.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::TargetId;

/// The runtime of a watched process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runtime {
    /// Go.
    Go,
    /// Node.js.
    Node,
    /// A Java virtual machine.
    Jvm,
    /// `CPython`.
    Python,
    /// .NET.
    DotNet,
    /// Machine code with a native allocator: Rust, C, C++.
    Native,
    /// Not known (yet).
    #[default]
    Unknown,
}

impl Runtime {
    /// Its published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Node => "node",
            Self::Jvm => "jvm",
            Self::Python => "python",
            Self::DotNet => "dotnet",
            Self::Native => "native",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing we watch: a process, or a container on a page that describes several. How it is reached (address, secrets) is the daemon's own knowledge.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its identity, [`TargetId::of`] job, instance and part.
    pub id: TargetId,
    /// The scrape job it belongs to.
    pub job: String,
    /// Its address within the job.
    pub instance: String,
    /// The service that it is a replica of, together with `version`.
    pub service: String,
    /// The version of the service, where known.
    pub version: Option<String>,
    /// Further labels, without those above.
    pub labels: BTreeMap<String, String>,
    /// Its runtime; the first scrape may teach a better one.
    pub runtime: Runtime,
    /// How often it is scraped.
    pub interval: Duration,
    /// How long one scrape may take.
    pub timeout: Duration,
}
