//! The knobs of the capture policy.

use std::time::Duration;

use leakscope_model::Bytes;

/// When evidence may be taken. Spacings, hours and days are those of the detector's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapturePolicy {
    /// Whether light evidence is taken.
    pub light: bool,
    /// Whether evidence is taken that stops a process for seconds or multiplies its memory.
    pub heavy: bool,
    /// Free memory that must remain after the predicted peak, as a share of the limit.
    pub headroom: f64,
    /// Heavy captures of one target in a day.
    pub heavy_per_target_per_day: u32,
    /// Light captures of one service in an hour.
    pub light_per_service_per_hour: u32,
    /// Bytes that one capture may have.
    pub size_max: Bytes,
    /// Memory that the analysis of captures may take.
    pub analysis_memory: Bytes,
    /// From one round of captures of a process to the next.
    pub spacing: Duration,
    /// From one heavy capture of a target to the next.
    pub heavy_spacing: Duration,
    /// Rounds of one incident at that spacing; further ones come six times as seldom.
    pub rounds_max: u32,
    /// The longest that light evidence may stop a healthy process, in real time.
    pub baseline_pause_max: Duration,
}

impl Default for CapturePolicy {
    fn default() -> Self {
        Self {
            light: true,
            heavy: false,
            headroom: 0.1,
            heavy_per_target_per_day: 4,
            light_per_service_per_hour: 30,
            size_max: Bytes(8 << 30),
            analysis_memory: Bytes(4 << 30),
            spacing: Duration::from_mins(10),
            heavy_spacing: Duration::from_mins(30),
            rounds_max: 8,
            baseline_pause_max: Duration::from_millis(100),
        }
    }
}
