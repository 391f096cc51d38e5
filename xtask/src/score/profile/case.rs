//! Every leak of every service, and what a right answer names. Where a function lies in the source is looked up, not written here.

use std::ops::RangeInclusive;

use super::evidence::{Evidence, Runtime};

/// One service with one leak, or none.
#[derive(Debug, Clone, Copy)]
pub(in crate::score) struct Case {
    pub(in crate::score) runtime: Runtime,
    /// As `--leak` takes it.
    pub(in crate::score) leak: &'static str,
    /// What title, name or path of the first suspect must name, one of the names between bars. Empty where nothing leaks.
    pub(in crate::score) owner: &'static str,
    /// How the lines begin on which the functions or classes of that name are defined.
    pub(in crate::score) heads: &'static [&'static str],
}

/// What a profile of one kind can say of a case at best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::score) enum Expected {
    /// The first suspect names this, and where in the source if the format knows lines.
    Owner(&'static str),
    /// It names this, which is less than the owner; the sentence says why there cannot be more.
    Less { names: &'static str, why: &'static str },
    /// No suspect that one would act on; the sentence says why, of a service that leaks.
    Nobody { why: &'static str },
}

impl Case {
    pub(in crate::score) fn leaks(&self) -> bool {
        !self.owner.is_empty()
    }

    /// `node session-map`, as `--only` finds it.
    pub(in crate::score) fn name(&self) -> String {
        format!("{} {}", self.runtime.name(), self.leak)
    }

    pub(in crate::score) fn expected(&self, evidence: Evidence) -> Expected {
        let exception = EXCEPTIONS.iter().find(|(of, leak, _)| *of == evidence && *leak == self.leak);
        match exception {
            Some((_, _, expected)) => *expected,
            None if self.leaks() => Expected::Owner(self.owner),
            None => Expected::Nobody { why: "" },
        }
    }

    /// The kinds of profiles that are taken of it: of goroutines only where goroutines leak, by memray only
    /// where tracemalloc sees nothing, and both where nothing leaks.
    pub(in crate::score) fn evidence(&self) -> impl Iterator<Item = Evidence> {
        let leak = self.leak;
        let wanted = move |evidence: &Evidence| match evidence {
            Evidence::Goroutines | Evidence::GoroutineDump => ["none", "goroutine"].contains(&leak),
            Evidence::Memray => ["none", "native-buffer"].contains(&leak),
            _ => true,
        };
        self.runtime.evidence().iter().copied().filter(wanted)
    }

    /// The bodies of the owner's functions and classes: lines, from 1, of the source. A body ends with the next line that stands no
    /// deeper than its head.
    pub(in crate::score) fn bodies_in(&self, source: &str) -> Vec<RangeInclusive<u32>> {
        let lines: Vec<(u32, &str)> = (1..).zip(source.lines()).collect();
        let depth = |line: &str| line.len() - line.trim_start().len();
        let is_head = |line: &str| self.heads.iter().any(|head| line.trim_start().starts_with(head));
        let body = |index: usize| {
            let (first, head) = lines[index];
            let inside = |(_, line): &&(u32, &str)| line.trim().is_empty() || depth(line) > depth(head);
            let end = lines[index + 1..].iter().take_while(inside).filter(|(_, line)| !line.trim().is_empty()).last();
            // The brace that closes it stands as deep as its head.
            first..=end.map_or(first, |(last, _)| last + u32::from(self.runtime != Runtime::Python))
        };
        (0..lines.len()).filter(|index| is_head(lines[*index].1)).map(body).collect()
    }
}

/// What a kind of profile cannot know.
const EXCEPTIONS: &[(Evidence, &str, Expected)] = &[
    (
        Evidence::Tracemalloc,
        "native-buffer",
        Expected::Nobody { why: "tracemalloc sees Python's own allocations, not those of a C library" },
    ),
    (
        Evidence::ClassHistogram,
        "native-buffer",
        Expected::Less {
            names: "DirectByteBuffer",
            why: "a histogram has no owners, and the bytes lie outside the heap",
        },
    ),
    (
        Evidence::Jfr,
        "native-buffer",
        Expected::Nobody {
            why: "old objects are sampled by the bytes that they take of the heap, and the buffers lie outside of it",
        },
    ),
    (
        Evidence::ClassHistogram,
        "threadlocal",
        Expected::Less {
            names: "byte[]|java.lang.String|java.util.ArrayList",
            why: "a histogram has no owners, and what grows has classes of the JDK only",
        },
    ),
];

const fn case(runtime: Runtime, leak: &'static str, owner: &'static str, heads: &'static [&'static str]) -> Case {
    Case { runtime, leak, owner, heads }
}

const fn healthy(runtime: Runtime) -> Case {
    case(runtime, "none", "", &[])
}

/// Every kind of leak that the services of `services/` offer, and none. Several names are right only where the leak itself has
/// several functions.
pub(in crate::score) const CASES: &[Case] = &[
    healthy(Runtime::Node),
    case(Runtime::Node, "unbounded-cache", "rememberRecommendation", &["function rememberRecommendation("]),
    case(Runtime::Node, "listener", "subscribeToInventory", &["function subscribeToInventory("]),
    case(Runtime::Node, "timer-closure", "pollOrderForever", &["function pollOrderForever("]),
    // V8 names a method without its class; the function before it belongs to the leak, as in the other services.
    case(Runtime::Node, "session-map", "SessionStore|open", &["class SessionStore {", "function openSession("]),
    // The function of the table that calls it is the leak's own.
    case(Runtime::Node, "promise", "awaitReservation", &["async function awaitReservation(", "promise: (request) =>"]),
    case(Runtime::Node, "native-buffer", "keepThumbnail", &["function keepThumbnail("]),
    case(Runtime::Node, "descriptor", "openConnection", &["function openConnection("]),
    case(Runtime::Node, "tiny-objects", "TinyClick|chainClicks", &["class TinyClick {", "function chainClicks("]),
    healthy(Runtime::Python),
    case(Runtime::Python, "module-list", "append_audit_trail", &["def append_audit_trail("]),
    case(
        Runtime::Python,
        "unbounded-cache",
        "recommendations_for",
        &["def recommendations_for(", "def remember_recommendation("],
    ),
    case(Runtime::Python, "session-map", "SessionStore", &["class SessionStore:", "def open_session("]),
    case(Runtime::Python, "listener", "subscribe_to_inventory", &["def subscribe_to_inventory("]),
    case(Runtime::Python, "native-buffer", "decode_thumbnail_natively", &["def decode_thumbnail_natively("]),
    case(Runtime::Python, "descriptor", "open_connection", &["def open_connection("]),
    case(Runtime::Python, "tiny-objects", "TinyClick|chain_clicks", &["class TinyClick:", "def chain_clicks("]),
    case(
        Runtime::Python,
        "thread",
        "reserve_in_background|wait_for_reservation",
        &["def reserve_in_background(", "def wait_for_reservation("],
    ),
    healthy(Runtime::Go),
    // The goroutine waits in the one, its order was made in the other, which also starts it.
    case(
        Runtime::Go,
        "goroutine",
        "reserveOrder|waitForReservation",
        &["func reserveOrder(", "func waitForReservation("],
    ),
    case(Runtime::Go, "unbounded-cache", "rememberRecommendation", &["func rememberRecommendation("]),
    case(Runtime::Go, "session-map", "(*sessionStore).open", &["func (s *sessionStore) open(", "func openSession("]),
    // The one makes what the timers of the other hold.
    case(
        Runtime::Go,
        "timer-closure",
        "armOrderPoll|pollOrderForever",
        &["func armOrderPoll(", "func pollOrderForever("],
    ),
    case(Runtime::Go, "slice-retain", "keepOrderNumber", &["func keepOrderNumber("]),
    case(Runtime::Go, "descriptor", "openConnection", &["func openConnection("]),
    case(Runtime::Go, "tiny-objects", "chainClicks", &["func chainClicks("]),
    healthy(Runtime::Java),
    case(Runtime::Java, "static-collection", "AuditTrail", &["static final class AuditTrail {"]),
    case(Runtime::Java, "threadlocal", "RequestContext", &["static final class RequestContext {"]),
    case(Runtime::Java, "session-map", "SessionStore", &["static final class SessionStore {"]),
    case(Runtime::Java, "listener", "InventoryBus", &["static final class InventoryBus {"]),
    case(Runtime::Java, "native-buffer", "ThumbnailCache", &["static final class ThumbnailCache {"]),
    case(Runtime::Java, "unbounded-cache", "RecommendationCache", &["static final class RecommendationCache {"]),
    case(Runtime::Java, "descriptor", "ConnectionPool", &["static final class ConnectionPool {"]),
    case(Runtime::Java, "tiny-objects", "TinyClick", &["record TinyClick("]),
    case(Runtime::Java, "thread", "Reservations", &["static final class Reservations {"]),
    healthy(Runtime::Rust),
    case(Runtime::Rust, "unbounded-cache", "remember_recommendation", &["fn remember_recommendation("]),
    // Debug information names what was inlined without its type.
    case(Runtime::Rust, "session-map", "SessionStore|open", &["impl SessionStore {", "fn open_session("]),
    // The one makes the order and starts the task, the other is the task.
    case(
        Runtime::Rust,
        "task",
        "wait_for_reservation|expect_reservation",
        &["async fn wait_for_reservation(", "fn expect_reservation("],
    ),
    case(Runtime::Rust, "native-buffer", "keep_thumbnail", &["fn keep_thumbnail("]),
    case(Runtime::Rust, "channel", "publish_order", &["fn publish_order("]),
    case(Runtime::Rust, "descriptor", "open_connection", &["fn open_connection("]),
    case(Runtime::Rust, "tiny-objects", "chain_clicks", &["fn chain_clicks("]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    fn source(runtime: Runtime) -> String {
        std::fs::read_to_string(tree::root().join(runtime.source())).unwrap()
    }

    #[test]
    fn every_kind_of_leak_of_the_services_is_a_case() {
        let readme = std::fs::read_to_string(tree::root().join("services/README.md")).unwrap();
        let kinds = readme.split("## Leak kinds").nth(1).unwrap().split("\n## ").next().unwrap();
        let mut runtime = "";
        let mut missing = Vec::new();
        for row in kinds.lines().filter(|line| line.contains("| `")) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            runtime = if cells[1].is_empty() { runtime } else { cells[1] };
            let kind = cells[2].trim_matches('`');
            if !CASES.iter().any(|case| case.runtime.name() == runtime && case.leak == kind) {
                missing.push(format!("{runtime} {kind}"));
            }
        }
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn every_owner_has_a_body_in_the_source() {
        let missing: Vec<String> = CASES
            .iter()
            .filter(|case| case.bodies_in(&source(case.runtime)).len() != case.heads.len())
            .map(Case::name)
            .collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn a_body_ends_with_the_next_line_that_stands_no_deeper() {
        let go = case(Runtime::Go, "x", "x", &["func x("]);
        assert_eq!(go.bodies_in("// x\nfunc x() {\n\ta()\n\n\tb()\n}\n\nfunc y() {\n}\n"), [2..=6]);
        let python = case(Runtime::Python, "x", "x", &["def x("]);
        assert_eq!(python.bodies_in("def x():\n    a()\n\n    b()\n\n\ndef y():\n    c()\n"), [1..=4]);
    }
}
