//! The services and their leaks, and what a right answer names. Lines are looked up in the source, not written here.

/// A runtime whose captures are object graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runtime {
    Node,
    Java,
}

impl Runtime {
    pub(super) const ALL: [Self; 2] = [Self::Node, Self::Java];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Java => "java",
        }
    }

    /// How its captures' names end.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Node => "heapsnapshot",
            Self::Java => "hprof",
        }
    }
}

/// One service with one leak, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) runtime: Runtime,
    /// As `--leak` takes it.
    pub(super) leak: &'static str,
    /// What title, name and path of the first suspect must name between them: all of these, of each one of the words between
    /// bars. Empty where nothing leaks.
    pub(super) owner: &'static [&'static str],
    /// Beginnings of the lines of the source of which the suspect must name one; none where the format knows no lines.
    pub(super) lines: &'static [&'static str],
}

impl Case {
    pub(super) fn leaks(&self) -> bool {
        !self.owner.is_empty()
    }

    /// `node session-map`, as `--only` finds it.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.runtime.name(), self.leak)
    }

    /// `SessionStore, sessions`.
    pub(super) fn owner_shown(&self) -> String {
        if self.leaks() { self.owner.join(", ").replace('|', " or ") } else { "nobody".to_owned() }
    }

    /// Lines, from 1, of the source that are a right answer. V8 says of a class where its constructor stands.
    pub(super) fn lines_in(&self, source: &str) -> Vec<u32> {
        let lines = || (1_u32..).zip(source.lines().map(str::trim_start));
        let mut right = Vec::new();
        for beginning in self.lines {
            let found = lines().filter(|(_, line)| line.starts_with(beginning)).map(|(number, _)| number);
            for number in found {
                right.push(number);
                let mut constructors = lines().skip(number as usize).take_while(|_| beginning.starts_with("class "));
                right.extend(constructors.find(|(_, line)| line.starts_with("constructor(")).map(|(number, _)| number));
            }
        }
        right
    }
}

const fn node(leak: &'static str, owner: &'static [&'static str], lines: &'static [&'static str]) -> Case {
    Case { runtime: Runtime::Node, leak, owner, lines }
}

const fn java(leak: &'static str, owner: &'static [&'static str]) -> Case {
    Case { runtime: Runtime::Java, leak, owner, lines: &[] }
}

/// Every kind of leak that the services of `services/` offer, and none.
pub(super) const CASES: &[Case] = &[
    node("none", &[], &[]),
    node(
        "unbounded-cache",
        &["recommendationCache"],
        &["class CachedRecommendation", "function rememberRecommendation"],
    ),
    node(
        "listener",
        &["inventoryBus|subscribeToInventory", "stock-change"],
        &["inventoryBus.on('stock-change', function onStockChange", "function subscribeToInventory"],
    ),
    node(
        "timer-closure",
        &["imeout|imer", "pollOrder"],
        &["setInterval(function pollOrder()", "function pollOrderForever"],
    ),
    node("session-map", &["SessionStore|sessionStore", "sessions"], &["class SessionStore", "open(request)"]),
    node(
        "promise",
        &["pendingReservations|awaitReservation"],
        &["async function awaitReservation", "await new Promise("],
    ),
    node("native-buffer", &["thumbnailBuffers"], &["const thumbnailBuffers", "function keepThumbnail"]),
    node("descriptor", &["lostConnections"], &["const lostConnections", "function openConnection"]),
    node("tiny-objects", &["lastClick", "TinyClick"], &["class TinyClick", "function chainClicks"]),
    java("none", &[]),
    java("static-collection", &["AuditTrail", "ENTRIES"]),
    java("threadlocal", &["RequestContext", "CURRENT|ThreadLocal|breadcrumbs"]),
    java("session-map", &["SessionStore", "SESSIONS"]),
    java("listener", &["InventoryBus", "LISTENERS"]),
    java("native-buffer", &["ThumbnailCache", "THUMBNAILS"]),
    java("unbounded-cache", &["RecommendationCache", "RECOMMENDATIONS"]),
    java("descriptor", &["ConnectionPool", "LOST"]),
    java("tiny-objects", &["TinyClick", "last"]),
    java("thread", &["Reservations|reservation-", "Thread"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn every_kind_of_leak_of_the_services_is_a_case() {
        let root = tree::root();
        let node = std::fs::read_to_string(root.join("services/node/server.js")).unwrap();
        let kinds = node.split("const LEAKS = {").nth(1).unwrap().split("};").next().unwrap();
        let kinds =
            kinds.lines().filter_map(|line| line.trim().split_once(':')).map(|(kind, _)| kind.trim_matches('\''));
        let java = std::fs::read_to_string(root.join("services/java/Service.java")).unwrap();
        let java_kinds = java.split("KINDS.put(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let all = kinds.map(|kind| (Runtime::Node, kind)).chain(java_kinds.map(|kind| (Runtime::Java, kind)));
        let missing: Vec<(Runtime, &str)> = all
            .filter(|(runtime, kind)| !CASES.iter().any(|case| case.runtime == *runtime && case.leak == *kind))
            .collect();
        assert_eq!(missing, []);
    }

    #[test]
    fn a_class_is_also_where_its_constructor_stands() {
        let source = "class A {\n  constructor() {}\n}\nclass SessionStore {\n  x = 1;\n\n  constructor() {}\n}\n";
        let case = CASES.iter().find(|case| case.leak == "session-map" && case.runtime == Runtime::Node).unwrap();
        assert_eq!(case.lines_in(source), [4, 7]);
    }

    #[test]
    fn every_beginning_of_a_line_is_found_in_the_source() {
        let source = std::fs::read_to_string(tree::root().join("services/node/server.js")).unwrap();
        let found = |beginning: &str| source.lines().any(|line| line.trim_start().starts_with(beginning));
        let missing: Vec<&str> =
            CASES.iter().flat_map(|case| case.lines).copied().filter(|line| !found(line)).collect();
        assert_eq!(missing, [""; 0]);
    }
}
