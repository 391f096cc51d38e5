//! Retention without identities: objects that are held in the same way by the same kind of holder are one shape.
//!
//! A shape is a way down the dominator tree: types and the names by which each holds the next, without indices, keys, numbers of
//! generated classes and repetition. It is the same in every capture of a service, in every process and replica, so that captures
//! can be compared shape by shape, and one leak is one shape however many objects it has. The idea of a path as the identity of a
//! leak is LeakCanary's (its signature of the leaking path); here the path is that of dominators.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::graph::Bits;
use crate::heap::{Heap, Node};
use crate::hprof::normalised;

/// Ancestors among which a repetition is looked for: `A.next: B`, `B.item: A`, ... is one shape, not thousands.
const REPETITION_MAX: usize = 6;
/// Steps from the root after which shapes are no longer told apart.
const DEPTH_MAX: u32 = 60;
/// Entries of the table of shapes that were met last; a power of two.
const RECENT: usize = 1 << 14;

/// The class of what holds the variables of a function or module of JavaScript.
const SCOPE: &str = "system / Context";
/// Part of the heap that a scope holds to be known by its id.
const SCOPE_SHARE_MIN: f64 = 0.01;
/// Scopes that are known so; there are not many of one percent that do not hold each other.
const SCOPES_MAX: usize = 1_000;
/// Dominators of such a scope.
const SCOPE_DEPTH_MAX: usize = 100;

/// Part of the variables of a scope that another capture's must share to be the same one.
const SCOPE_ALIKE_MIN: f64 = 0.75;
/// Scopes of another capture that are looked at for it.
const SCOPES_COMPARED_MAX: usize = 50_000;

/// Scopes of the last capture that are known in the others: by their ids, or by their variables where ids were given anew.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    ids: FxHashMap<u64, Symbol>,
    variables: Vec<(BTreeSet<String>, Symbol)>,
}

impl Scopes {
    /// The symbols of these scopes by the ids that they have in `heap`. V8 gives ids anew when an inspector leaves; then none is known.
    fn in_heap(&self, heap: &Heap<'_>) -> FxHashMap<u64, Symbol> {
        let scopes = || heap.nodes().filter(|node| heap.class(*node).name == SCOPE);
        let known = |node: &Node| {
            let symbol = self.ids.get(&heap.id(*node))?;
            let (wanted, _) = self.variables.iter().find(|(_, of)| of == symbol)?;
            (alike(wanted, &variables(heap, *node)) >= SCOPE_ALIKE_MIN).then_some(())
        };
        if self.ids.is_empty() || scopes().any(|node| known(&node).is_some()) {
            return self.ids.clone();
        }
        let mut best: Vec<Option<(f64, u64, u64)>> = vec![None; self.variables.len()];
        for node in scopes().take(SCOPES_COMPARED_MAX) {
            let found = variables(heap, node);
            for ((wanted, _), best) in self.variables.iter().zip(&mut best) {
                let rank = (alike(wanted, &found), heap.retained_bytes(node), heap.id(node));
                if rank.0 >= SCOPE_ALIKE_MIN && best.is_none_or(|best| (rank.0, rank.1) > (best.0, best.1)) {
                    *best = Some(rank);
                }
            }
        }
        let symbols = self.variables.iter().map(|(_, symbol)| *symbol);
        best.into_iter().zip(symbols).filter_map(|(best, symbol)| Some((best?.2, symbol))).collect()
    }
}

/// The names by which a scope holds what it holds.
fn variables(heap: &Heap<'_>, scope: Node) -> BTreeSet<String> {
    heap.edges(scope).into_iter().map(|edge| edge.name.to_string()).collect()
}

/// What two sets have in common, 0 to 1 (Jaccard).
fn alike(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    // Sizes alone tell most that cannot be alike.
    let (few, many) = (a.len().min(b.len()) as f64, a.len().max(b.len()) as f64);
    if few < many * SCOPE_ALIKE_MIN {
        return 0.0;
    }
    let common = a.intersection(b).count() as f64;
    common / (few + many - common).max(1.0)
}

/// The number of a text.
type Symbol = u32;

/// The shapes of all captures that are compared, as a tree below the root's.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    texts: Vec<String>,
    symbols: BTreeMap<String, Symbol>,
    pub(crate) all: Vec<Shape>,
    by_key: FxHashMap<(u32, Symbol, Symbol), u32>,
}

/// One shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The shape that dominates it; the root's is itself. Always a lower number.
    pub(crate) parent: u32,
    /// The name by which the dominator holds it.
    pub(crate) hold: Symbol,
    /// The type.
    pub(crate) of: Symbol,
    depth: u32,
}

/// What one capture has of each shape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Own bytes, with those outside of the heap that live as long.
    pub(crate) self_bytes: Vec<u64>,
    /// Objects.
    pub(crate) count: Vec<u64>,
    /// Own bytes, and those of all shapes below.
    pub(crate) retained: Vec<u64>,
    /// The object that retains most.
    pub(crate) biggest: Vec<Option<Node>>,
}

impl Shapes {
    fn symbol(&mut self, text: &str) -> Symbol {
        if let Some(&symbol) = self.symbols.get(text) {
            return symbol;
        }
        let symbol = self.texts.len() as Symbol;
        self.texts.push(text.to_owned());
        self.symbols.insert(text.to_owned(), symbol);
        symbol
    }

    /// The scopes of `heap` that hold most, as far as no scope holds them.
    ///
    /// A module's scope is held by its functions, and what holds those all may differ from capture to capture: now this, now that
    /// function runs. So they are known by their ids or variables, and not by the way to them.
    pub(crate) fn scopes(&mut self, heap: &Heap<'_>) -> Scopes {
        let is_scope = |node: Node| heap.class(node).name == SCOPE;
        let bytes_min = (heap.total_bytes() as f64 * SCOPE_SHARE_MIN) as u64;
        let big = |node: &Node| heap.retained_bytes(*node) >= bytes_min && is_scope(*node);
        let above = |node: Node| std::iter::successors(heap.dominator(node), |&above| heap.dominator(above));
        let outermost =
            |node: &Node| above(*node).take(SCOPE_DEPTH_MAX + 1).filter(|above| is_scope(*above)).count() == 0;
        let shallow = |node: &Node| above(*node).take(SCOPE_DEPTH_MAX + 1).count() <= SCOPE_DEPTH_MAX;
        let found = heap.nodes().filter(big).filter(shallow).filter(outermost).take(SCOPES_MAX);
        let mut scopes = Scopes::default();
        for node in found {
            let symbol = self.symbol(&format!("@{}", heap.id(node)));
            scopes.ids.insert(heap.id(node), symbol);
            scopes.variables.push((variables(heap, node), symbol));
        }
        scopes
    }

    /// Counts the objects of one capture into shapes. Shapes that are new to the table are added.
    pub(crate) fn tally(&mut self, heap: &Heap<'_>, scopes: &Scopes) -> Tally {
        let holds = heap.detail.holds(&heap.graph, &heap.dominators);
        let mut types = TypeSymbols::of(self, heap);
        let mut hold_symbols: FxHashMap<u32, Symbol> = FxHashMap::default();
        let none = self.symbol("");
        let mut recent = vec![((u32::MAX, 0, 0), 0_u32); RECENT];
        let mut shape_of = vec![u32::MAX; heap.n_nodes()];
        let outside: Vec<bool> = heap.classes.iter().map(|class| class.name == "java.nio.DirectByteBuffer").collect();
        let scopes = scopes.in_heap(heap);
        let scope: Vec<bool> = heap.classes.iter().map(|class| class.name == SCOPE && !scopes.is_empty()).collect();
        let mut tally = Tally::default();
        for node in ParentsFirst::of(heap) {
            let of = types.of_node(self, heap, node);
            let hold = match holds.get(node as usize) {
                None | Some(&u32::MAX) => none,
                Some(&hold) => *hold_symbols.entry(hold).or_insert_with(|| self.symbol(&heap.detail.hold_text(hold))),
            };
            let known = if scope[heap.class_of.get(node) as usize] { scopes.get(&heap.detail.id(node)) } else { None };
            let shape = if node == heap.root {
                self.root(of)
            } else if let Some(&id) = known {
                self.below(0, id, of)
            } else {
                let parent = shape_of[heap.dominators[node as usize] as usize];
                let key = (parent, hold, of);
                let slot = &mut recent[slot_of(key)];
                if slot.0 != key {
                    *slot = (key, self.below(parent, hold, of));
                }
                slot.1
            };
            shape_of[node as usize] = shape;
            let is_outside = outside[heap.class_of.get(node) as usize];
            let bytes = heap.self_bytes(Node(node)) + if is_outside { heap.detail.outside_bytes(node) } else { 0 };
            tally.add(shape, heap, Node(node), bytes);
        }
        tally.resize(self.all.len());
        tally
    }

    fn root(&mut self, of: Symbol) -> u32 {
        if self.all.is_empty() {
            self.all.push(Shape { parent: 0, hold: 0, of, depth: 0 });
        }
        0
    }

    /// The shape of what `parent` holds by `hold`.
    fn below(&mut self, parent: u32, hold: Symbol, of: Symbol) -> u32 {
        let alike =
            |shape: u32| shape != 0 && self.all[shape as usize].hold == hold && self.all[shape as usize].of == of;
        let mut ancestor = parent;
        for period in 1..=REPETITION_MAX {
            // The third of the same is a repetition; twice the same may be by chance.
            if alike(ancestor) && alike(self.above(ancestor, period)) {
                return ancestor;
            }
            ancestor = self.all[ancestor as usize].parent;
        }
        let depth = self.all[parent as usize].depth + 1;
        if depth > DEPTH_MAX {
            return parent;
        }
        let next = self.all.len() as u32;
        let shape = *self.by_key.entry((parent, hold, of)).or_insert(next);
        if shape == next {
            self.all.push(Shape { parent, hold, of, depth });
        }
        shape
    }

    fn above(&self, shape: u32, steps: usize) -> u32 {
        (0..steps).fold(shape, |shape, _| self.all[shape as usize].parent)
    }

    /// Fills in what each shape retains.
    pub(crate) fn add_up(&self, tally: &mut Tally) {
        tally.resize(self.all.len());
        tally.retained = tally.self_bytes.clone();
        for (index, shape) in self.all.iter().enumerate().skip(1).rev() {
            let sum = tally.retained[shape.parent as usize].saturating_add(tally.retained[index]);
            tally.retained[shape.parent as usize] = sum;
        }
    }

    /// The shapes below each, by number.
    pub(crate) fn children(&self) -> Vec<Vec<u32>> {
        let mut children = vec![Vec::new(); self.all.len()];
        for (index, shape) in self.all.iter().enumerate().skip(1) {
            children[shape.parent as usize].push(index as u32);
        }
        children
    }
}

fn slot_of((parent, hold, of): (u32, u32, u32)) -> usize {
    let mixed = (u64::from(parent) << 32 | u64::from(hold ^ of.rotate_left(16))).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as usize & (RECENT - 1)
}

impl Tally {
    fn resize(&mut self, n: usize) {
        self.self_bytes.resize(n, 0);
        self.count.resize(n, 0);
        self.biggest.resize(n, None);
    }

    fn add(&mut self, shape: u32, heap: &Heap<'_>, node: Node, bytes: u64) {
        let shape = shape as usize;
        if shape >= self.count.len() {
            self.resize(shape + 1);
        }
        self.self_bytes[shape] = self.self_bytes[shape].saturating_add(bytes);
        self.count[shape] += 1;
        let biggest = &mut self.biggest[shape];
        if biggest.is_none_or(|found| heap.retained_bytes(found) < heap.retained_bytes(node)) {
            *biggest = Some(node);
        }
    }
}

/// Symbols of the types of one capture.
struct TypeSymbols {
    classes: Vec<Symbol>,
    finer: FxHashMap<u32, Symbol>,
}

impl TypeSymbols {
    fn of(shapes: &mut Shapes, heap: &Heap<'_>) -> Self {
        let classes = heap.classes.iter().map(|class| shapes.symbol(&normalised(&class.name))).collect();
        Self { classes, finer: FxHashMap::default() }
    }

    fn of_node(&mut self, shapes: &mut Shapes, heap: &Heap<'_>, node: u32) -> Symbol {
        match heap.detail.finer_type(node) {
            None => self.classes[heap.class_of.get(node) as usize],
            Some(number) => {
                if let Some(&symbol) = self.finer.get(&number) {
                    return symbol;
                }
                let symbol = shapes.symbol(&normalised(&heap.detail.name(node)));
                self.finer.insert(number, symbol);
                symbol
            }
        }
    }
}

/// All nodes, each behind its dominator, and else in the order of the graph, in which neighbours are in memory too.
struct ParentsFirst<'h> {
    dominators: &'h [u32],
    given: Bits,
    /// What is still to be given before `next`, the uppermost last.
    way: Vec<u32>,
    next: u32,
}

impl<'h> ParentsFirst<'h> {
    fn of(heap: &'h Heap<'_>) -> Self {
        Self { dominators: &heap.dominators, given: Bits::new(heap.n_nodes()), way: vec![heap.root], next: 0 }
    }
}

impl Iterator for ParentsFirst<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.way.is_empty() {
            let mut at = self.next;
            if at as usize == self.dominators.len() {
                return None;
            }
            self.next += 1;
            // The root was given first, so that every way up ends.
            while !self.given.get(at) {
                self.way.push(at);
                at = self.dominators[at as usize];
            }
        }
        let node = self.way.pop()?;
        self.given.set(node);
        Some(node)
    }
}
