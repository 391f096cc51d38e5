//! Own functions of all stacks as a tree from the root down, with what each holds in every capture.

use rustc_hash::FxHashMap;

use crate::profile::growth::{Frame, Look, Scale, Stacks, add};
use crate::profile::origin::Origin;

pub(super) const ROOT: u32 = 0;
/// Part of the growth that matters from which on a single row does.
const ROW_SHARE_MIN: f64 = 0.01;

/// A function in the tree, called by its parent's.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) parent: u32,
    /// Into [`Stacks::frames`]; of the root, which is no function, `u32::MAX`.
    pub(super) frame: u32,
    pub(super) children: Vec<u32>,
}

/// Own functions by who calls whom, from the root down.
pub(crate) struct Tree<'t> {
    pub(super) stacks: &'t Stacks<'t>,
    pub(super) scale: &'t Scale,
    pub(super) nodes: Vec<Node>,
    /// What each holds with all that it calls, node by node.
    all: Vec<Look>,
    /// What each holds that no own function below it asked for.
    own: Vec<Look>,
    /// The node of each row of `stacks`.
    pub(super) node_of: Vec<u32>,
    pub(super) is_flat: bool,
    /// Whether each grows, or one below it: what is beside may hide in its error the growth of one that it calls.
    pub(super) leads: Vec<bool>,
}

impl<'t> Tree<'t> {
    /// The tree of all that grows. Rows that matter are in it with all their functions, those that do not with the first that is new:
    /// they are many, and count only as what is beside.
    pub(crate) fn of(stacks: &'t Stacks<'t>, scale: &'t Scale) -> Self {
        Self::build(stacks, scale, false)
    }

    /// The innermost own function of each row alone.
    pub(crate) fn flat(stacks: &'t Stacks<'t>, scale: &'t Scale) -> Self {
        Self::build(stacks, scale, true)
    }

    fn build(stacks: &'t Stacks<'t>, scale: &'t Scale, is_flat: bool) -> Self {
        let root = Node { parent: ROOT, frame: u32::MAX, children: Vec::new() };
        let n = stacks.captures.len();
        let mut tree = Self {
            stacks,
            scale,
            nodes: vec![root],
            all: Vec::new(),
            own: vec![Look::default(); n],
            node_of: vec![ROOT; stacks.n_rows()],
            is_flat,
            leads: Vec::new(),
        };
        let mut known: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        let matters = |row: usize| weight_gained(scale, stacks.looks(row)) >= scale.growth_min * ROW_SHARE_MIN;
        // ORDER: rows that matter first, so that the others find their functions.
        for is_whole in [true, false] {
            for row in (0..stacks.n_rows()).filter(|row| matters(*row) == is_whole) {
                let node = tree.place(&mut known, &tree.own_path(row), is_whole);
                tree.node_of[row] = node;
                add(&mut tree.own[node as usize * n..][..n], stacks.looks(row));
            }
        }
        tree.all.clone_from(&tree.own);
        // Those that are called stand behind those that call.
        for node in (1..tree.nodes.len()).rev() {
            let (above, below) = tree.all.split_at_mut(node * n);
            add(&mut above[tree.nodes[node].parent as usize * n..][..n], &below[..n]);
        }
        tree.leads = tree.leading();
        tree
    }

    /// What [`Self::leads`] is.
    fn leading(&self) -> Vec<bool> {
        let mut leads = vec![false; self.nodes.len()];
        if self.stacks.captures.len() < 2 {
            return leads;
        }
        for node in (1..self.nodes.len() as u32).rev() {
            let is_leading = leads[node as usize] || self.grows(self.all(node)) || self.grows(self.own(node));
            leads[node as usize] = is_leading;
            leads[self.nodes[node as usize].parent as usize] |= is_leading;
        }
        leads
    }

    /// Own functions of a row from the root down, the innermost alone in a flat tree.
    fn own_path(&self, row: usize) -> Vec<u32> {
        let is_own = |frame: &u32| self.stacks.frames[*frame as usize].origin == Origin::Own;
        let is_named = |frame: &u32| !is_nameless(&self.stacks.frames[*frame as usize].name);
        let own = || self.stacks.frames_of(row).filter(is_own);
        let mut path: Vec<u32> = if self.is_flat {
            own().find(is_named).or_else(|| own().next()).into_iter().collect()
        } else {
            own().collect()
        };
        if path.is_empty() {
            let stack: Vec<u32> = self.stacks.frames_of(row).collect();
            path.extend(self.stand_in(&stack));
        }
        path.reverse();
        path
    }

    /// The node of a path; unless it is to be there as a whole, of its beginning until the first function that is new.
    fn place(&mut self, known: &mut FxHashMap<(u32, u32), u32>, path: &[u32], is_whole: bool) -> u32 {
        let mut at = ROOT;
        for &frame in path {
            if let Some(before) = self.above(at, frame) {
                // A recursion is one function, however deep it went.
                at = before;
                continue;
            }
            let next = self.nodes.len() as u32;
            let node = *known.entry((at, frame)).or_insert(next);
            if node == next {
                self.nodes.push(Node { parent: at, frame, children: Vec::new() });
                self.nodes[at as usize].children.push(node);
                self.own.resize(self.own.len() + self.stacks.captures.len(), Look::default());
            }
            at = node;
            if node == next && !is_whole {
                break;
            }
        }
        at
    }

    /// Of a stack without an own frame: the outermost of a library, else the innermost that hands out no memory.
    fn stand_in(&self, stack: &[u32]) -> Option<u32> {
        let origin = |frame: &&u32| self.stacks.frames[**frame as usize].origin;
        let library = stack.iter().rev().find(|frame| origin(frame) == Origin::Library);
        let runtime = || stack.iter().find(|frame| origin(frame) != Origin::Allocator);
        library.or_else(runtime).or(stack.first()).copied()
    }

    /// The node of a function among `node` and those above.
    fn above(&self, node: u32, frame: u32) -> Option<u32> {
        let mut at = node;
        while at != ROOT {
            if self.nodes[at as usize].frame == frame {
                return Some(at);
            }
            at = self.nodes[at as usize].parent;
        }
        None
    }

    pub(super) fn all(&self, node: u32) -> &[Look] {
        let n = self.stacks.captures.len();
        &self.all[node as usize * n..][..n]
    }

    pub(super) fn own(&self, node: u32) -> &[Look] {
        let n = self.stacks.captures.len();
        &self.own[node as usize * n..][..n]
    }

    pub(super) fn grows(&self, looks: &[Look]) -> bool {
        weight_gained(self.scale, looks) >= self.scale.growth_min && self.scale.growing(looks).is_some()
    }

    pub(super) fn growth(&self, looks: &[Look]) -> f64 {
        weight_gained(self.scale, looks)
    }
}

fn weight_gained(scale: &Scale, looks: &[Look]) -> f64 {
    let weight = |look: Option<&Look>| look.map_or(0.0, |look| scale.weight(look));
    weight(looks.last()) - weight(looks.first())
}

/// Whether a function is a closure, an async block or the like that its compiler gave no name: `{async_fn#0}`.
pub(crate) fn is_nameless(name: &str) -> bool {
    let mut depth = 0_u32;
    let outside = |letter: &char| {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    name.starts_with('{') && {
        let plain: String = name.chars().filter(outside).collect();
        plain.split("::").all(|step| step.is_empty() || step.starts_with('{'))
    }
}

/// What a function is a part of: its class, type or module with its file.
pub(super) fn owner(frame: &Frame) -> (&str, &str) {
    let end = frame.name.find(['<', '(']).filter(|at| *at > 0).unwrap_or(frame.name.len());
    let head = &frame.name[..end];
    (head.rfind("::").or_else(|| head.rfind('.')).map_or("", |at| &head[..at]), &frame.file)
}
