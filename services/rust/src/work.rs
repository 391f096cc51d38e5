//! The work of one request: build, sort, hash and render a cart. Everything a request registers it also removes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

const KIB: usize = 1024;
/// Pages in the cache, about 16 KiB each, so 4 MiB when full. Full: the least recently used one is evicted.
const PAGE_CACHE_ENTRIES: usize = 256;
/// Distinct carts that are asked for; far more than the cache holds, so that it fills and then evicts.
const CART_REVISIONS: usize = 4096;
const CART_LINES: usize = 48;
const SESSION_TTL: Duration = Duration::from_secs(10);
const SESSION_SWEEP_INTERVAL: Duration = Duration::from_secs(1);
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

/// Random numbers and texts of one seed (`SplitMix64`, doi:10.1145/2714064.2660195), shared between threads.
pub(crate) struct Dice {
    state: AtomicU64,
    letters: Vec<u8>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self { state: AtomicU64::new(seed), letters: Vec::new() };
        dice.letters = (0..256 * KIB).map(|_| b'a' + dice.below(26) as u8).collect();
        dice
    }

    pub(crate) fn below(&self, limit: usize) -> usize {
        let state = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    pub(crate) fn text(&self, length: usize) -> String {
        let start = self.below(self.letters.len() - length);
        String::from_utf8_lossy(&self.letters[start..start + length]).into_owned()
    }

    /// About `n_bytes` of strings of at most 1 KiB each.
    pub(crate) fn texts(&self, n_bytes: usize) -> Vec<String> {
        (0..n_bytes).step_by(KIB).map(|start| self.text(KIB.min(n_bytes - start))).collect()
    }

    /// One block of `n_bytes`, every one of them written, so that they are resident.
    pub(crate) fn touched(&self, n_bytes: usize) -> Vec<u8> {
        self.letters.iter().copied().cycle().take(n_bytes).collect()
    }
}

struct Cart {
    user: String,
    lines: Vec<CartLine>,
    total: usize,
}

struct CartLine {
    sku: String,
    quantity: usize,
    cents: usize,
    note: String,
}

impl Cart {
    fn build(dice: &Dice, user: &str) -> Self {
        let line = |_| CartLine {
            sku: format!("sku-{}", dice.below(100_000)),
            quantity: 1 + dice.below(9),
            cents: dice.below(50_000),
            note: dice.text(240),
        };
        let mut lines: Vec<_> = (0..CART_LINES).map(line).collect();
        lines.sort_by(|a, b| (b.cents * b.quantity).cmp(&(a.cents * a.quantity)).then_with(|| a.sku.cmp(&b.sku)));
        let total = lines.iter().map(|line| line.cents * line.quantity).sum();
        Self { user: user.to_owned(), lines, total }
    }

    fn document(&self) -> String {
        let line = |line: &CartLine| json!({"sku": line.sku, "quantity": line.quantity, "cents": line.cents, "note": line.note});
        json!({"user": self.user, "lines": self.lines.iter().map(line).collect::<Vec<_>>(), "total": self.total})
            .to_string()
    }

    fn page(&self) -> String {
        let mut page = format!("<h1>{}</h1><table>", escaped_html(&self.user));
        for line in &self.lines {
            let CartLine { sku, quantity, cents, note } = line;
            let price = format!("{}.{:02}", cents / 100, cents % 100);
            writeln!(page, "<tr><td>{sku}</td><td>{quantity}</td><td>{price}</td><td>{note}</td></tr>")
                .expect("a string takes every text");
        }
        page + "</table>"
    }
}

fn escaped_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Serves carts.
#[derive(Default)]
pub(crate) struct Shop {
    pages: Mutex<BoundedPageCache>,
    sessions: Mutex<ExpiringSessions>,
    deadlines: Mutex<BTreeMap<u64, Instant>>,
    next_request: AtomicU64,
}

impl Shop {
    pub(crate) fn serve(&self, dice: &Dice, user: &str) -> Value {
        let now = Instant::now();
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        let deadline = Deadline::start(&self.deadlines, number, now);
        let cart = Cart::build(dice, user);
        locked(&self.sessions).touch(&cart, now);
        let page = locked(&self.pages).get_or_render(dice.below(CART_REVISIONS), &cart);
        let mut hasher = DefaultHasher::new();
        (cart.document(), &page).hash(&mut hasher);
        let (items, total, bytes, etag) =
            (cart.lines.len(), cart.total, page.len(), format!("{:016x}", hasher.finish()));
        json!({"user": user, "items": items, "total": total, "late": deadline.missed(), "etag": etag, "bytes": bytes})
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rendered pages by recency; at most `PAGE_CACHE_ENTRIES` of them.
#[derive(Default)]
struct BoundedPageCache {
    by_revision: HashMap<usize, (u64, String)>,
    revision_by_use: BTreeMap<u64, usize>,
    n_uses: u64,
}

impl BoundedPageCache {
    fn get_or_render(&mut self, revision: usize, cart: &Cart) -> String {
        self.n_uses += 1;
        let (last_use, page) = self.by_revision.remove(&revision).unwrap_or_else(|| (self.n_uses, cart.page()));
        self.revision_by_use.remove(&last_use);
        self.revision_by_use.insert(self.n_uses, revision);
        self.by_revision.insert(revision, (self.n_uses, page.clone()));
        if self.revision_by_use.len() > PAGE_CACHE_ENTRIES
            && let Some((_, oldest)) = self.revision_by_use.pop_first()
        {
            self.by_revision.remove(&oldest);
        }
        page
    }
}

/// Sessions that end `SESSION_TTL` after their last request.
#[derive(Default)]
struct ExpiringSessions {
    by_user: HashMap<String, (Instant, Vec<String>)>,
    swept: Option<Instant>,
}

impl ExpiringSessions {
    fn touch(&mut self, cart: &Cart, now: Instant) {
        let skus = cart.lines.iter().map(|line| line.sku.clone()).collect();
        self.by_user.insert(cart.user.clone(), (now, skus));
        if now.duration_since(*self.swept.get_or_insert(now)) >= SESSION_SWEEP_INTERVAL {
            self.by_user.retain(|_, (last_seen, _)| now.saturating_duration_since(*last_seen) <= SESSION_TTL);
            self.swept = Some(now);
        }
    }
}

/// The deadline of a request in flight; it is removed when the request ends, however it ends.
struct Deadline<'a> {
    number: u64,
    at: Instant,
    of_all: &'a Mutex<BTreeMap<u64, Instant>>,
}

impl<'a> Deadline<'a> {
    fn start(of_all: &'a Mutex<BTreeMap<u64, Instant>>, number: u64, now: Instant) -> Self {
        let at = now + REQUEST_DEADLINE;
        locked(of_all).insert(number, at);
        Self { number, at, of_all }
    }

    fn missed(&self) -> bool {
        Instant::now() > self.at
    }
}

impl Drop for Deadline<'_> {
    fn drop(&mut self) {
        locked(self.of_all).remove(&self.number);
    }
}
