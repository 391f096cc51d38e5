//! The runtimes that the demo knows, each with the leak that it shows.

use std::fmt;

use clap::ValueEnum;

/// A runtime with example services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum DemoRuntime {
    /// Node.js
    Node,
    /// `CPython` with Flask
    Python,
    /// Go
    Go,
    /// A Java virtual machine
    Java,
    /// Rust
    Rust,
}

impl DemoRuntime {
    pub(crate) const ALL: [Self; 5] = [Self::Node, Self::Python, Self::Go, Self::Java, Self::Rust];

    /// Its name in flags, names of services and results.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
            Self::Go => "go",
            Self::Java => "java",
            Self::Rust => "rust",
        }
    }

    /// The value of `runtime` in the daemon's configuration.
    pub(crate) const fn configured(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
            Self::Go => "go",
            Self::Java => "jvm",
            Self::Rust => "native",
        }
    }

    /// The leak that its leaking service has.
    pub(crate) const fn leak(self) -> &'static str {
        match self {
            Self::Node | Self::Rust => "unbounded-cache",
            Self::Python => "module-list",
            Self::Go => "goroutine",
            Self::Java => "static-collection",
        }
    }

    /// The leaking service, named after what leaks.
    pub(crate) const fn leaking_name(self) -> &'static str {
        match self {
            Self::Node => "node-cache",
            Self::Python => "python-list",
            Self::Go => "go-goroutine",
            Self::Java => "java-static",
            Self::Rust => "rust-cache",
        }
    }

    pub(crate) const fn healthy_name(self) -> &'static str {
        match self {
            Self::Node => "node-healthy",
            Self::Python => "python-healthy",
            Self::Go => "go-healthy",
            Self::Java => "java-healthy",
            Self::Rust => "rust-healthy",
        }
    }
}

impl fmt::Display for DemoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
