//! What must hold for an alarm: each test gives its statistic over its threshold. Those of chance are in `tuning`.

/// Lower end of the slope's interval over the slope.
pub(crate) const SLOPE_LOW: f64 = 0.3;
/// Growth over the noise of a difference of two floors.
pub(crate) const SIGMAS: f64 = 3.0;
/// Growth over the level, and over the resident set.
pub(crate) const OF_LEVEL: f64 = 0.03;
/// Growth over the limit: a process of a few MiB under a limit of GiB is nobody's worry.
pub(crate) const OF_LIMIT: f64 = 0.0025;
/// Growth over the level, and over the resident set, where fewer than [`FEW`] collections speak.
pub(crate) const OF_LEVEL_FEW: f64 = 0.1;
/// Growth of a count over its level.
pub(crate) const OF_COUNT: f64 = 1.0;
/// Least growth of a count.
pub(crate) const COUNT: f64 = 32.0;
/// Second half's slope over the first half's.
pub(crate) const PACE: f64 = 0.6;
/// The same where pages that nobody uses would explain the growth.
pub(crate) const PACE_UNUSED: f64 = 0.85;
/// The same where fewer than [`FEW`] collections speak.
pub(crate) const PACE_FEW: f64 = 0.7;
/// Upper end of the pace's interval: a curve that surely bends is no line, however little it bends.
pub(crate) const PACE_HIGH: f64 = 0.98;
/// Most that growth may speed up: what begins flat is a window that begins before its growth, or load.
pub(crate) const PACE_MOST: f64 = 1.6;
/// Least share of floors that are records where pages that nobody uses would explain the growth.
pub(crate) const EVEN_UNUSED: f64 = 0.75;
/// The same of live heap, which follows the load that no counter shows.
pub(crate) const EVEN_LIVE: f64 = 0.7;
/// The same of a resident set of which nothing else is known: a JVM's climbs for hours, raggedly, over garbage.
pub(crate) const EVEN_RESIDENT: f64 = 0.85;
/// Part of what is left that growth must reach even if it bends as much as it may.
pub(crate) const REACH: f64 = 0.7;
/// Standard errors that the bend is taken above the one seen: residuals are correlated for longer than from point to point, ...
pub(crate) const REACH_Z: f64 = 2.7;
/// ... and of few points the error itself is not known well: this over the number of points is added to one.
pub(crate) const REACH_FEW: f64 = 8.0;
/// Levels that growth must be able to gain where no limit is known.
pub(crate) const REACH_LEVELS: f64 = 1.0;
/// The same of a count: pools fill too.
pub(crate) const REACH_COUNTS: f64 = 3.0;
/// Part of the rise that must stand above all that came before the window.
pub(crate) const NEW: f64 = 0.25;
/// The same on the finest scale: tops are remembered in floors of five minutes.
pub(crate) const NEW_FINEST: f64 = 0.5;
/// Largest single rise over the growth.
pub(crate) const STEP: f64 = 0.4;
/// The same where pages that nobody uses would explain the growth: allocators take them by the arena.
pub(crate) const STEP_UNUSED: f64 = 0.2;
/// Share of the growth that the load may explain.
pub(crate) const LOAD: f64 = 0.3;
/// Time to the limit, or to twice the level, in lengths of a window of at least [`HORIZON_HOURS`].
pub(crate) const HORIZON: f64 = 20.0;
/// Shorter windows see less far: the less time there is left, the less evidence is asked.
pub(crate) const HORIZON_HOURS: f64 = 1.5;
/// By this power of their length.
pub(crate) const HORIZON_POWER: f64 = 0.8;
/// What a window that reaches into the warm-up sees: a process that dies young is worth an early word.
pub(crate) const HORIZON_YOUNG: f64 = 1.0;
/// No window sees further than this many times what has been seen of the process: what is young may become anything.
pub(crate) const HORIZON_LIVES: f64 = 4.0;
/// Hours after which days have been seen, two since one may be a holiday, and growth can be told from the daily rise of load.
pub(crate) const DAY: f64 = 50.0;
/// What a window sees on the first day, in lengths of its own, where no requests are counted.
pub(crate) const HORIZON_BLIND: f64 = 8.0;
/// Rise of the request rate over a window that counts as one, over where it began.
pub(crate) const RISING: f64 = 0.25;
/// What growth must exceed on the first day, as a multiple of that rise.
pub(crate) const OUTPACE: f64 = 1.5;
/// Share of floors that are records, for growth to be called clean.
pub(crate) const CLEAN: f64 = 0.9;
/// Levels that growth must gain within the horizon, ...
pub(crate) const LEVELS: f64 = 4.0;
/// ... and clean growth, where nothing else tells what is much.
pub(crate) const LEVELS_TRUSTED: f64 = 1.0;
/// Live heap: the least collections that show a trend.
pub(crate) const POINTS: usize = 5;
/// Hours of a life before a few collections are believed, or a process that doubles far from any limit: at first it warms up.
pub(crate) const GROWN_UP_HOURS: f64 = 1.0;
/// Live heap: below this many collections the growth must be large and the resident set must follow.
pub(crate) const FEW: usize = 9;
